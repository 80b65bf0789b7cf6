use std::net::Ipv6Addr;

use flipper::stores::STORE_KINDS;
use url::form_urlencoded;

use crate::text::plain;

/// Replaces a secret, or what may be one.
const HIDDEN: &str = "***";
/// The URL without secrets. If it cannot be parsed, only its scheme: the rest may be a secret.
pub(super) fn shown(url: &str, scheme: &str) -> String {
    match parts(url, scheme) {
        Some(shown) => plain(&shown).into_owned(),
        None => format!("{scheme}:{HIDDEN}"),
    }
}

fn parts(url: &str, scheme: &str) -> Option<String> {
    let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // An `@` here ends a password that was not escaped.
    if behind.contains('@') {
        return None;
    }
    let (user, hosts) = match authority.rsplit_once('@') {
        None => (String::new(), authority),
        Some((user, hosts)) => match user.split_once(':') {
            Some((user, _)) => (format!("{user}:{HIDDEN}@"), hosts),
            // A user without a password is usually a token.
            None => (format!("{HIDDEN}@"), hosts),
        },
    };
    // Otherwise a part of the password may be in it.
    if !hosts.is_empty() && !hosts.split(',').all(is_host) {
        return None;
    }
    let behind = behind.split('#').next().unwrap_or_default();
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let mut shown = format!("{scheme}://{user}{hosts}{path}");
    for (index, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
        // A URL in a parameter may have a password too.
        let value = if is_shown(&name) && !value.contains('@') { &*value } else { HIDDEN };
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&format!("{name}={value}"));
    }
    Some(shown)
}

fn is_shown(name: &str) -> bool {
    let names = |list: &[&str]| list.contains(&name);
    STORE_KINDS.iter().any(|kind| names(kind.parameters) && !names(kind.secret_parameters))
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        }
        None => match text.split_once(':') {
            Some((name, port)) => is_name(name) && is_port(port),
            None => is_name(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (url, expected) in [
            ("redis://localhost/0", "redis://localhost/0"),
            ("redis://user:secret@h:1/3?base_key=a%2Fb", "redis://user:***@h:1/3?base_key=a/b"),
            ("redis://:secret@h", "redis://:***@h"),
            ("redis://secret@h", "redis://***@h"),
            ("redis://u:sec@ret@h/0", "redis://u:***@h/0"),
            ("redis://u:secret@h:port/0", "redis:***"),
            ("redis://u:sec/ret@h", "redis:***"),
            ("redis://u:12/secret@h", "redis:***"),
            ("redis://u:12?secret@h", "redis:***"),
            ("redis://u:12#secret@h", "redis:***"),
            ("redis://u:secret", "redis:***"),
            ("redis://h/0#secret", "redis://h/0"),
            ("redis:secret@h", "redis:***"),
            ("redis-cluster://u:secret@a:1,[::1]:2,c/0", "redis-cluster://u:***@a:1,[::1]:2,c/0"),
            (
                "redis-sentinel://:secret@a,b/main/2?sentinel_password=secret&db=2",
                "redis-sentinel://:***@a,b/main/2?sentinel_password=***&db=2",
            ),
            ("redis+unix://u:secret@/run/a.sock?db=2", "redis+unix://u:***@/run/a.sock?db=2"),
            ("rediss://h?ca=/etc/ca.pem&cert=c&key=k", "rediss://h?ca=/etc/ca.pem&cert=c&key=k"),
            ("consul://h:8500/flags?token=secret&dc=eu", "consul://h:8500/flags?token=***&dc=eu"),
            ("consul:///flags", "consul:///flags"),
            ("s3://b?endpoint=https%3A%2F%2Fh&region=r", "s3://b?endpoint=https://h&region=r"),
            ("s3://b?endpoint=https%3A%2F%2Fk%3Asecret%40h", "s3://b?endpoint=***"),
        ] {
            let shown = shown(url, url.split(':').next().unwrap());
            assert_eq!(shown, expected);
            assert!(!shown.contains("secret"));
        }
    }
}
