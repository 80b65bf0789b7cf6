use std::time::Duration;

use crate::Bucketer;
use crate::bucketing::{AnyPercentage, LinearRampPercentage, PercentageBucketer};
use crate::json::Json;

const PERCENTAGE: &str = "percentage";

/// `25%`, or with a time `0..100%`: a ramp that begins now.
///
/// # Errors
///
/// What is wrong with it.
pub fn percentage(text: &str, over: Option<Duration>) -> Result<AnyPercentage, String> {
    match (text.split_once(".."), over) {
        (Some((first, last)), Some(over)) => {
            // One percent sign is enough for both.
            let first = if first.trim_end().ends_with('%') { share(first)? } else { share(&format!("{first}%"))? };
            Ok(LinearRampPercentage::new(first, share(last)?, over).into())
        }
        (Some(_), None) => Err("a rollout from one share to another takes time".to_owned()),
        (None, Some(_)) => Err("a rollout that takes time needs two shares".to_owned()),
        (None, None) => Ok(share(text)?.into()),
    }
}

/// Parses `25%` as 0.25.
///
/// # Errors
///
/// What is wrong with it.
pub fn share(text: &str) -> Result<f64, String> {
    let not_one = || format!("{text:?} is no percentage");
    let number = text.trim().strip_suffix('%').ok_or_else(not_one)?;
    match number.trim().parse::<f64>() {
        // Rounded as text, so that 7% is 0.07 and not 0.07000000000000001.
        Ok(percent) if (0.0..=100.0).contains(&percent) => {
            Ok(format!("{:.8}", percent / 100.0).parse().unwrap_or(percent / 100.0))
        }
        Ok(_) => Err(format!("{text:?} is not between 0% and 100%")),
        Err(_) => Err(not_one()),
    }
}

/// The same bucketer with another share.
///
/// # Errors
///
/// If it takes none.
pub fn with_share(before: &Bucketer, percentage: &AnyPercentage) -> Result<Bucketer, String> {
    let mut stored = before.to_json();
    let share = Bucketer::from(PercentageBucketer::new(percentage.clone())).to_json();
    if let (Json::Object(fields), Some(share)) = (&mut stored, share.get(PERCENTAGE)) {
        fields.insert(PERCENTAGE, share.clone());
    }
    Bucketer::from_json(&stored).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(["0%", "7%", "12.5 %", "100%"].map(|text| share(text).unwrap()), [0.0, 0.07, 0.125, 1.0]);
        for text in ["25", "0.25", "101%", "-1%", "NaN%", "x%", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ramps_take_time() {
        let hour = Some(Duration::from_secs(3600));
        assert!(matches!(percentage("5..50%", hour), Ok(AnyPercentage::Ramp(_))));
        assert!(matches!(percentage("5%..50%", hour), Ok(AnyPercentage::Ramp(_))));
        assert!(matches!(percentage("50%", None), Ok(AnyPercentage::Fixed(_))));
        for (text, over) in [("5..50%", None), ("50%", hour), ("..50%", hour), ("5..", hour), ("5..50", hour)] {
            assert!(percentage(text, over).is_err(), "{text}");
        }
    }
}
