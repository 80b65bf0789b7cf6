//! Tokens and limits, as the SDKs for servers have them.

use std::num::NonZeroU32;

use flipper_server::{AccessControl, NewToken, Role, TokenFile, Tokens};
use flipper_testkit::wait_until;
use serde_json::json;

use crate::support::{Client, Server};

/// A server with a token for flags that begin with `web.`, and the token.
fn with_token(access: impl FnOnce(AccessControl) -> AccessControl) -> (Server, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let new = NewToken { name: "web".into(), role: Role::Evaluate, prefixes: vec!["web.".into()], lifetime: None };
    let (_, secret) = file.create(&new).unwrap();
    let tokens = Tokens::open(file.path()).unwrap();
    let access = access(AccessControl::new().tokens(tokens));
    let server = Server::with(move |app, _| app.access(access.clone()));
    server.flag("web.F", "{}", |_| {});
    server.flag("F", "{}", |_| {});
    (server, secret.text().to_owned())
}

#[test]
fn tokens_are_sent_and_refusals_are_errors() {
    let (server, token) = with_token(|access| access);
    let (single, bulk) = (|key| format!("/ofrep/v1/evaluate/flags/{key}"), "/ofrep/v1/evaluate/flags");
    let bearer = format!("Bearer {token}");
    let covered = [("Authorization", &*bearer)];
    let mut http = server.http();
    http.post(&single("web.F"), &[], "{}").is_error(401, "web.F", "GENERAL", "there is no token");
    http.post(bulk, &[], "{}").is_error(401, "", "GENERAL", "there is no token");
    http.post(&single("F"), &covered, "{}").is_error(403, "F", "GENERAL", "name prefixes of the token");
    assert_eq!(http.post(&single("web.F"), &covered, "{}").json()["value"], true);
    // Of all flags those that it covers.
    let all = http.post(bulk, &covered, "{}").json();
    assert_eq!((&all["flags"][0]["key"], all["flags"].as_array().unwrap().len()), (&json!("web.F"), 1));
    for (token, key, value) in [(&*token, "web.F", true), (&token, "F", false), ("flp_none", "web.F", false)] {
        for mut client in Client::with_token(&server.url(), token) {
            let details = client.details("boolean", key, &json!(false), &json!({}));
            assert_eq!(details["value"], value, "{} {key}: {details}", client.name);
            let code = details["errorCode"].as_str().map(|code| code[.."GENERAL".len()].to_uppercase());
            assert_eq!(code.as_deref(), (!value).then_some("GENERAL"), "{} {key}: {details}", client.name);
        }
    }
    // An entry for the host in `~/.netrc` replaces Python's token.
    let netrc = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(netrc.path(), "machine 127.0.0.1 login ann password secret\n").unwrap();
    if let Some(mut python) = Client::python_with_netrc(&server.url(), &token, netrc.path()) {
        let details = python.details("boolean", "web.F", &json!(false), &json!({}));
        assert_eq!((&details["value"], &details["errorCode"]), (&json!(false), &json!("GENERAL")), "{details}");
    }
    let basic = [("Authorization", "Basic YW5uOnNlY3JldA==")];
    http.post(&single("web.F"), &basic, "{}").is_error(401, "web.F", "GENERAL", "does the client read a ~/.netrc?");
}

/// With `Retry-After` in seconds, the one form that all read, a provider waits without a request.
#[test]
fn a_limited_provider_pauses_and_goes_on() {
    let (server, token) = with_token(|access| access.requests_per_second(NonZeroU32::MIN));
    for mut client in Client::with_token(&server.url(), &token) {
        let mut is_on = || client.details("boolean", "web.F", &json!(false), &json!({}))["value"] == true;
        wait_until("it is answered", &mut is_on);
        wait_until("the limit is reached", || !is_on());
        // Each request would be refused, and asked without a pause the limit would be reached for good.
        wait_until("it is answered again", &mut is_on);
    }
    let (mut http, bearer) = (server.http(), format!("Bearer {token}"));
    let mut ask = || http.post("/ofrep/v1/evaluate/flags/web.F", &[("Authorization", &bearer)], "{}");
    let mut refused = ask();
    wait_until("the limit is reached", || {
        refused = ask();
        refused.status == 429
    });
    refused.is_error(429, "web.F", "GENERAL", "too many requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
}
