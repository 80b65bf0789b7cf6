//! What the macros' expansions call. Not public API: any release may change it.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

pub use flipper_macros::flags;

use crate::background;
use crate::client::{Checks, FeatureFlag, FeatureFlagClient, VariantFlag};
use crate::error::Result;
use crate::evaluation::FlagValue;
use crate::pause::Pause;

/// Between attempts to register a flag.
const PAUSE: Pause = Pause::new(Duration::from_millis(100), Duration::from_secs(10));

/// Refuses an invalid name at compile time, as [`validate_new_name`](crate::store::validate_new_name) does.
#[must_use]
pub const fn flag_name(name: &'static str) -> &'static str {
    let bytes = name.as_bytes();
    assert!(!bytes.is_empty(), "a flag's name cannot be empty: give it 1 to 255 bytes");
    assert!(bytes.len() <= 255, "this flag's name is too long: shorten it to at most 255 bytes");
    let mut at = 0;
    while at < bytes.len() {
        assert!(bytes[at] != b'/', "a flag's name cannot have a `/`: write `_`, `-` or `.` instead");
        // U+0080 to U+009F.
        let is_control = bytes[at].is_ascii_control() || (bytes[at] == 0xc2 && bytes[at + 1] < 0xa0);
        assert!(!is_control, "a flag's name cannot have control characters: take them out");
        at += 1;
    }
    name
}

/// Refuses two fields for one flag at compile time.
pub const fn assert_distinct(names: &[&str]) {
    let mut first = 0;
    while first < names.len() {
        let mut second = first + 1;
        while second < names.len() {
            assert!(
                !is_equal(names[first], names[second]),
                "two fields are the same flag: take out one, or give it another name"
            );
            second += 1;
        }
        first += 1;
    }
}

const fn is_equal(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

/// The argument of the attribute that names no flag.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no flag, and the attribute names none",
    label = "which flag of it is asked?",
    note = "add the flag's name: `#[flipper::is_enabled(features, \"MY_FEATURE\")]`",
    note = "or give a handle: a field of a `flipper::flags!` struct, or what `features.get(\"MY_FEATURE\")` returned"
)]
pub trait Handle {
    fn handle(&self) -> &FeatureFlag;
}

impl Handle for FeatureFlag {
    #[inline]
    fn handle(&self) -> &FeatureFlag {
        self
    }
}

impl<H: Handle + ?Sized> Handle for &H {
    #[inline]
    fn handle(&self) -> &FeatureFlag {
        (**self).handle()
    }
}

impl<H: Handle + ?Sized> Handle for Arc<H> {
    #[inline]
    fn handle(&self) -> &FeatureFlag {
        (**self).handle()
    }
}

impl<H: Handle> Handle for LazyLock<H> {
    #[inline]
    fn handle(&self) -> &FeatureFlag {
        (**self).handle()
    }
}

#[inline]
pub fn handle<H: Handle + ?Sized>(handle: &H) -> &FeatureFlag {
    handle.handle()
}

/// The result of a function without `redirect` and `otherwise` while its flag is off.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default value to return while the flag is off",
    label = "say here what to return while the flag is off",
    note = "add `redirect = PATH`, a function with the same arguments and return type",
    note = "or `otherwise = EXPRESSION`, a value to return",
    note = "or implement `Default` for the return type"
)]
pub trait ReturnedWhenOff: Sized {
    fn value() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> ReturnedWhenOff for T {
    #[inline]
    fn value() -> Self {
        T::default()
    }
}

#[inline]
#[must_use]
pub fn returned_when_off<T: ReturnedWhenOff>() -> T {
    T::value()
}

/// The result of an `async fn`'s redirect.
#[diagnostic::on_unimplemented(
    message = "the redirect of an `async fn` must be async, and this one returns `{Self}`, which cannot be awaited",
    label = "not an `async fn`",
    note = "make the redirect an `async fn` with the same arguments and return type"
)]
pub trait AsyncRedirect: Future<Output = Self::Value> {
    type Value;
}

#[diagnostic::do_not_recommend]
impl<F: Future> AsyncRedirect for F {
    type Value = F::Output;
}

