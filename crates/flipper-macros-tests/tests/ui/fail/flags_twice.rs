
flipper::flags! {
    pub struct Fields { new_checkout, new_checkout: "OTHER" }
}

flipper::flags! {
    pub struct Names { new_checkout, checkout: "NEW_CHECKOUT" }
}

const NAME: &str = "NEW_CHECKOUT";

flipper::flags! {
    pub struct Constants { new_checkout, checkout: NAME }
}

fn main() {}
