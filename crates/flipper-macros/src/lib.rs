//! The macros of the crate `flipper-client`, which has them as `flipper::is_enabled` and `flipper::flags!` (feature `macros`).
//! Their guide is `docs/in-application.md`.

mod flag_name;
mod flags;
mod is_enabled;

use proc_macro::TokenStream;

/// Asks a flag at each call of a function or method: while it is on the function runs, while it is off something else does.
///
/// ```
/// use std::sync::LazyLock;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// static FEATURES: LazyLock<FeatureFlagClient> =
///     LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
///
/// #[flipper::is_enabled(FEATURES, "IMPROVED_HORSE_SOUNDS", redirect = old_horse_sound)]
/// fn horse_sound(volume: u8) -> String {
///     format!("Whinny at {volume}")
/// }
///
/// fn old_horse_sound(volume: u8) -> String {
///     format!("Neigh at {volume}")
/// }
///
/// assert_eq!(horse_sound(3), "Neigh at 3");
/// # futures_executor::block_on(async {
/// FEATURES.create("IMPROVED_HORSE_SOUNDS").enabled(true).await?;
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// assert_eq!(horse_sound(3), "Whinny at 3");
/// ```
///
/// # Arguments
///
/// First the client (any expression, which may use the function's arguments and `self`), then the flag's name (a string or
/// a constant). A handle is both in one: `#[flipper::is_enabled(flags().new_checkout)]`. Then, in any order:
///
/// - `redirect = PATH`: the function to call while the flag is off, with the same arguments (`self` first), and `async` if
///   this one is. `Self::old`, `crate::shop::old` and `old::<T>` are paths.
/// - `otherwise = EXPRESSION`: what to return while the flag is off, if there is no redirect. It may use the arguments, and
///   is only evaluated then. Without either, it is the return type's `Default`.
/// - `context = EXPRESSION`: the attributes to check with, as for `is_enabled_with`; it may use the arguments.
/// - `crate = PATH`: where the crate `flipper` is, if not at `::flipper`.
///
/// Where an argument is a pattern with `..` or `_` in it, what it binds is there by reference in the client's expression
/// and in `context`.
///
/// # What becomes of the function
///
/// Its body stands in an `if`, nothing else changes: attributes, documentation, visibility, name and signature stay. An
/// `async fn` asks the flag when its future is first polled. Methods of an `#[async_trait]` count as `async`.
#[proc_macro_attribute]
pub fn is_enabled(arguments: TokenStream, item: TokenStream) -> TokenStream {
    is_enabled::expand(arguments.into(), &item.into()).into()
}

/// Behind `flipper::flags!`, which puts the path of its crate before the tokens that it was given.
#[doc(hidden)]
#[proc_macro]
pub fn flags(tokens: TokenStream) -> TokenStream {
    flags::expand(tokens.into()).into()
}
