//! Patterns as arguments, which the redirect must receive whole.
#![expect(clippy::needless_pass_by_value, reason = "redirects have the arguments of their functions")]

use flipper::context;

use crate::{FEATURES, set, states};

/// Like the extractors of web frameworks. Not `Clone`.
struct Path<T>(T);

struct Order {
    id: u64,
    name: String,
    lines: Vec<u8>,
}

fn order() -> Order {
    Order { id: 7, name: "x".into(), lines: vec![1, 2] }
}

#[flipper::is_enabled(FEATURES, "TUPLES", context = context! { user: user, name: &name }, redirect = old_tuples)]
fn tuples(Path((user, name)): Path<(u64, String)>, (mut a, b): (u8, u8), [c, d]: [u8; 2]) -> String {
    a += 1;
    format!("{user} {name} {a} {b} {c} {d}")
}

fn old_tuples(path: Path<(u64, String)>, pair: (u8, u8), array: [u8; 2]) -> String {
    format!("old {} {} {pair:?} {array:?}", path.0.0, path.0.1)
}

#[flipper::is_enabled(FEATURES, "STRUCTS", context = context! { id: id, name: &label }, redirect = old_structs)]
fn structs(Order { id, name: label, lines }: Order) -> String {
    format!("{id} {label} {}", lines.len())
}

fn old_structs(order: Order) -> String {
    format!("old {} {} {}", order.id, order.name, order.lines.len())
}

#[test]
fn patterns_that_are_expressions() {
    let call = || tuples(Path((7, "x".into())), (1, 2), [3, 4]);
    assert_eq!(states("TUPLES", call), ["old 7 x (1, 2) [3, 4]", "old 7 x (1, 2) [3, 4]", "7 x 2 2 3 4"]);
    assert_eq!(states("STRUCTS", || structs(order())), ["old 7 x 2", "old 7 x 2", "7 x 2"]);
}

#[flipper::is_enabled(FEATURES, "REST", context = context! { id: *id, name: name }, redirect = old_structs)]
fn rest(Order { id, mut name, .. }: Order) -> String {
    name.push('!');
    format!("{id} {name}")
}

#[flipper::is_enabled(FEATURES, "REFERENCES", context = context! { a: *a, b: b, c: c }, redirect = old_references)]
fn references((a, _): &(u64, u8), &(b, _): &(u64, u64), &mut c: &mut u8, ref d: String, _: &str) -> String {
    format!("{a} {b} {c} {d}")
}

fn old_references(pair: &(u64, u8), other: &(u64, u64), c: &mut u8, d: String, e: &str) -> String {
    *c += 1;
    format!("old {pair:?} {other:?} {c} {d} {e}")
}

#[flipper::is_enabled(features, "CLIENT_IN_PATTERN", redirect = old_client)]
fn client(State { features, .. }: State) -> bool {
    features.exists("CLIENT_IN_PATTERN")
}

struct State {
    features: flipper::FeatureFlagClient,
    answer: bool,
}

fn old_client(state: State) -> bool {
    state.answer
}

#[flipper::is_enabled(FEATURES, "FORMATTED", context = context! { id: &format!("{id}") }, redirect = old_structs)]
fn formatted(Order { id, .. }: Order) -> String {
    id.to_string()
}

#[flipper::is_enabled(FEATURES, "BOUND_TWICE", redirect = old_tail)]
fn tail([first, rest @ ..]: [u8; 3], whole @ (_, _): (u8, u8)) -> usize {
    usize::from(first + whole.0) + rest.len()
}

fn old_tail(array: [u8; 3], pair: (u8, u8)) -> usize {
    array.len() + usize::from(pair.1)
}

#[test]
fn patterns_that_are_not() {
    assert_eq!(states("REST", || rest(order())), ["old 7 x 2", "old 7 x 2", "7 x!"]);
    let call = || references(&(1, 2), &(3, 4), &mut 5, "d".into(), "e");
    assert_eq!(states("REFERENCES", call), ["old (1, 2) (3, 4) 6 d e", "old (1, 2) (3, 4) 6 d e", "1 3 5 d"]);
    let call = || client(State { features: FEATURES.clone(), answer: false });
    assert_eq!(states("CLIENT_IN_PATTERN", call), [false, false, true]);
    assert_eq!(states("FORMATTED", || formatted(order())), ["old 7 x 2", "old 7 x 2", "7"]);
    assert_eq!(states("BOUND_TWICE", || tail([1, 2, 3], (4, 5))), [8, 8, 7]);
}

#[flipper::is_enabled(FEATURES, "DROPPED", redirect = old_dropped)]
fn dropped(_: Noisy<'_>, log: &std::cell::RefCell<Vec<&'static str>>) {
    log.borrow_mut().push("body");
}

struct Noisy<'a>(&'a std::cell::RefCell<Vec<&'static str>>);

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push("dropped");
    }
}

fn old_dropped(noisy: Noisy<'_>, log: &std::cell::RefCell<Vec<&'static str>>) {
    drop(noisy);
    log.borrow_mut().push("old");
}

#[test]
fn arguments_live_as_long_as_before() {
    let log = std::cell::RefCell::default();
    dropped(Noisy(&log), &log);
    set("DROPPED", true);
    dropped(Noisy(&log), &log);
    assert_eq!(log.take(), ["dropped", "old", "body", "dropped"]);
}
