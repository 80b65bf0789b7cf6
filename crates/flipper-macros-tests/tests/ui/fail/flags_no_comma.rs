
flipper::flags! {
    pub struct Flags { new_checkout new_search }
}

fn main() {}
