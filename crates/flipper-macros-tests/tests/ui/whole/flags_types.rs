
flipper::flags! {
    pub struct Flags { new_checkout: bool }
}

flipper::flags! {
    pub struct Others { new_checkout: FeatureFlag }
}

fn main() {}
