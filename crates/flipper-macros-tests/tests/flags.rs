//! `flipper::flags!`, in a crate that denies warnings.
#![deny(warnings, missing_docs, missing_debug_implementations, clippy::all, clippy::pedantic)]

use std::fmt::Debug;

use flipper::evaluation::Reason;
use flipper::events::Change;
use flipper::json::Json;
use flipper::targeting::{Variant, Variants};
use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};
use futures_executor::block_on;
use futures_util::{FutureExt, StreamExt};

const PREFIX_SEARCH: &str = "search.prefix";

flipper::flags! {
    /// The flags of the shop.
    pub struct Flags {
        /// Louder horses.
        improved_horse_sounds: "Improved horse sounds",
        new_checkout = true,
        pub(crate) r#type,
        prefix_search: PREFIX_SEARCH,
        suffix_search: concat!("search", ".suffix") = cfg!(test),
        #[cfg(any())]
        gone: "never",
        #[cfg(not(any()))]
        there: "never" = true,
    }
}

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[test]
fn names_in_the_order_of_the_fields() {
    let names = ["Improved horse sounds", "NEW_CHECKOUT", "TYPE", "search.prefix", "search.suffix", "never"];
    assert_eq!(Flags::NAMES, names);
}

#[test]
fn new_creates_nothing_and_defaults_answer() {
    let features = client();
    let flags = Flags::new(&features);
    assert!(features.list().is_empty());
    assert_eq!(answers(&flags), [false, true, false, false, true, true]);
    let with = flags.new_checkout.evaluate(&context! { user_id: 7 });
    assert_eq!((with.is_enabled, with.reason), (true, Reason::NoSuchFlag));
    assert!(flags.new_checkout.is_enabled_with(&context! { user_id: 7 }));
    assert!(block_on(flags.new_checkout.fetch_enabled(&context! {})).unwrap());
    assert!(!block_on(flags.r#type.fetch_enabled(&context! {})).unwrap());
}

fn answers(flags: &Flags) -> [bool; 6] {
    let Flags { improved_horse_sounds, new_checkout, r#type, prefix_search, suffix_search, there } = flags;
    [improved_horse_sounds, new_checkout, r#type, prefix_search, suffix_search, there]
        .map(flipper::FeatureFlag::is_enabled)
}

#[test]
fn register_creates_what_is_missing_with_its_default() {
    let features = client();
    let flags = block_on(Flags::register(&features)).unwrap();
    assert!(Flags::NAMES.iter().all(|name| features.exists(name)));
    let by_name: Vec<_> = Flags::NAMES.iter().map(|name| features.is_enabled(name)).collect();
    assert_eq!(by_name, answers(&flags));
    assert_eq!(answers(&flags), [false, true, false, false, true, true]);
}

#[test]
fn register_touches_nothing_that_is_there() {
    let features = client();
    let before = block_on(async {
        let flag = features.create("NEW_CHECKOUT").client_data(serde_json::json!({ "owner": "shop" })).await.unwrap();
        flag.add_condition(Condition::new().eq("plan", "pro")).await.unwrap();
        flag.record().unwrap()
    });
    let mut changes = features.changes();
    let flags = block_on(Flags::register(&features)).unwrap();
    assert!(!flags.new_checkout.is_enabled());
    assert_eq!(features.record("NEW_CHECKOUT").unwrap(), before);

    block_on(Flags::register(&features)).unwrap();
    let mut names = Vec::new();
    while let Some(Some(Change::Set { name, .. })) = changes.next().now_or_never() {
        names.push(name);
    }
    assert_eq!(names, ["Improved horse sounds", "TYPE", "search.prefix", "search.suffix", "never"]);
}

#[test]
fn fields_are_handles_with_all_verbs() {
    let features = client();
    let flags = block_on(Flags::register(&features)).unwrap();
    let clone = flags.clone();
    block_on(flags.improved_horse_sounds.enable()).unwrap();
    block_on(flags.new_checkout.disable()).unwrap();
    assert_eq!(answers(&clone), [true, false, false, false, true, true]);
    block_on(flags.new_checkout.destroy()).unwrap();
    assert!(clone.new_checkout.is_enabled(), "the default again");
    assert_eq!(flags.improved_horse_sounds.name(), "Improved horse sounds");
}

flipper::flags! {
    /// Flags with variants.
    pub struct Typed {
        colour: "BUTTON.COLOUR" -> &'static str = "grey",
        pub(crate) page_size -> i64 = 20,
        ratio: "RATIO" -> f64 = 0.5,
        plain,
    }
}

#[test]
fn variants_have_types() {
    let features = client();
    let flags = block_on(Typed::register(&features)).unwrap();
    assert_eq!(Typed::NAMES, ["BUTTON.COLOUR", "PAGE_SIZE", "RATIO", "PLAIN"]);
    let context = context! { user_id: 7 };
    assert_eq!((&*flags.colour.get(&context), flags.page_size.get(&context)), ("grey", 20));
    let of = |name: &str, value: Json| Variants::new("user_id").with(Variant::new(name, 100.0).value(value));
    block_on(async {
        features.set_variants("BUTTON.COLOUR", of("red", "#f00".into())).await.unwrap();
        features.set_variants("PAGE_SIZE", of("large", 100.into())).await.unwrap();
        features.enable("BUTTON.COLOUR").await.unwrap();
        flags.page_size.flag().enable().await.unwrap();
    });
    assert_eq!((&*flags.colour.get(&context), flags.page_size.get(&context)), ("#f00", 100));
    assert!((flags.ratio.get(&context) - 0.5).abs() < f64::EPSILON && !flags.plain.is_enabled());
    let scope = features.scope(context);
    assert!(scope.is_enabled(&flags.page_size) && scope.variant(&flags.page_size, 1) == 100);
    block_on(features.disable("PAGE_SIZE")).unwrap();
    assert_eq!((scope.variant("PAGE_SIZE", 1), flags.page_size.get(&context! {})), (100, 20));
}

#[test]
fn futures_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    let features = client();
    assert_send(&Flags::register(&features));
}

#[test]
fn in_a_function_and_with_other_derives() {
    flipper::flags! {
        #[derive(Clone)]
        struct Local { only }
    }
    let local = Local::new(&client());
    let clone = local.clone();
    assert_eq!((local.only.is_enabled(), clone.only.is_enabled()), (false, false));
    assert_eq!(Local::NAMES, ["ONLY"]);
}

#[test]
fn debug_names_the_fields() {
    fn text(value: &impl Debug) -> String {
        format!("{value:?}")
    }
    assert!(text(&Flags::new(&client())).starts_with("Flags { improved_horse_sounds: FeatureFlag { name: \"Improved"));
}

mod elsewhere {
    //! Where nothing of the crate is in scope.
    pub(super) mod flipper {}

    ::flipper::flags! {
        pub(super) struct Flags { visible, pub(self) hidden }
    }

    #[::flipper::is_enabled(flags.hidden, otherwise = flags.visible.is_enabled())]
    pub(super) fn is_hidden(flags: &Flags) -> bool {
        !flags.visible.is_enabled()
    }
}

#[test]
fn visibility_is_that_of_the_struct() {
    let features = client();
    let flags = elsewhere::Flags::new(&features);
    assert!(!elsewhere::is_hidden(&flags));
    block_on(elsewhere::Flags::register(&features)).unwrap();
    block_on(features.enable("HIDDEN")).unwrap();
    assert!(!flags.visible.is_enabled());
    assert!(elsewhere::is_hidden(&flags));
}
