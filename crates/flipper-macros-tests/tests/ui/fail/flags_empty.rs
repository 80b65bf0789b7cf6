
flipper::flags! {}

flipper::flags! {
    pub struct Flags {}
}

fn main() {}
