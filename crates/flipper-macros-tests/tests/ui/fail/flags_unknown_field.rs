
flipper::flags! {
    pub struct Flags { new_checkout }
}

fn check(flags: &Flags) -> bool {
    flags.new_chekout.is_enabled()
}

fn main() {}
