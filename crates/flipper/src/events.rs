//! Changes of flags by any writer; and the writes of one client, for its subscribers.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Weak};

use crate::bucketing::Bucketer;
use crate::conditions::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::guarded;
use crate::json::{Json, Object};
use crate::lock::RwLock;
pub use crate::table::{Change, Changes};

/// A write of this client to one flag.
#[derive(Clone, Debug)]
pub struct WriteEvent {
    name: Arc<str>,
    verb: Verb,
}

/// What a write does, with its arguments.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verb {
    /// `create`, if it writes.
    Create {
        /// Whether the new flag is enabled.
        is_enabled: bool,
        /// Its client data, if any was passed.
        client_data: Option<Json>,
    },
    /// `enable`.
    Enable,
    /// `disable`.
    Disable,
    /// `destroy`.
    Destroy,
    /// `set_client_data`, with the data after the merge.
    SetClientData(Object),
    /// `add_condition`.
    AddCondition(Condition),
    /// `set_conditions`.
    SetConditions(Vec<Condition>),
    /// `set_bucketer`.
    SetBucketer(Bucketer),
    /// `update`.
    Update,
    /// `restore`.
    Restore,
}

const NAMES: [&str; 10] = [
    "create",
    "enable",
    "disable",
    "destroy",
    "set_client_data",
    "add_condition",
    "set_conditions",
    "set_bucketer",
    "update",
    "restore",
];

impl Verb {
    /// The [`name`](Self::name) of a verb that is this text, which a server received.
    #[must_use]
    pub fn name_of(text: &str) -> Option<&'static str> {
        NAMES.into_iter().find(|name| *name == text)
    }

    /// The method's name, as a history has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Destroy => "destroy",
            Self::SetClientData(_) => "set_client_data",
            Self::AddCondition(_) => "add_condition",
            Self::SetConditions(_) => "set_conditions",
            Self::SetBucketer(_) => "set_bucketer",
            Self::Update => "update",
            Self::Restore => "restore",
        }
    }
}

impl WriteEvent {
    pub(crate) fn new(name: &str, verb: Verb) -> Self {
        Self { name: name.into(), verb }
    }

    /// The flag's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the write does.
    #[must_use]
    pub fn verb(&self) -> &Verb {
        &self.verb
    }
}

/// Is called before and after every write of a client, in the task that writes, so it should be quick; in the order of subscription. A
/// panic is logged; before a write it is a veto.
pub trait Subscriber: Send + Sync + 'static {
    /// Called once, after the flag was read. An error vetoes the write, and is the source of [`ErrorKind::Vetoed`].
    ///
    /// # Errors
    ///
    /// The reason for the veto.
    fn pre(&self, event: &WriteEvent) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let _ = event;
        Ok(())
    }

    /// Called after the store has acknowledged the write.
    fn post(&self, event: &WriteEvent) {
        let _ = event;
    }
}

/// Makes a closure a [`Subscriber`] that is called before each write, and may veto it.
///
/// ```
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// # use flipper::events::{Pre, Verb};
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let _subscription = features.subscribe(Pre(|event: &flipper::events::WriteEvent| match event.verb() {
///     Verb::Destroy => Err("flags are not destroyed here".into()),
///     _ => Ok(()),
/// }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pre<F>(pub F);

impl<F> Subscriber for Pre<F>
where
    F: Fn(&WriteEvent) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
{
    fn pre(&self, event: &WriteEvent) -> Result<(), Box<dyn StdError + Send + Sync>> {
        (self.0)(event)
    }
}

/// Makes a closure a [`Subscriber`] that is called after each write.
///
/// ```
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// # use flipper::events::Post;
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let _subscription = features.subscribe(Post(|event: &flipper::events::WriteEvent| {
///     println!("{}: {:?}", event.name(), event.verb());
/// }));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Post<F>(pub F);

impl<F: Fn(&WriteEvent) + Send + Sync + 'static> Subscriber for Post<F> {
    fn post(&self, event: &WriteEvent) {
        (self.0)(event);
    }
}

/// Ends a subscription when it is dropped.
#[must_use = "the subscription ends when this is dropped"]
pub struct Subscription {
    subscribers: Weak<Subscribers>,
    subscriber: Arc<dyn Subscriber>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(subscribers) = self.subscribers.upgrade() {
            let mut list = subscribers.0.write();
            list.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Subscribers(RwLock<Vec<Arc<dyn Subscriber>>>);

impl Subscribers {
    pub(crate) fn add(self: &Arc<Self>, subscriber: Arc<dyn Subscriber>) -> Subscription {
        self.0.write().push(subscriber.clone());
        Subscription { subscribers: Arc::downgrade(self), subscriber }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub(crate) fn pre(&self, event: &WriteEvent) -> Result<()> {
        self.list()
            .iter()
            .try_for_each(|subscriber| {
                guarded(|| subscriber.pre(event)).unwrap_or_else(|panic| {
                    tracing::error!(
                        flag = event.name(),
                        panic,
                        "a subscriber panicked before a write, which is not done"
                    );
                    Err(format!("a subscriber panicked: {panic}").into())
                })
            })
            .map_err(|error| Error::new(ErrorKind::Vetoed).with_flag(event.name()).with_source(error))
    }

    pub(crate) fn post(&self, event: &WriteEvent) {
        for subscriber in self.list() {
            if let Err(panic) = guarded(|| subscriber.post(event)) {
                tracing::error!(flag = event.name(), panic, "a subscriber panicked after a write, which is done");
            }
        }
    }

    /// A copy: subscribers, which may subscribe or write, run without a lock.
    fn list(&self) -> Vec<Arc<dyn Subscriber>> {
        self.0.read().clone()
    }
}

impl fmt::Debug for Subscribers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} subscribers", self.list().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_is_known_by_its_name() {
        let conditions = vec![Condition::new()];
        for verb in [
            Verb::Create { is_enabled: true, client_data: None },
            Verb::Enable,
            Verb::Disable,
            Verb::Destroy,
            Verb::SetClientData(Object::new()),
            Verb::AddCondition(Condition::new()),
            Verb::SetConditions(conditions),
            Verb::SetBucketer(Bucketer::NoOp),
            Verb::Update,
            Verb::Restore,
        ] {
            assert_eq!(Verb::name_of(verb.name()), Some(verb.name()));
        }
        assert_eq!(Verb::name_of("flip"), None);
    }
}
