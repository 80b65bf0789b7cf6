//! Functions that are not `async`.
#![expect(clippy::needless_pass_by_value, reason = "redirects have the arguments of their functions")]

use std::fmt::Display;

use flipper::{Condition, FeatureFlagClient, context};

use crate::{FEATURES, set, states};

#[flipper::is_enabled(FEATURES, "REDIRECT", redirect = old_sound)]
fn sound(volume: u8, horse: &str) -> String {
    format!("whinny {volume} {horse}")
}

fn old_sound(volume: u8, horse: &str) -> String {
    format!("neigh {volume} {horse}")
}

#[test]
fn redirect_gets_the_same_arguments() {
    assert_eq!(states("REDIRECT", || sound(3, "Bo")), ["neigh 3 Bo", "neigh 3 Bo", "whinny 3 Bo"]);
    set("REDIRECT", false);
    assert_eq!(sound(3, "Bo"), "neigh 3 Bo", "asked at each call");
}

#[flipper::is_enabled(FEATURES, "OTHERWISE", otherwise = format!("none of {count}"))]
fn otherwise(count: u8) -> String {
    format!("all of {count}")
}

#[flipper::is_enabled(FEATURES, "OTHERWISE_PANICS", otherwise = unreachable!("{count}"))]
fn otherwise_never(count: u8) -> u8 {
    count
}

#[flipper::is_enabled(FEATURES, "OTHERWISE_RETURNS", otherwise = Err("off")?)]
fn otherwise_returns(count: u8) -> Result<u8, String> {
    if count == 0 {
        return Err("none".to_owned());
    }
    Ok(count)
}

#[test]
fn otherwise_may_use_arguments() {
    assert_eq!(states("OTHERWISE", || otherwise(2)), ["none of 2", "none of 2", "all of 2"]);
    set("OTHERWISE_PANICS", true);
    assert_eq!(otherwise_never(1), 1);
    assert_eq!(states("OTHERWISE_RETURNS", || otherwise_returns(1)), [Err("off".into()), Err("off".into()), Ok(1)]);
}

#[flipper::is_enabled(FEATURES, "DEFAULT")]
fn defaults() -> Vec<u8> {
    vec![1]
}

#[flipper::is_enabled(FEATURES, "DEFAULT_UNIT")]
fn returns_nothing(calls: &mut u32) {
    *calls += 1;
}

#[test]
fn default_of_the_return_type() {
    assert_eq!(states("DEFAULT", defaults), [vec![], vec![], vec![1]]);
    let mut calls = 0;
    states("DEFAULT_UNIT", || returns_nothing(&mut calls));
    assert_eq!(calls, 1);
}

#[flipper::is_enabled(FEATURES, "CONTEXT", context = context! { user_id: user.id, plan: &user.plan }, redirect = old_greeting)]
fn greeting(user: User) -> String {
    format!("new {}", user.plan)
}

/// Not `Clone`, which passing it on must not need.
struct User {
    id: u64,
    plan: String,
}

fn old_greeting(user: User) -> String {
    format!("old {}", user.plan)
}

#[test]
fn context_borrows_what_is_then_moved() {
    set("CONTEXT", true);
    futures_executor::block_on(FEATURES.add_condition("CONTEXT", Condition::new().eq("user_id", 7))).unwrap();
    let call = |id| greeting(User { id, plan: "pro".to_owned() });
    assert_eq!([call(7), call(8)], ["new pro", "old pro"]);
}

#[flipper::is_enabled(FEATURES, "GENERIC", redirect = old_generic)]
fn generic<'a, T, const N: usize>(items: &[T; N], prefix: &'a str, other: &str, last: impl Display) -> (&'a str, String)
where
    T: Display,
{
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    (prefix, format!("new {} {other} {last} {N}", items.join(" ")))
}

fn old_generic<'a, T: Display, const N: usize>(
    items: &[T; N],
    prefix: &'a str,
    other: &str,
    last: impl Display,
) -> (&'a str, String) {
    let first = items.first().map(ToString::to_string);
    (prefix, format!("old {first:?} {other} {last} {N}"))
}

#[flipper::is_enabled(FEATURES, "TURBOFISH", redirect = crate::functions::made_old::<T, N>)]
fn made<T: From<u8>, const N: usize>() -> [T; N] {
    std::array::from_fn(|_| T::from(1))
}

fn made_old<T: From<u8>, const N: usize>() -> [T; N] {
    std::array::from_fn(|_| T::from(0))
}

#[test]
fn generic_functions() {
    let [missing, off, on] = states("GENERIC", || generic(&[1, 2], "p", "o", 'x'));
    assert_eq!((missing, off), (("p", "old Some(\"1\") o x 2".into()), ("p", "old Some(\"1\") o x 2".into())));
    assert_eq!(on, ("p", "new 1 2 o x 2".into()));
    assert_eq!(states("TURBOFISH", made::<u16, 2>), [[0, 0], [0, 0], [1, 1]]);
}

#[flipper::is_enabled(FEATURES, "IMPL_TRAIT", redirect = old_numbers)]
fn numbers(limit: u8) -> impl Iterator<Item = u8> + Clone {
    numbers_from(1, limit)
}

fn old_numbers(limit: u8) -> std::ops::RangeInclusive<u8> {
    numbers_from(0, limit)
}

fn numbers_from(first: u8, limit: u8) -> std::ops::RangeInclusive<u8> {
    first..=limit
}

