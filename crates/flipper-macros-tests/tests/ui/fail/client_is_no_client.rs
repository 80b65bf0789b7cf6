
#[flipper::is_enabled(String::new(), "MY_FEATURE")]
fn sound() {}

fn main() {}
