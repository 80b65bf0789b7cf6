use std::fmt;

use serde::Serialize;

use super::FeatureFlag;
use super::wait::wait;
use crate::client;
use crate::error::Result;

/// A flag that is created by [`wait`](Self::wait); made by [`FeatureFlagClient::create`](super::FeatureFlagClient::create).
///
/// ```
/// # let features = flipper::blocking::connect("memory:")?;
/// use serde_json::json;
///
/// let flag = features.create("MY_FEATURE").enabled(true).client_data(json!({ "owner": "horses" })).wait()?;
/// assert!(flag.is_enabled());
/// features.create("MY_FEATURE").or_get().wait()?;
/// # Ok::<(), flipper::Error>(())
/// ```
#[must_use = "nothing is created until `wait` is called"]
pub struct Create<M> {
    create: client::Create<M>,
}

impl<M> Create<M> {
    pub(super) fn new(create: client::Create<M>) -> Self {
        Self { create }
    }

    /// Whether the flag is enabled; `false` by default.
    pub fn enabled(self, enabled: bool) -> Self {
        Self::new(self.create.enabled(enabled))
    }

    /// Your own data: anything that serialises to a JSON object.
    pub fn client_data(self, data: impl Serialize) -> Self {
        Self::new(self.create.client_data(data))
    }

    /// Whether the flag is [strict](crate::FlagRecord::is_strict).
    pub fn strict(self, strict: bool) -> Self {
        Self::new(self.create.strict(strict))
    }

    /// Keeps an existing flag: for start-up code that must not undo foreign changes.
    pub fn or_get(self) -> Self {
        Self::new(self.create.or_get())
    }

    /// Overwrites an existing flag, conditions, bucketer and client data included.
    pub fn replace(self) -> Self {
        Self::new(self.create.replace())
    }
}

impl<M: Clone + Send + Sync + 'static> Create<M> {
    /// Creates the flag.
    ///
    /// # Errors
    ///
    /// As [`create`](crate::FeatureFlagClient::create).
    pub fn wait(self) -> Result<FeatureFlag<M>> {
        wait(self.create).map(FeatureFlag::from)
    }
}

impl<M> fmt::Debug for Create<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::Create").field(&self.create).finish()
    }
}
