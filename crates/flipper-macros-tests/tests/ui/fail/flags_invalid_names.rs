
flipper::flags! {
    pub struct Empty { new_checkout: "" }
}

flipper::flags! {
    pub struct Slash { new_checkout: "new/checkout" }
}

flipper::flags! {
    pub struct Control { new_checkout: "new\tcheckout" }
}

flipper::flags! {
    pub struct Number { new_checkout: 7 }
}

flipper::flags! {
    pub struct Quotes { "NEW_CHECKOUT" }
}

fn main() {}
