//! How a test overrides flags.

use std::sync::Arc;

use crate::client::FeatureFlagClient;
use crate::overrides::{self, OverrideGuard};

/// [`override_flags!`](crate::override_flags!) for names and answers made at run time.
///
/// ```
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// for number_of_combination in 0..4 {
///     let on = |flag: u32| number_of_combination >> flag & 1 == 1;
///     let _overrides = flipper::testing::override_flags(&features, [("A", on(0)), ("B", on(1))]);
///     assert_eq!(features.is_enabled("A"), on(0));
/// }
/// ```
pub fn override_flags<M, N: AsRef<str>>(
    features: &FeatureFlagClient<M>,
    answers: impl IntoIterator<Item = (N, bool)>,
) -> OverrideGuard {
    let answers: Arc<[_]> = answers.into_iter().map(|(name, answer)| (name.as_ref().to_owned(), answer)).collect();
    overrides::add(features.flags(), answers)
}

/// Overrides flags for this test, until the guard is dropped.
///
/// ```
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, override_flags};
///
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let _overrides = override_flags!(features, "NEW_CHECKOUT" => true, "OLD_CHECKOUT" => false);
/// assert!(features.is_enabled("NEW_CHECKOUT"));
/// assert!(!features.is_enabled_or("OLD_CHECKOUT", true));
/// ```
///
/// The first argument is a client, or dereferences to one; a name is a string or a [`FeatureFlag`](crate::FeatureFlag).
/// [`flipper::testing`](crate::testing) explains where an override holds.
#[macro_export]
macro_rules! override_flags {
    ($features:expr, $($name:expr => $answer:expr),+ $(,)?) => {
        $crate::testing::override_flags(
            &$features,
            [$((::core::convert::AsRef::<str>::as_ref(&$name), $answer)),+],
        )
    };
}
