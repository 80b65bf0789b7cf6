
flipper::flags! {
    pub struct Flags { new_checkout }
    pub struct Others { new_search }
}

fn main() {}
