use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{ConsistentHashPercentageBucketer, NO_OP, PercentageBucketer, SaltedPercentageBucketer, TYPE};
use crate::context::Attributes;
use crate::guard::{guarded, guarded_or};
use crate::json::Object;
use crate::{Error, Result};

/// A bucketer of your own; see [`register_bucketer`].
pub trait CustomBucketer: Debug + Send + Sync + 'static {
    /// The type name that it is registered and stored by.
    fn bucketer_type(&self) -> &str;

    /// The stored fields, without the type.
    fn fields(&self) -> Object;

    /// Whether the flag is on for this caller, perhaps without attributes. After a panic, which is logged once, it is off.
    fn is_enabled(&self, flag_name: &str, attributes: &dyn Attributes) -> bool;
}

type Factory = Arc<dyn Fn(&Object) -> Result<Arc<dyn CustomBucketer>> + Send + Sync>;

/// No lock, which a fork could leave held.
static FACTORIES: ArcSwapOption<BTreeMap<String, Factory>> = ArcSwapOption::const_empty();

/// Registers a type of bucketers in this process. Do it before the first client is made: until then a stored flag of this type is
/// `Corrupt`. The factory receives the stored fields, the type included.
///
/// ```
/// use std::sync::Arc;
/// use flipper::Bucketer;
/// use flipper::bucketing::{CustomBucketer, register_bucketer};
/// use flipper::context::{Attributes, Value};
/// use flipper::json::Object;
///
/// #[derive(Debug)]
/// struct EvenIds;
///
/// impl CustomBucketer for EvenIds {
///     fn bucketer_type(&self) -> &str {
///         "EvenIds"
///     }
///
///     fn fields(&self) -> Object {
///         Object::new()
///     }
///
///     fn is_enabled(&self, _flag_name: &str, attributes: &dyn Attributes) -> bool {
///         (0..attributes.len()).any(|index| {
///             matches!(attributes.attribute(index), ("user_id", Value::Int(id)) if id % 2 == 0)
///         })
///     }
/// }
///
/// register_bucketer("EvenIds", |_fields| Ok(Arc::new(EvenIds)))?;
/// let bucketer = Bucketer::Custom(Arc::new(EvenIds));
/// # assert_eq!(bucketer.bucketer_type(), "EvenIds");
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// # Errors
///
/// `InvalidInput` if the name is this crate's or registered.
pub fn register_bucketer(
    type_name: &str,
    factory: impl Fn(&Object) -> Result<Arc<dyn CustomBucketer>> + Send + Sync + 'static,
) -> Result<()> {
    let own = [NO_OP, PercentageBucketer::TYPE, ConsistentHashPercentageBucketer::TYPE, SaltedPercentageBucketer::TYPE];
    let factory: Factory = Arc::new(factory);
    let mut is_new = false;
    FACTORIES.rcu(|known| {
        let mut factories = known.as_deref().cloned().unwrap_or_default();
        is_new = !own.contains(&type_name) && !factories.contains_key(type_name);
        if is_new {
            factories.insert(type_name.to_owned(), factory.clone());
        }
        Some(Arc::new(factories))
    });
    match is_new {
        true => Ok(()),
        false => Err(Error::invalid_input(format!("bucketer type {type_name:?} is registered already"))),
    }
}

pub(crate) fn ask(bucketer: &dyn CustomBucketer, flag_name: &str, attributes: &dyn Attributes) -> bool {
    let what = || format!("the bucketer {:?} of flag {flag_name:?}", bucketer.bucketer_type());
    guarded_or(what, || bucketer.is_enabled(flag_name, attributes), || false)
}

pub(super) fn from_json(type_name: &str, fields: &Object) -> Result<Arc<dyn CustomBucketer>> {
    let factory = FACTORIES.load().as_ref().and_then(|factories| factories.get(type_name)).cloned();
    let factory = factory.ok_or_else(|| Error::corrupt(format!("bucketer {TYPE} {type_name:?} is unknown")))?;
    let made =
        guarded(|| factory(fields)).unwrap_or_else(|panic| Err(Error::corrupt(format!("factory panicked: {panic}"))));
    made.map_err(|error| Error::corrupt(format!("bucketer {type_name:?} cannot be made")).with_source(error))
}
