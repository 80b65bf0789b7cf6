use flipper::context;

fn main() {
    let plan = String::from("pro");
    let context = context! { user_id: 7, plan: plan };
}
