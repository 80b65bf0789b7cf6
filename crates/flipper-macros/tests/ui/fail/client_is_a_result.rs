
#[flipper::is_enabled(flipper::connect("memory:"), "MY_FEATURE")]
fn sound() {}

fn main() {}
