
#[flipper::is_enabled]
fn sound() {}

fn main() {}
