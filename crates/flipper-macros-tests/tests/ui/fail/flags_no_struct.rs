
flipper::flags! {
    improved_horse_sounds: "IMPROVED_HORSE_SOUNDS",
}

flipper::flags! {
    pub enum Flags { ImprovedHorseSounds }
}

flipper::flags! {
    pub struct Tuple(ImprovedHorseSounds);
}

flipper::flags! {
    pub struct Generic<T> { improved_horse_sounds }
}

fn main() {}
