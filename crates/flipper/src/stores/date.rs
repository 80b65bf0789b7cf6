use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// As `Sat, 28 Nov 2026 10:47:43 GMT`, the only form that servers write.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let mut parts = text.split_once(", ")?.1.split([' ', ':']);
    let mut number = || parts.next()?.parse::<u64>().ok();
    let day = number()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (year, hour, minute, second) = (number()?, number()?, number()?, number()?);
    // Years that begin in March put the leap day at their end.
    let (year, month) = if month < 2 { (year.checked_sub(1)?, month + 10) } else { (year, month - 2) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month as u64 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_http_writes_it() {
        let seconds = |text| parse(text).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        assert_eq!(seconds("soon"), None);
    }
}
