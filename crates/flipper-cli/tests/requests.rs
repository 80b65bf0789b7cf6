//! Commands send Consul no more requests than they need.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use support::{flipper, succeed};

#[test]
fn a_command_sends_few_requests() {
    let Some(consul) = ConsulAgent::start() else { return };
    let proxy = ConsulProxy::start(consul.port(), Fault::None);
    let home = tempfile::tempdir().unwrap();
    let url = format!("consul://{}/flags", proxy.address());
    succeed(flipper(home.path(), &url).args(["create", "A", "B"]));
    for (arguments, expected) in [
        (&["get", "A"][..], 1),
        (&["check", "A", "user_id=7", "--json"], 1),
        // One more checks that the token may read all keys: Consul leaves the others out silently.
        (&["list"], 2),
        (&["export"], 2),
        (&["enable", "A"], 2),
        (&["get", "A", "B"], 2),
    ] {
        let before = proxy.requests().len();
        let mut command = flipper(home.path(), &url);
        let (code, _, err) = support::run(command.args(arguments));
        assert!(code < 2, "{arguments:?}: {err}");
        let mut requests = proxy.requests().split_off(before);
        // After a write the history is made shorter in the background, which on a slow machine begins before the command ends.
        requests.retain(|request| !request.starts_with("GET /v1/kv/.flags.history/?keys"));
        assert_eq!(requests.len(), expected, "{arguments:?}: {requests:#?}");
    }
}
