mod all;
mod check;
pub(crate) mod compare;
mod ids;
mod operator;
mod ready;
mod sole;
mod stored;
pub(crate) mod text;
mod word;

pub use operator::Operator;
pub use text::ParseConditionError;

pub(crate) use all::AllChecks;
pub(crate) use check::Outcome;
use ids::Ids;
pub(crate) use ids::text_of;
pub(crate) use ready::ReadyCheck;
pub(crate) use sole::{Answers, Sole};
pub(crate) use word::Word;

use crate::context::Value;
use crate::json::Json;
use crate::names::Names;
use crate::{Error, Result};

const DELIMITER: &str = "__";

/// Checks on attributes, all of which must hold.
///
/// ```
/// use flipper::Condition;
///
/// let condition = Condition::new().eq("is_admin", true).gt("horses", 9000).one_of("plan", ["pro", "team"]);
/// assert_eq!(condition.to_string(), r#"is_admin = true and horses > 9000 and plan in ["pro", "team"]"#);
/// assert_eq!("is_admin = true and horses > 9000 and plan in pro,team".parse(), Ok(condition));
/// ```
///
/// # As text
///
/// `FromStr` and `Display` use `attribute operator value`, joined by `and`:
///
/// - The operators are `=` (or `==`), `!=` (`<>`), `<`, `<=`, `>`, `>=`, and with a list `in` and `not in`: `plan in pro,team`.
/// - A value is JSON if it parses as such (a number, `true`, `false`, `null`), else a string; quotes make a string.
/// - An attribute needs quotes if it is no single word, contains `__`, or is `and`, `or`, `in` or `not`.
/// - No checks, a list as the value of `=`, and a string as that of `in` have no form that parses again.
///
/// # Behavior
///
/// - A check whose attribute the context lacks is ignored, and so is an attribute without a check. A condition without checks holds.
/// - The same variable and operator again replace the value.
/// - Numbers compare by exact value whatever their type: `true`, `1` and `1.0` are equal, `2⁵³ + 1` is greater than the float `2⁵³`.
///   Strings compare by code point, lists by element, objects for equality only.
/// - `one_of` finds an equal element in a list; the operator `in` also a part of a string and a key of an object.
/// - A check that cannot compare (`3 > "a"`) fails with [`TypeMismatch`](crate::evaluation::Reason::TypeMismatch). Python raises
///   `TypeError`.
/// - Python splits a name with `__` when it loads it (`a__gt` is `a` with the operator `gt`), or fails: avoid it in flags that Python
///   reads.
/// - As a condition's value, NaN becomes null and an infinity the largest float: JSON has neither.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    variables: Names,
    /// For each variable, in the same order.
    checks: Vec<Vec<Check>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Check {
    operator: Operator,
    value: Json,
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $operator:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name<'a>(self, variable: &str, value: impl Into<Value<'a>>) -> Self {
            self.with(variable, Operator::$operator, value)
        }
    )*};
}

impl Condition {
    /// A condition without checks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One check in Python's spelling: `name` for equality, or `name__operator` with `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `not_in`.
    ///
    /// ```
    /// use flipper::Condition;
    ///
    /// assert_eq!(Condition::parse("horses__gt", 9000)?, Condition::new().gt("horses", 9000));
    /// assert!(Condition::parse("horses__GT", 9000).is_err());
    /// # Ok::<(), flipper::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an unknown operator or more than one `__`. (Python takes `a__b__gt` for a variable of that name.)
    pub fn parse<'a>(key: &str, value: impl Into<Value<'a>>) -> Result<Self> {
        Self::new().and(key, value)
    }

    /// A condition with one check for each pair, spelled as in [`parse`](Self::parse).
    ///
    /// ```
    /// use flipper::{Condition, context};
    ///
    /// let condition = Condition::parse_all(context! { is_admin: true, plan__in: ["pro", "team"] })?;
    /// assert_eq!(condition, Condition::new().eq("is_admin", true).one_of("plan", ["pro", "team"]));
    /// # Ok::<(), flipper::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_all<'a, K, V>(checks: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: AsRef<str>,
        V: Into<Value<'a>>,
    {
        checks.into_iter().try_fold(Self::new(), |condition, (key, value)| condition.and(key.as_ref(), value))
    }

    /// Adds a check spelled as in [`parse`](Self::parse).
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn and<'a>(self, key: &str, value: impl Into<Value<'a>>) -> Result<Self> {
        let mut parts = key.split(DELIMITER);
        let variable = parts.next().unwrap_or_default();
        let operator = match (parts.next(), parts.next()) {
            (None, _) => Operator::Eq,
            (Some(symbol), None) => Operator::from_symbol(symbol)
                .ok_or_else(|| Error::invalid_input(format!("condition {key:?} has no known operator")))?,
            (Some(_), Some(_)) => {
                return Err(Error::invalid_input(format!("condition {key:?} has more than one \"{DELIMITER}\"")));
            }
        };
        Ok(self.with(variable, operator, value))
    }

    comparisons! {
        /// The attribute equals the value.
        eq Eq;
        /// The attribute does not equal the value.
        ne Ne;
        /// The attribute is greater than the value.
        gt Gt;
        /// The attribute is at least the value.
        gte Gte;
        /// The attribute is less than the value.
        lt Lt;
        /// The attribute is at most the value.
        lte Lte;
    }

    /// The attribute equals one of the values.
    #[must_use]
    pub fn one_of<'a, V: Into<Value<'a>>>(self, variable: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.with_json(variable, Operator::In, list(values))
    }

    /// The attribute equals none of the values.
    #[must_use]
    pub fn not_one_of<'a, V: Into<Value<'a>>>(self, variable: &str, values: impl IntoIterator<Item = V>) -> Self {
        self.with_json(variable, Operator::NotIn, list(values))
    }

    /// Adds a check with any operator.
    #[must_use]
    pub fn with<'a>(self, variable: &str, operator: Operator, value: impl Into<Value<'a>>) -> Self {
        self.with_json(variable, operator, value.into().to_json())
    }

    /// Whether there are no checks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Variable, operator and value of each check, by variable.
    pub fn checks(&self) -> impl Iterator<Item = (&str, Operator, &Json)> {
        self.variables
            .iter()
            .zip(&self.checks)
            .flat_map(|(variable, checks)| checks.iter().map(move |check| (variable, check.operator, &check.value)))
    }

    fn with_json(mut self, variable: &str, operator: Operator, value: Json) -> Self {
        let place = self.variables.add(variable);
        if place == self.checks.len() {
            self.checks.push(Vec::new());
        }
        let checks = &mut self.checks[place];
        match checks.iter_mut().find(|check| check.operator == operator) {
            Some(check) => check.value = value,
            None => checks.push(Check { operator, value }),
        }
        self
    }
}

fn list<'a, V: Into<Value<'a>>>(values: impl IntoIterator<Item = V>) -> Json {
    Json::Array(values.into_iter().map(|value| value.into().to_json()).collect())
}
