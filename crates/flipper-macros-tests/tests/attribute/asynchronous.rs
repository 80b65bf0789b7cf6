//! `async` functions. Their futures stay lazy, and `Send` where they were.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use flipper::context;
use futures_executor::block_on;

use crate::{FEATURES, set, states};

#[flipper::is_enabled(FEATURES, "ASYNC", context = context! { name: &name }, redirect = old_fetch)]
async fn fetch(name: String, Guarded(guard): Guarded) -> String {
    tokio::task::yield_now().await;
    format!("new {name} {guard}")
}

struct Guarded(u8);

async fn old_fetch(name: String, guarded: Guarded) -> String {
    tokio::task::yield_now().await;
    format!("old {name} {}", guarded.0)
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn redirect_is_awaited_and_the_future_is_send() {
    let call = || block_on(assert_send(fetch("n".into(), Guarded(3))));
    assert_eq!(states("ASYNC", call), ["old n 3", "old n 3", "new n 3"]);
}

#[flipper::is_enabled(FEATURES, "ASYNC_LOCAL", redirect = old_local)]
async fn local(count: Rc<Cell<u8>>) {
    tokio::task::yield_now().await;
    count.set(count.get() + 1);
}

async fn old_local(count: Rc<Cell<u8>>) {
    tokio::task::yield_now().await;
    count.set(count.get() + 10);
}

#[test]
fn future_that_is_not_send() {
    let count = Rc::default();
    states("ASYNC_LOCAL", || block_on(local(Rc::clone(&count))));
    assert_eq!(count.get(), 21);
}

#[flipper::is_enabled(FEATURES, "ASYNC_DEFAULT")]
async fn defaults<'a>(text: &'a str, other: &str) -> Option<&'a str> {
    tokio::task::yield_now().await;
    (text != other).then_some(text)
}

#[flipper::is_enabled(FEATURES, "ASYNC_OTHERWISE", otherwise = Err(old_fetch(name, Guarded(1)).await))]
async fn otherwise(name: String) -> Result<(), String> {
    drop(name);
    tokio::task::yield_now().await;
    Ok(())
}

#[test]
fn default_and_otherwise() {
    assert_eq!(states("ASYNC_DEFAULT", || block_on(defaults("x", "y"))), [None, None, Some("x")]);
    let off = Err("old n 1".to_owned());
    assert_eq!(states("ASYNC_OTHERWISE", || block_on(otherwise("n".into()))), [off.clone(), off, Ok(())]);
}

#[flipper::is_enabled(FEATURES, "ASYNC_GENERIC", redirect = old_generic)]
async fn generic<T: Send, F>(value: T, change: impl FnOnce(T) -> F + Send) -> F::Output
where
    F: Future + Send,
{
    change(value).await
}

async fn old_generic<T: Send, F: Future + Send>(value: T, change: impl FnOnce(T) -> F + Send) -> F::Output {
    let future = change(value);
    tokio::task::yield_now().await;
    future.await
}

#[flipper::is_enabled(FEATURES, "ASYNC_BOXED", redirect = old_boxed)]
async fn awaits_a_box(number: u8) -> u8 {
    number
}

fn old_boxed(number: u8) -> std::pin::Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { number + 1 })
}

#[flipper::is_enabled(FEATURES, "RETURNS_FUTURE", redirect = old_boxed)]
fn returns_a_future(number: u8) -> std::pin::Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { number })
}

#[test]
fn generic_and_boxed() {
    let call = || block_on(assert_send(generic(1, |value| async move { value + 1 })));
    assert_eq!(states("ASYNC_GENERIC", call), [2, 2, 2]);
    assert_eq!(states("ASYNC_BOXED", || block_on(awaits_a_box(1))), [2, 2, 1]);
    assert_eq!(states("RETURNS_FUTURE", || block_on(assert_send(returns_a_future(1)))), [2, 2, 1]);
}

#[test]
fn asked_when_first_polled() {
    set("ASYNC_LAZY", false);
    let future = lazy();
    set("ASYNC_LAZY", true);
    assert_eq!(block_on(future), 1);
}

#[flipper::is_enabled(FEATURES, "ASYNC_LAZY")]
async fn lazy() -> u8 {
    tokio::task::yield_now().await;
    1
}

#[tokio::main(flavor = "current_thread")]
#[flipper::is_enabled(FEATURES, "TOKIO_MAIN_ABOVE")]
async fn below_tokio_main() -> u8 {
    tokio::task::yield_now().await;
    1
}

#[flipper::is_enabled(FEATURES, "TOKIO_MAIN_BELOW", redirect = zero)]
#[tokio::main(flavor = "current_thread")]
async fn above_tokio_main() -> u8 {
    tokio::task::yield_now().await;
    1
}

async fn zero() -> u8 {
    tokio::task::yield_now().await;
    0
}

#[test]
fn with_the_attributes_of_tokio() {
    assert_eq!(states("TOKIO_MAIN_ABOVE", below_tokio_main), [0, 0, 1]);
    assert_eq!(states("TOKIO_MAIN_BELOW", above_tokio_main), [0, 0, 1]);
}
