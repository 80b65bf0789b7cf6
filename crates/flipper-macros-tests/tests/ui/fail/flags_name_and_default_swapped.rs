
flipper::flags! {
    pub struct Flags { new_checkout: true }
}

flipper::flags! {
    pub struct Others { new_checkout = "NEW_CHECKOUT" }
}

flipper::flags! {
    pub struct More { new_checkout = 1 }
}

fn main() {}
