//! Chromium, and people who use it.

use flipper_testkit::{PATIENCE, program, skip};
use serde_json::Value;

#[allow(dead_code, reason = "the tests of OFREP use the rest")]
#[path = "../ofrep/support/client.rs"]
mod client;

use client::Client;

pub(crate) struct Browser(Client);

impl Browser {
    pub(crate) fn open() -> Option<Self> {
        let Some(chromium) = program("chromium") else {
            skip("chromium", "it is not installed; scripts/setup installs it");
            return None;
        };
        let timeout = PATIENCE.as_millis().to_string();
        Client::script("page", "node/page.mjs", &[chromium.as_os_str(), timeout.as_ref()])
            .map(|(client, _)| Self(client))
    }

    /// Runs JavaScript with `tabs` and `open`; `node/page.mjs` has all that it may use.
    #[track_caller]
    pub(crate) fn run(&mut self, script: &str) -> Value {
        let value = self.0.ask(&script.replace('\n', " "));
        assert!(value.get("failed").is_none(), "{script}: {value}");
        value
    }

    #[track_caller]
    pub(crate) fn text(&mut self, script: &str) -> String {
        let value = self.run(script);
        value.as_str().unwrap_or_else(|| panic!("{script}: {value}")).to_owned()
    }

    /// Waits until the expression holds in the tab.
    #[track_caller]
    pub(crate) fn until(&mut self, tab: &str, expression: &str) {
        self.run(&format!("await tabs.{tab}.waitForFunction(() => {expression})"));
    }

    /// Axe finds nothing, in light and dark.
    #[track_caller]
    pub(crate) fn is_accessible(&mut self, tab: &str, what: &str) {
        for scheme in ["light", "dark"] {
            let script = format!(
                "await tabs.{tab}.emulateMedia({{ colorScheme: '{scheme}', reducedMotion: 'reduce' }}); return axe(tabs.{tab})"
            );
            assert_eq!(self.run(&script), Value::Array(Vec::new()), "{what}, {scheme}");
        }
    }

    /// No script failed, and nothing was forbidden by the policy, but for what a test expects.
    #[track_caller]
    pub(crate) fn has_no_errors(&mut self) {
        let expected = [
            // A flag's page looks again when the flag is destroyed.
            "status of 404",
            "status of 409",
            "status of 422",
            "status of 503",
            "ERR_CONNECTION_REFUSED",
            "ERR_INCOMPLETE_CHUNKED_ENCODING",
            "ERR_EMPTY_RESPONSE",
            "ERR_CONNECTION_RESET",
        ];
        let errors = self.run("return errors");
        let is_unexpected = |error: &&Value| !expected.iter().any(|text| error.as_str().unwrap().contains(text));
        let errors: Vec<_> = errors.as_array().unwrap().iter().filter(is_unexpected).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
