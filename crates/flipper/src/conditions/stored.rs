//! The stored form: `{"foo": [{"variable": "foo", "value": true, "operator": null}, …], …}`.

use super::{Condition, DELIMITER, Operator};
use crate::json::{Json, Object};
use crate::{Error, Result};

impl Condition {
    /// One element of `meta.conditions`. The outer key is ignored: checks name their variables.
    ///
    /// # Errors
    ///
    /// `Corrupt` if Python would not write it: an unknown operator, a check without a value.
    pub fn from_json(json: &Json) -> Result<Self> {
        let groups = json.as_object().ok_or_else(|| Error::corrupt("condition is not an object"))?;
        let mut condition = Self::new();
        for (_, group) in groups {
            for check in checks(group)? {
                condition = condition.with_stored(check)?;
            }
        }
        Ok(condition)
    }

    fn with_stored(self, check: &Json) -> Result<Self> {
        let field =
            |name: &str| check.get(name).ok_or_else(|| Error::corrupt(format!("check of a condition has no {name:?}")));
        let variable = field("variable")?;
        // No attribute can have lone surrogates.
        let Json::String(variable) = variable else {
            return Err(Error::corrupt("variable of a check is not a string"));
        };
        let value = field("value")?.clone();
        let symbol = match field("operator")? {
            Json::Null => return Ok(self.with_json(variable, Operator::Eq, value)),
            symbol => symbol.as_str().ok_or_else(|| Error::corrupt("operator of a check is not a string"))?,
        };
        if let Some(operator) = Operator::from_symbol(symbol) {
            return Ok(self.with_json(variable, operator, value));
        }
        // Python joins both, and takes more than two parts for a variable's name.
        let joined = [variable.as_str(), symbol].join(DELIMITER);
        if joined.split(DELIMITER).count() > 2 {
            return Ok(self.with_json(&joined, Operator::Eq, value));
        }
        Err(Error::corrupt(format!("operator {symbol:?} of a check is unknown")))
    }

    /// The stored form, as Python writes it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let groups = self.variables.iter().zip(&self.checks).map(|(variable, checks)| {
            let checks = checks.iter().map(|check| {
                let mut object = Object::new();
                object.insert("variable", variable);
                object.insert("value", check.value.clone());
                object.insert("operator", check.operator.symbol().map_or(Json::Null, Json::from));
                Json::Object(object)
            });
            (variable, Json::Array(checks.collect()))
        });
        Json::Object(groups.collect())
    }
}

/// Python iterates over any value: empty strings and objects count as empty lists.
fn checks(group: &Json) -> Result<&[Json]> {
    match group {
        Json::Array(checks) => Ok(checks),
        Json::String(text) if text.is_empty() => Ok(&[]),
        Json::Object(object) if object.is_empty() => Ok(&[]),
        _ => Err(Error::corrupt("checks of a condition are not a list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn condition(text: &str) -> Result<Condition> {
        Condition::from_json(&Json::parse(text).unwrap())
    }

    #[test]
    fn round_trip() {
        let text = r#"{"foo": [{"variable": "foo", "value": true, "operator": null}, {"variable": "foo", "value": [1], "operator": "in"}]}"#;
        assert_eq!(condition(text).unwrap().to_json().to_string(), text);
        assert_eq!(condition(text).unwrap(), Condition::new().eq("foo", true).one_of("foo", [1]));
    }

    #[test]
    fn variable_decides_and_the_last_value_wins_at_the_first_place() {
        let text = r#"{"other": [{"variable": "v", "value": 1, "operator": "gt", "x": 0},
            {"variable": "w", "value": 2, "operator": "gt"}, {"variable": "v", "value": 3, "operator": "gt"}], "e": {}}"#;
        assert_eq!(condition(text).unwrap(), Condition::new().gt("v", 3).gt("w", 2));
    }

    #[test]
    fn delimiters_in_a_variable_are_part_of_it() {
        let text = r#"{"a__b": [{"variable": "a__b", "value": 1, "operator": "gt"}]}"#;
        assert_eq!(condition(text).unwrap().to_json().to_string(), text);
    }

    #[test]
    fn unknown_operators_with_delimiters_are_part_of_the_variable_as_in_python() {
        let text = r#"{"v": [{"variable": "v", "value": 1, "operator": "gt__lt"}]}"#;
        assert_eq!(condition(text).unwrap(), Condition::new().eq("v__gt__lt", 1));
    }

    #[test]
    fn what_python_cannot_load_is_corrupt() {
        for text in [
            "[]",
            r#"{"v": 1}"#,
            r#"{"v": [1]}"#,
            r#"{"v": {"a": 1}}"#,
            r#"{"v": [{"value": 1, "operator": "gt"}]}"#,
            r#"{"v": [{"variable": "v", "operator": "gt"}]}"#,
            r#"{"v": [{"variable": "v", "value": 1}]}"#,
            r#"{"v": [{"variable": "v", "value": 1, "operator": "eq"}]}"#,
            r#"{"v": [{"variable": "v", "value": 1, "operator": 5}]}"#,
            r#"{"v": [{"variable": 5, "value": 1, "operator": null}]}"#,
        ] {
            assert_eq!(condition(text).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
    }
}
