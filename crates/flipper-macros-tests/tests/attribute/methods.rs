//! Methods, of types and of traits.

use std::sync::Arc;

use flipper::{FeatureFlagClient, context};

use crate::{FEATURES, states};

#[derive(Clone)]
struct Stable {
    features: FeatureFlagClient,
    horses: Vec<&'static str>,
}

fn stable() -> Stable {
    Stable { features: FEATURES.clone(), horses: vec!["Bo", "Jo"] }
}

impl Stable {
    const FLAG: &'static str = "METHOD_BY_VALUE";

    #[flipper::is_enabled(self.features, "METHOD", context = context! { horses: self.horses.len() }, redirect = Self::old_first)]
    fn first(&self, prefix: &str) -> Option<&'static str> {
        self.horses.iter().find(|horse| horse.starts_with(prefix)).copied()
    }

    fn old_first(&self, _prefix: &str) -> Option<&'static str> {
        self.horses.last().copied()
    }

    #[flipper::is_enabled(self.features, "METHOD_MUT", redirect = Stable::old_add)]
    fn add(&mut self, name: &'static str) -> &mut Self {
        self.horses.push(name);
        self
    }

    fn old_add(&mut self, name: &'static str) -> &mut Self {
        self.horses.insert(0, name);
        self
    }

    #[flipper::is_enabled(self.features, Self::FLAG, redirect = Self::old_into_names)]
    fn into_names(mut self) -> Vec<&'static str> {
        self.horses.sort_unstable();
        self.horses
    }

    fn old_into_names(self) -> Vec<&'static str> {
        self.horses.into_iter().rev().collect()
    }

    #[flipper::is_enabled(self.features, "METHOD_ARC", redirect = old_share)]
    fn share(self: Arc<Self>, by: usize) -> Vec<Arc<Self>> {
        vec![self; by]
    }

    #[flipper::is_enabled(FEATURES, "ASSOCIATED")]
    fn count() -> usize {
        2
    }

    #[flipper::is_enabled(self.features, "ASYNC_METHOD", redirect = Self::old_listen)]
    async fn listen(&self, to: &str) -> String {
        format!("new {to} {}", self.horses.len())
    }

    async fn old_listen(&self, to: &str) -> String {
        tokio::task::yield_now().await;
        format!("old {to} {}", self.horses.len())
    }
}

fn old_share(stable: Arc<Stable>, _by: usize) -> Vec<Arc<Stable>> {
    vec![stable]
}

#[test]
fn methods_by_any_self() {
    assert_eq!(states("METHOD", || stable().first("B")), [Some("Jo"), Some("Jo"), Some("Bo")]);
    let add = || stable().add("Al").horses.clone();
    assert_eq!(states("METHOD_MUT", add), [["Al", "Bo", "Jo"], ["Al", "Bo", "Jo"], ["Bo", "Jo", "Al"]]);
    let names = || stable().into_names();
    assert_eq!(states("METHOD_BY_VALUE", names), [["Jo", "Bo"], ["Jo", "Bo"], ["Bo", "Jo"]]);
    assert_eq!(states("METHOD_ARC", || Arc::new(stable()).share(3).len()), [1, 1, 3]);
    assert_eq!(states("ASSOCIATED", Stable::count), [0, 0, 2]);
    let listen = || futures_executor::block_on(stable().listen("x"));
    assert_eq!(states("ASYNC_METHOD", listen), ["old x 2", "old x 2", "new x 2"]);
}

trait Sounds {
    fn old_sound(&self, times: usize) -> String;
    fn sound(&self, times: usize) -> String;

    #[flipper::is_enabled(FEATURES, "PROVIDED_METHOD", redirect = Self::sound)]
    fn loud_sound(&self, times: usize) -> String {
        self.sound(times).to_uppercase()
    }

    async fn silence(&self, times: usize) -> usize;
}

impl Sounds for Stable {
    fn old_sound(&self, times: usize) -> String {
        "neigh".repeat(times)
    }

    #[flipper::is_enabled(FEATURES, "TRAIT_METHOD", redirect = <Self as Sounds>::old_sound)]
    fn sound(&self, times: usize) -> String {
        "whinny".repeat(times)
    }

    #[flipper::is_enabled(self.features, "ASYNC_IN_TRAIT")]
    async fn silence(&self, times: usize) -> usize {
        times * self.horses.len()
    }
}

impl<T> Sounds for [T] {
    fn old_sound(&self, times: usize) -> String {
        "old".repeat(times)
    }

    #[flipper::is_enabled(FEATURES, "GENERIC_TRAIT_METHOD", redirect = Self::old_sound)]
    fn sound(&self, times: usize) -> String {
        "new".repeat(times * self.len())
    }

    async fn silence(&self, _: usize) -> usize {
        0
    }
}

#[test]
fn methods_of_traits() {
    assert_eq!(states("TRAIT_METHOD", || stable().sound(1)), ["neigh", "neigh", "whinny"]);
    assert_eq!(states("PROVIDED_METHOD", || stable().loud_sound(1)), ["whinny", "whinny", "WHINNY"]);
    assert_eq!(states("GENERIC_TRAIT_METHOD", || [1, 2].sound(1)), ["old", "old", "newnew"]);
    assert_eq!(states("ASYNC_IN_TRAIT", || futures_executor::block_on(stable().silence(2))), [0, 0, 4]);
}

#[async_trait::async_trait]
trait Jobs: Sync {
    async fn run(&self, name: String, pair: (u8, String)) -> Result<String, String>;
    async fn run_old(&self, name: String, pair: (u8, String)) -> Result<String, String>;

    #[flipper::is_enabled(FEATURES, "ASYNC_TRAIT_PROVIDED", redirect = Self::run_old)]
    async fn run_loud(&self, name: String, pair: (u8, String)) -> Result<String, String> {
        self.run_old(name, pair).await.map(|text| text.to_uppercase())
    }

    async fn count(&mut self) -> usize;
}

#[async_trait::async_trait]
impl Jobs for Stable {
    #[flipper::is_enabled(
        self.features,
        "ASYNC_TRAIT",
        context = context! { name: &name, number: *number, horses: self.horses.len() },
        redirect = Self::run_old
    )]
    async fn run(&self, name: String, (number, text): (u8, String)) -> Result<String, String> {
        let other = self.run_old(name, (number, text)).await?;
        Ok(format!("new {other}"))
    }

    async fn run_old(&self, name: String, pair: (u8, String)) -> Result<String, String> {
        Ok(format!("old {name} {pair:?}"))
    }

    #[flipper::is_enabled(self.features, "ASYNC_TRAIT_OTHERWISE", otherwise = self.horses.len())]
    async fn count(&mut self) -> usize {
        self.horses.clear();
        self.horses.len()
    }
}

#[test]
fn methods_of_async_trait() {
    let run = || futures_executor::block_on(stable().run("n".into(), (1, "t".into()))).unwrap();
    assert_eq!(states("ASYNC_TRAIT", run), ["old n (1, \"t\")", "old n (1, \"t\")", "new old n (1, \"t\")"]);
    let run_loud = || futures_executor::block_on(stable().run_loud("n".into(), (1, "t".into()))).unwrap();
    assert_eq!(states("ASYNC_TRAIT_PROVIDED", run_loud)[1..], ["old n (1, \"t\")", "OLD N (1, \"T\")"]);
    assert_eq!(states("ASYNC_TRAIT_OTHERWISE", || futures_executor::block_on(stable().count())), [2, 2, 0]);
}
