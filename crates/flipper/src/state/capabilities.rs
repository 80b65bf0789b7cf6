/// How stores differ; by default they are polled.
///
/// ```
/// use flipper::store::Capabilities;
///
/// let capabilities = Capabilities::default().with_push().with_ordered_versions();
/// assert!(capabilities.push && capabilities.ordered_versions && !capabilities.shared_with_python);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// [`watch`](crate::FeatureFlagStore::watch) emits changes when they happen, as far as the server permits.
    pub push: bool,
    /// Every version has a number; see [`Version::ordered`](crate::store::Version::ordered).
    pub ordered_versions: bool,
    /// The Python library `flipper-client` may use the same flags. A write then warns of what it cannot load or would drop.
    pub shared_with_python: bool,
    /// Every write is in [`history`](crate::FeatureFlagStore::history).
    pub history: bool,
}

impl Capabilities {
    /// Changes are pushed.
    #[must_use]
    pub const fn with_push(mut self) -> Self {
        self.push = true;
        self
    }

    /// Versions are ordered.
    #[must_use]
    pub const fn with_ordered_versions(mut self) -> Self {
        self.ordered_versions = true;
        self
    }

    /// Writes are in a history.
    #[must_use]
    pub const fn with_history(mut self) -> Self {
        self.history = true;
        self
    }

    /// Python programs share the flags.
    #[must_use]
    pub const fn shared_with_python(mut self) -> Self {
        self.shared_with_python = true;
        self
    }
}
