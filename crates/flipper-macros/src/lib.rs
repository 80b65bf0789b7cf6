//! The macros of `flipper-client`, exported as `flipper::is_enabled`, with an example, and `flipper::flags!` (feature `macros`). The guide
//! is `docs/in-application.md`.

mod flag_name;
mod flags;
mod is_enabled;
mod name_rules;

use proc_macro::TokenStream;

/// Calls the function only while a flag is on.
///
/// # Arguments
///
/// First the client (any expression), then the flag's name (a string or a constant). A handle replaces both:
/// `#[flipper::is_enabled(flags().new_checkout)]`. Then, in any order:
///
/// - `redirect = PATH`: the function to call while the flag is off, with the same arguments (`self` first), and `async` if this one is.
///   `Self::old`, `crate::shop::old` and `old::<T>` are paths.
/// - `otherwise = EXPRESSION`: the value to return while the flag is off, evaluated only then; by default the return type's `Default`.
/// - `context = EXPRESSION`: the attributes to check with, as in `is_enabled_with`.
/// - `crate = PATH`: the crate `flipper`, if it is not `::flipper`.
///
/// Expressions may use the function's arguments and `self`.
///
/// If an argument is a pattern with `..` or `_`, the client's expression and `context` see its bindings as references.
///
/// # Expansion
///
/// The body is put into an `if`; all else stays. An `async fn`, and a method of an `#[async_trait]`, checks the flag when first polled.
#[proc_macro_attribute]
pub fn is_enabled(arguments: TokenStream, item: TokenStream) -> TokenStream {
    is_enabled::expand(arguments.into(), &item.into()).into()
}

/// Called by `flipper::flags!`, which passes its crate's path first.
#[doc(hidden)]
#[proc_macro]
pub fn flags(tokens: TokenStream) -> TokenStream {
    flags::expand(tokens.into()).into()
}