#[flipper::is_enabled(FEATURES, "IMPL_DEFAULT")]
fn shown() -> impl Display {
    String::from("new")
}

#[flipper::is_enabled(FEATURES, "DYN", redirect = old_boxed)]
fn boxed() -> Box<dyn Display> {
    Box::new("new")
}

fn old_boxed() -> Box<u8> {
    Box::new(0)
}

#[test]
fn returned_traits() {
    assert_eq!(states("IMPL_TRAIT", || numbers(2).collect::<Vec<_>>()), [vec![0, 1, 2], vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(states("IMPL_DEFAULT", || format!("{}", shown())), ["", "", "new"]);
    assert_eq!(states("DYN", || boxed().to_string()), ["0", "0", "new"]);
}

const NAME: &str = "CONSTANT_NAME";

#[flipper::is_enabled(FEATURES, NAME)]
fn named_by_constant() -> bool {
    true
}

#[flipper::is_enabled(FEATURES, concat!("CONCATENATED", "_NAME"))]
fn named_by_macro() -> bool {
    true
}

fn client() -> &'static FeatureFlagClient {
    &FEATURES
}

#[flipper::is_enabled(client(), "CLIENT_CALL")]
fn asks_a_call() -> bool {
    true
}

#[flipper::is_enabled(if cfg!(unix) { &FEATURES } else { client() }, "CLIENT_IF")]
fn asks_any_expression() -> bool {
    true
}

#[flipper::is_enabled(features, "CLIENT_ARGUMENT", redirect = old_with_client)]
fn with_client(features: FeatureFlagClient) -> &'static str {
    drop(features);
    "new"
}

fn old_with_client(features: FeatureFlagClient) -> &'static str {
    if features.exists("CLIENT_ARGUMENT") { "off" } else { "missing" }
}

#[test]
fn clients_and_names_are_expressions() {
    for (name, call) in [
        (NAME, named_by_constant as fn() -> bool),
        ("CONCATENATED_NAME", named_by_macro),
        ("CLIENT_CALL", asks_a_call),
        ("CLIENT_IF", asks_any_expression),
    ] {
        assert_eq!(states(name, call), [false, false, true], "{name}");
    }
    assert_eq!(states("CLIENT_ARGUMENT", || with_client(FEATURES.clone())), ["missing", "off", "new"]);
}

#[flipper::is_enabled(FEATURES.get("HANDLE"))]
fn asks_a_handle() -> bool {
    true
}

#[flipper::is_enabled(flag, context = context! { plan: plan }, redirect = old_asks_an_argument)]
fn asks_an_argument(flag: &flipper::FeatureFlag, plan: &str) -> bool {
    !plan.is_empty()
}

fn old_asks_an_argument(_: &flipper::FeatureFlag, _: &str) -> bool {
    false
}

#[test]
fn handles_need_no_name() {
    assert_eq!(states("HANDLE", asks_a_handle), [false, false, true]);
    let flag = FEATURES.get("HANDLE_ARGUMENT");
    assert_eq!(states("HANDLE_ARGUMENT", || asks_an_argument(&flag, "pro")), [false, false, true]);
}

mod api {
    #![expect(unreachable_pub, reason = "the visibility is what is tested")]

    /// A sound.
    #[flipper::is_enabled(crate::FEATURES, "ATTRIBUTES")]
    #[must_use]
    #[inline]
    #[track_caller]
    pub fn sound(#[cfg(any())] gone: u8, loud: bool) -> u8 {
        #![allow(non_snake_case, reason = "inner attributes are kept too")]
        let LOUD = u8::from(loud);
        LOUD + 1
    }

    #[flipper::is_enabled(crate::FEATURES, "EXTERN")]
    pub(super) extern "C" fn for_c(number: i32) -> i32 {
        number + 1
    }
}

#[test]
fn attributes_visibility_and_abi_are_kept() {
    assert_eq!(states("ATTRIBUTES", || api::sound(true)), [0, 0, 2]);
    let for_c: extern "C" fn(i32) -> i32 = api::for_c;
    assert_eq!(states("EXTERN", || for_c(1)), [0, 0, 2]);
}

#[flipper::is_enabled(FEATURES, "RECURSIVE", redirect = plain_factorial)]
fn factorial(number: u64) -> u64 {
    if number < 2 { 1 } else { number * factorial(number - 1) }
}

fn plain_factorial(number: u64) -> u64 {
    (1..=number).product()
}

#[test]
fn recursive_functions() {
    assert_eq!(states("RECURSIVE", || factorial(5)), [120, 120, 120]);
}

#[flipper::is_enabled(FEATURES, "UNUSED", redirect = old_unused)]
fn underscored(_request: String, _: String) -> u8 {
    1
}

fn old_unused(request: String, other: String) -> u8 {
    [request, other].concat().len().try_into().unwrap()
}

#[test]
fn arguments_that_only_the_redirect_uses() {
    assert_eq!(states("UNUSED", || underscored("ab".into(), "c".into())), [3, 3, 1]);
}

macro_rules! gated {
    ($features:expr, $flag:literal, $name:ident, $argument:ident, $redirect:path) => {
        #[flipper::is_enabled($features, $flag, redirect = $redirect)]
        fn $name($argument: u8, second: u8) -> u8 {
            $argument + second
        }
    };
}

gated!(FEATURES, "IN_MACRO", added, first, u8::wrapping_sub);

#[test]
fn functions_made_by_macros() {
    assert_eq!(states("IN_MACRO", || added(3, 1)), [2, 2, 4]);
}
