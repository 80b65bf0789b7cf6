use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use foldhash::fast::RandomState;

use crate::client::{Checks, FeatureFlag, FeatureFlagClient, VariantFlag};
use crate::clock::Clock;
use crate::context::Context;
use crate::error::Result;
use crate::evaluation::{Chosen, Environment, Evaluation, FlagValue, Reason};
use crate::json::Json;
use crate::lock::Mutex;
use crate::record::FlagRecord;
use crate::table::{Entry, SlotHandle, State};

/// Reserved with the scope, so that the checks of most requests do not allocate.
const EXPECTED_FLAGS: usize = 7;

/// The flags as one request sees them: the attributes are set once, and a flag keeps its answer. Made by [`FeatureFlagClient::scope`].
///
/// The first check of a flag fixes its state: a random draw, a ramp's time, the client data, that it is missing. A scope is for one request
/// or job, and remembers every name that it checks.
///
/// Cheap to clone; clones share the answers.
///
/// ```
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
///
/// # futures_executor::block_on(async {
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// features.create("NEW_CHECKOUT").enabled(true).await?;
///
/// let scope = features.scope(context! { user_id: 7, plan: "pro" });
/// assert!(scope.is_enabled("NEW_CHECKOUT"));
///
/// features.disable("NEW_CHECKOUT").await?;
/// assert!(scope.is_enabled("NEW_CHECKOUT"), "this request goes on as it began");
/// assert!(!features.scope(context! { user_id: 7 }).is_enabled("NEW_CHECKOUT"));
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    client: FeatureFlagClient,
    context: Context,
    environment: Environment,
    answers: Mutex<HashMap<Key, Remembered, RandomState>>,
}

#[derive(Clone)]
struct Remembered {
    entry: Option<Arc<Entry>>,
    /// `None`: missing or unreadable; the default of the check.
    answer: Option<bool>,
    variant: Option<Chosen>,
    is_override: bool,
}

impl<M: Checks> FeatureFlagClient<M> {
    /// The [`Scope`] of a request with these attributes, from [`context!`](crate::context!) or a [`Context`].
    #[must_use]
    pub fn scope(&self, context: impl Into<Context>) -> Scope {
        let client = self.local();
        let environment = client.environment();
        let moment = Moment { clock: environment.clock.clone(), read: OnceLock::new() };
        let environment = Environment { clock: Arc::new(moment), random: environment.random.clone() };
        let answers = Mutex::new(HashMap::with_capacity_and_hasher(EXPECTED_FLAGS, RandomState::default()));
        Scope { inner: Arc::new(Inner { client, context: context.into(), environment, answers }) }
    }
}

impl Scope {
    /// Whether the flag is enabled; if it is missing or unreadable, `false` or the handle's default.
    #[must_use]
    pub fn is_enabled(&self, flag: impl FlagName) -> bool {
        self.answer(flag.name(), flag.default_answer())
    }

    /// As [`is_enabled`](Self::is_enabled), with `default` if it is missing or unreadable.
    #[must_use]
    pub fn is_enabled_or(&self, flag: impl FlagName, default: bool) -> bool {
        self.answer(flag.name(), default)
    }

    /// As [`is_enabled`](Self::is_enabled), with the reason; each call computes it, with a new draw or call of your bucketer.
    #[must_use]
    pub fn evaluate(&self, flag: impl FlagName) -> Evaluation {
        let name = flag.name();
        let Remembered { entry, answer, variant, is_override } = self.remembered(name, Remembered::clone);
        let is_enabled = answer.unwrap_or_else(|| flag.default_answer());
        if is_override {
            return Evaluation::of(is_enabled, Reason::Overridden);
        }
        let Inner { context, environment, .. } = &*self.inner;
        let evaluation = Entry::evaluate(entry.as_deref(), name, context, environment, is_enabled);
        // The first draw stays.
        Evaluation { is_enabled, variant, ..evaluation }
    }

    /// The value of the flag's variant, as at the first check; see [`FeatureFlagClient::variant`].
    #[must_use]
    pub fn variant<V: FlagValue>(&self, flag: impl FlagName, default: V) -> V::Value {
        let variant = self.remembered(flag.name(), |remembered| {
            let is_off = remembered.is_override && remembered.answer == Some(false);
            remembered.variant.as_ref().filter(|_| !is_off).and_then(V::read)
        });
        variant.unwrap_or_else(|| default.or_default())
    }

