use std::fmt;
use std::sync::Arc;

use crate::app::App;

/// What the web page under `/flags` does.
///
/// ```
/// use std::sync::Arc;
/// use flipper::MemoryFeatureFlagStore;
/// use flipper_server::{App, Page};
///
/// let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).page(Page::new().protect("pay.*"));
/// ```
#[derive(Clone, Default)]
pub struct Page {
    protected: Arc<[String]>,
    requires_reason: bool,
    is_behind_tls: bool,
    connected: Arc<[Connected]>,
}

/// By the name of a protocol, how many connections are open.
type Connected = (String, Arc<dyn Fn() -> usize + Send + Sync>);

impl Page {
    /// The page as it is without options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks twice before it changes flags whose whole name matches this pattern, in which `*` stands for any text. It does so for flags with
    /// `"protected": true` in their client data in any case.
    #[must_use]
    pub fn protect(mut self, pattern: impl Into<String>) -> Self {
        self.protected = self.protected.iter().cloned().chain([pattern.into()]).collect();
        self
    }

    /// Changes need a reason, which the history then has. Without this a reason is optional.
    #[must_use]
    pub fn require_reason(mut self, require: bool) -> Self {
        self.requires_reason = require;
        self
    }

    /// Browsers reach this server under TLS alone, by a proxy: they never send its cookie in plain text. Without this it is so for requests
    /// over TLS, and for those with `X-Forwarded-Proto: https`.
    #[must_use]
    pub fn behind_tls(mut self, is_behind_tls: bool) -> Self {
        self.is_behind_tls = is_behind_tls;
        self
    }

    /// Shows how many connections are open to another server of the same store, such as `Thrift`.
    #[must_use]
    pub fn connected_over(
        mut self,
        protocol: impl Into<String>,
        count: impl Fn() -> usize + Send + Sync + 'static,
    ) -> Self {
        let added: Connected = (protocol.into(), Arc::new(count));
        self.connected = self.connected.iter().cloned().chain([added]).collect();
        self
    }

    pub(super) fn requires_reason(&self) -> bool {
        self.requires_reason
    }

    pub(super) fn is_behind_tls(&self) -> bool {
        self.is_behind_tls
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = (&str, usize)> {
        self.connected.iter().map(|(protocol, count)| (protocol.as_str(), count()))
    }

    pub(super) fn protects(&self, name: &str) -> bool {
        self.protected.iter().any(|pattern| matches(pattern, name))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protected, requires_reason, is_behind_tls, .. } = self;
        f.debug_struct("Page")
            .field("protected", protected)
            .field("requires_reason", requires_reason)
            .field("is_behind_tls", is_behind_tls)
            .finish_non_exhaustive()
    }
}

/// Takes time in proportion to both lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        match name.find(part) {
            Some(place) => name = &name[place + part.len()..],
            None => return false,
        }
    }
    true
}

impl App {
    /// Serves a web page under `/flags`, where people see and change flags. Without this the server has no page.
    #[must_use]
    pub fn page(mut self, page: Page) -> Self {
        self.page = Some(page);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ba", false),
            ("*", "", true),
            ("*b", "ab", true),
            ("*b", "ba", false),
            ("a*b", "ab", true),
            ("a*b", "aXbXb", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("aba*ba", "aba", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let page = Page::new().protect("pay.*").protect("LOGIN");
        assert!(page.protects("pay.card") && page.protects("LOGIN") && !page.protects("LOGIN_2"));
    }
}
