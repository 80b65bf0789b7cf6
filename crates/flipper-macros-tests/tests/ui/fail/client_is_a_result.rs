
#[flipper::is_enabled(flipper::blocking::connect("memory:"), "MY_FEATURE")]
fn sound() {}

fn main() {}