    /// The client data, as at the first check.
    ///
    /// # Errors
    ///
    /// `FlagNotFound`, or `Corrupt` if it is unreadable.
    pub fn client_data(&self, flag: impl FlagName) -> Result<Json> {
        Ok(self.record(flag)?.client_data().clone())
    }

    /// The whole flag, as at the first check.
    ///
    /// # Errors
    ///
    /// As [`client_data`](Self::client_data).
    pub fn record(&self, flag: impl FlagName) -> Result<Arc<FlagRecord>> {
        let name = flag.name();
        let entry = self.remembered(name, |remembered| remembered.entry.clone());
        let stored = entry.and_then(|entry| entry.to_stored(name));
        self.inner.client.readable(name, stored)
    }

    /// The request's attributes.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.inner.context
    }

    /// The client of this scope.
    #[must_use]
    pub fn client(&self) -> &FeatureFlagClient {
        &self.inner.client
    }

    fn answer(&self, name: &str, default: bool) -> bool {
        self.remembered(name, |remembered| remembered.answer).unwrap_or(default)
    }

    fn remembered<T>(&self, name: &str, get: impl Fn(&Remembered) -> T) -> T {
        if let Some(remembered) = self.inner.answers.lock().get(name) {
            return get(remembered);
        }
        // Unlocked: a user's bucketer may check another flag of this scope.
        let (key, looked_at) = self.look_at(name);
        // The first of two concurrent checks decides.
        get(self.inner.answers.lock().entry(key).or_insert(looked_at))
    }

    fn look_at(&self, name: &str) -> (Key, Remembered) {
        let Inner { client, context, environment, .. } = &*self.inner;
        let slot = client.table().slot(name);
        let key = slot.map_or_else(|| Key::Name(name.into()), |slot| Key::Slot(slot.to_handle()));
        let entry: Option<Arc<Entry>> = slot.and_then(|slot| slot.entry().clone());
        let overridden = client.overridden(name);
        let (answer, variant) = match entry.as_ref().map(|entry| &entry.state) {
            Some(State::Present { plan, .. }) if plan.has_variants() => {
                let (answer, variant) = plan.answer_with_variant(name, context, environment);
                (Some(answer), variant)
            }
            Some(State::Present { plan, .. }) if overridden.is_none() => {
                let settled = plan.settled_with_context();
                (Some(settled.unwrap_or_else(|| plan.is_enabled(name, context, environment))), None)
            }
            _ => (None, None),
        };
        let (answer, is_override) = (overridden.or(answer), overridden.is_some());
        (key, Remembered { entry, answer, variant, is_override })
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("client", &self.inner.client)
            .field("context", &self.inner.context)
            .finish_non_exhaustive()
    }
}

/// How a [`Scope`] takes a flag: by name, or by a handle, which may have a default. It is sealed.
pub trait FlagName: sealed::Sealed {
    /// The flag's name.
    fn name(&self) -> &str;

    /// The answer if the flag is missing or unreadable.
    fn default_answer(&self) -> bool {
        false
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

macro_rules! names {
    ($([$($generics:tt)*] $type:ty: $name:expr, $default:expr;)+) => {$(
        impl<$($generics)*> sealed::Sealed for $type {}

        impl<$($generics)*> FlagName for $type {
            fn name(&self) -> &str {
                let name: fn(&Self) -> &str = $name;
                name(self)
            }

            fn default_answer(&self) -> bool {
                let default: fn(&Self) -> bool = $default;
                default(self)
            }
        }
    )+};
}

names! {
    [] str: |name| name, |_| false;
    [] String: |name| name, |_| false;
    [M] FeatureFlag<M>: |flag| flag.name(), |flag| flag.default_answer();
    [V, M] VariantFlag<V, M>: |flag| flag.flag().name(), |flag| flag.flag().default_answer();
    [T: FlagName + ?Sized] &T: |flag| (**flag).name(), |flag| (**flag).default_answer();
}

/// A flag's name. That of a flag that exists or existed takes no more memory.
enum Key {
    Slot(SlotHandle),
    Name(Box<str>),
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        match self {
            Self::Slot(slot) => slot.name(),
            Self::Name(name) => name,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let name: &str = self.borrow();
        name.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let (name, other): (&str, &str) = (self.borrow(), other.borrow());
        name == other
    }
}

impl Eq for Key {}

/// The time of the first check, so that a ramp stands still for one request.
#[derive(Debug)]
struct Moment {
    clock: Arc<dyn Clock>,
    read: OnceLock<SystemTime>,
}

impl Clock for Moment {
    fn now(&self) -> SystemTime {
        *self.read.get_or_init(|| self.clock.recent())
    }
}
