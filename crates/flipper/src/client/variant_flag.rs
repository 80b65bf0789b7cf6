use std::fmt;

use super::{Checks, FeatureFlag, Local};
use crate::context::Attributes;
use crate::evaluation::FlagValue;

/// A flag whose variants have values of one type, with the default of its checks; made by [`FeatureFlag::typed`], and by
/// [`flags!`](crate::flags).
#[derive(Clone)]
pub struct VariantFlag<V, M = Local> {
    flag: FeatureFlag<M>,
    default: V,
}

impl<M> FeatureFlag<M> {
    /// This flag, with the default for its variants' values.
    ///
    /// ```
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
    ///
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// let limit = features.get("LIMIT").typed(10);
    /// assert_eq!(limit.get(&context! { user_id: 7 }), 10);
    /// ```
    #[must_use]
    pub fn typed<V: FlagValue + Clone>(self, default: V) -> VariantFlag<V, M> {
        VariantFlag { flag: self, default }
    }
}

impl<V: FlagValue + Clone, M: Checks> VariantFlag<V, M> {
    /// The value of the variant for these attributes, or the default; see [`FeatureFlagClient::variant`](crate::FeatureFlagClient::variant).
    #[inline]
    pub fn get(&self, context: &(impl Attributes + ?Sized)) -> V::Value {
        self.flag.variant(context, self.default.clone())
    }
}

impl<V, M> VariantFlag<V, M> {
    /// The flag itself.
    #[must_use]
    pub fn flag(&self) -> &FeatureFlag<M> {
        &self.flag
    }
}

impl<V, M> AsRef<FeatureFlag<M>> for VariantFlag<V, M> {
    fn as_ref(&self) -> &FeatureFlag<M> {
        &self.flag
    }
}

impl<V: fmt::Debug, M> fmt::Debug for VariantFlag<V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VariantFlag").field("flag", &self.flag).field("default", &self.default).finish()
    }
}
