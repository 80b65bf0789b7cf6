//! Who uses the command.

use std::env;
use std::fs;

use crate::failure::{Done, Failure};

const VARIABLE: &str = "FLIPPER_ACTOR";

/// The variable's value, else the name of the system's user, if there is one.
pub(crate) fn actor() -> Done<Option<String>> {
    match env::var(VARIABLE) {
        Ok(actor) => Ok(Some(actor)),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{VARIABLE} is not UTF-8"))),
        Err(env::VarError::NotPresent) => {
            Ok(user().filter(|user| !user.is_empty() && !user.contains(char::is_control)))
        }
    }
}

/// Services and containers have no such variables.
fn user() -> Option<String> {
    let variables = ["USER", "LOGNAME", "USERNAME"];
    variables.iter().find_map(|name| env::var(name).ok().filter(|user| !user.is_empty())).or_else(of_process)
}

#[cfg(unix)]
fn of_process() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let number = fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    Some(named.unwrap_or_else(|| format!("uid {number}")))
}

#[cfg(not(unix))]
fn of_process() -> Option<String> {
    None
}
