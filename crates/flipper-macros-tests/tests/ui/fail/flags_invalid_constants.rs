
const SLASH: &str = "new/checkout";

flipper::flags! {
    pub struct Flags { new_checkout: SLASH }
}

fn main() {}