#[inline]
pub fn redirected<F: AsyncRedirect>(future: F) -> impl Future<Output = F::Value> {
    future
}

/// A field of a `flags!` struct.
#[must_use]
pub fn flag<M: Checks>(features: &FeatureFlagClient<M>, name: &'static str, default: bool) -> FeatureFlag {
    features.local().get(name).with_default(default)
}

/// A field of a `flags!` struct whose flag has variants.
#[must_use]
pub fn variant_flag<M: Checks, V: FlagValue + Clone>(
    features: &FeatureFlagClient<M>,
    name: &'static str,
    default: V,
) -> VariantFlag<V> {
    features.local().get(name).typed(default)
}

/// Creates the flags that the store lacks.
///
/// # Errors
///
/// As [`FeatureFlagClient::create`], for the first flag that cannot be created.
pub async fn register<M: Checks>(features: &FeatureFlagClient<M>, flags: &[(&'static str, bool)]) -> Result<()> {
    let features = features.local();
    for &(name, enabled) in flags {
        // It asks the store: memory may lag.
        features.create(name).enabled(enabled).or_get().await?;
    }
    Ok(())
}

/// As [`register`], by a task on flipper's thread that runs until all exist.
pub fn register_in_background<M: Checks>(features: &FeatureFlagClient<M>, flags: &[(&'static str, bool)]) {
    let (features, flags) = (features.local(), flags.to_vec());
    match background::handle() {
        Ok(handle) => drop(handle.spawn(async move {
            for (flag, enabled) in flags {
                register_one(&features, flag, enabled).await;
            }
        })),
        Err(error) => tracing::error!(error, "flags are not registered: the thread cannot be started"),
    }
}

async fn register_one(features: &FeatureFlagClient, flag: &'static str, enabled: bool) {
    let (mut pause, mut has_warned) = (PAUSE, false);
    loop {
        match features.create(flag).enabled(enabled).or_get().await {
            Ok(_) => return,
            Err(error) if error.is_transient() => {
                if !std::mem::replace(&mut has_warned, true) {
                    tracing::warn!(
                        flag,
                        error = error.chain(),
                        "flag is not registered yet; its default is used until then"
                    );
                }
                background::sleep(pause.next()).await;
            }
            Err(error) => {
                tracing::error!(flag, error = error.chain(), "flag cannot be registered; its default is used");
                return;
            }
        }
    }
}

/// Defines a struct with a handle for each flag: the compiler checks the names.
///
/// ```
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// flipper::flags! {
///     /// The flags of the stable.
///     pub struct Flags {
///         /// Louder horses.
///         improved_horse_sounds: "IMPROVED_HORSE_SOUNDS",
///         new_checkout = true,
///         horses_per_page -> i64 = 20,
///     }
/// }
///
/// # futures_executor::block_on(async {
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let flags = Flags::new(&features);
/// assert!(!flags.improved_horse_sounds.is_enabled());
/// assert!(flags.new_checkout.is_enabled(), "the default, while the flag does not exist");
/// assert_eq!(flags.horses_per_page.get(&flipper::context! { user_id: 7 }), 20);
///
/// Flags::register(&features).await?;
/// flags.improved_horse_sounds.enable().await?;
/// assert!(flags.improved_horse_sounds.is_enabled());
/// assert!(features.is_enabled("NEW_CHECKOUT"));
/// assert_eq!(Flags::NAMES, ["IMPROVED_HORSE_SOUNDS", "NEW_CHECKOUT", "HORSES_PER_PAGE"]);
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// After `:` comes the flag's name, by default the field's in upper case; after `=` the default, else `false`. With `->`
/// and a type the field is a [`VariantFlag`](crate::client::VariantFlag), whose variants have values of that type. `new(&features)` creates no
/// flags, `register(&features).await` and `register_in_background(&features)` those that are missing; `NAMES` has all names. The
/// [guide](crate::_guide::in_application) has more. The struct is `Clone` and `Debug`, unless it has its own `#[derive(…)]`. `features`
/// must have checks from memory.
#[macro_export]
macro_rules! flags {
    ($($tokens:tt)*) => { $crate::__private::flags! { ($crate) $($tokens)* } };
}
