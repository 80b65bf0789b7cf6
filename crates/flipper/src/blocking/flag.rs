use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use super::wait::wait;
use crate::bucketing::Bucketer;
use crate::client::{self, Local};
use crate::conditions::Condition;
use crate::context::Attributes;
use crate::error::Result;
use crate::record::FlagRecord;
use crate::scope::{FlagName, sealed};

/// A [`flipper::FeatureFlag`](crate::FeatureFlag) whose calls block; made by [`FeatureFlagClient::get`](super::FeatureFlagClient::get). It
/// dereferences to that handle, which has the checks.
///
/// ```
/// # let features = flipper::blocking::connect("memory:")?;
/// let flag = features.create("MY_FEATURE").wait()?;
/// flag.enable()?;
/// assert!(flag.is_enabled());
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// # Errors
///
/// Those of the `async` methods, and `Unsupported` on flipper's own thread.
#[derive(Clone)]
pub struct FeatureFlag<M = Local> {
    flag: client::FeatureFlag<M>,
}

impl<M> FeatureFlag<M> {
    /// Sets the answer for a flag that is missing or unreadable.
    #[must_use]
    pub fn with_default(self, default: bool) -> Self {
        self.flag.with_default(default).into()
    }

    /// The flag as the store has it.
    pub fn fetch(&self) -> Result<Option<Arc<FlagRecord>>> {
        wait(self.flag.fetch())
    }

    /// The check through the store.
    pub fn fetch_enabled(&self, context: &(impl Attributes + ?Sized)) -> Result<bool> {
        wait(self.flag.fetch_enabled(context))
    }
}

impl<M> sealed::Sealed for FeatureFlag<M> {}

impl<M> FlagName for FeatureFlag<M> {
    fn name(&self) -> &str {
        self.flag.name()
    }

    fn default_answer(&self) -> bool {
        self.flag.default_answer()
    }
}

impl<M: Clone + Send + Sync + 'static> FeatureFlag<M> {
    /// Enables the flag.
    pub fn enable(&self) -> Result<()> {
        wait(self.flag.enable())
    }

    /// Disables the flag.
    pub fn disable(&self) -> Result<()> {
        wait(self.flag.disable())
    }

    /// Flips the flag; returns the new state.
    pub fn toggle(&self) -> Result<bool> {
        wait(self.flag.toggle())
    }

    /// Destroys the flag; the handle stays valid.
    pub fn destroy(&self) -> Result<()> {
        wait(self.flag.destroy())
    }

    /// Merges top-level keys into the client data.
    pub fn set_client_data(&self, data: impl Serialize) -> Result<()> {
        wait(self.flag.set_client_data(data))
    }

    /// Adds a condition.
    pub fn add_condition(&self, condition: Condition) -> Result<()> {
        wait(self.flag.add_condition(condition))
    }

    /// Replaces all conditions.
    pub fn set_conditions(&self, conditions: impl IntoIterator<Item = Condition>) -> Result<()> {
        wait(self.flag.set_conditions(conditions))
    }

    /// Sets the bucketer.
    pub fn set_bucketer(&self, bucketer: impl Into<Bucketer>) -> Result<()> {
        wait(self.flag.set_bucketer(bucketer))
    }

    /// Changes several properties in one write.
    pub fn update(&self, change: impl FnMut(&mut FlagRecord) -> Result<()> + Send) -> Result<()> {
        wait(self.flag.update(change))
    }
}

impl<M> Deref for FeatureFlag<M> {
    type Target = client::FeatureFlag<M>;

    fn deref(&self) -> &Self::Target {
        &self.flag
    }
}

impl<M> AsRef<str> for FeatureFlag<M> {
    fn as_ref(&self) -> &str {
        self.flag.name()
    }
}

impl<M> From<client::FeatureFlag<M>> for FeatureFlag<M> {
    fn from(flag: client::FeatureFlag<M>) -> Self {
        Self { flag }
    }
}

impl<M> fmt::Debug for FeatureFlag<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::FeatureFlag").field(&self.flag).finish()
    }
}
