//! What a browser demands of a server on another origin.

use crate::support::Server;

const PAGE: &str = "https://shop.example.com";

fn server() -> Server {
    let server = Server::with(|app, _| app.cors_origins([PAGE, "http://localhost:3000"]).unwrap());
    server.flag("F", "{}", |_| {});
    server
}

#[test]
fn a_preflight_allows_what_clients_send() {
    let server = server();
    let mut http = server.http();
    for path in ["/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/F", "//ofrep/v1/evaluate/flags"] {
        let asked = [
            ("Origin", PAGE),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,if-none-match,authorization"),
        ];
        let answer = http.request("OPTIONS", path, &asked, b"");
        assert_eq!((answer.status, &*answer.text), (204, ""), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("content-type, if-none-match, authorization, x-api-key")
        );
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST"));
        assert!(answer.header("access-control-max-age").is_some());
    }
}

#[test]
fn every_answer_is_for_the_named_origins_alone() {
    let server = server();
    let mut http = server.http();
    let tag = http.bulk(&[], "{}").tag();
    let mut requests = |origin: &str| {
        let origin = ("Origin", origin);
        [
            (200, http.bulk(&[origin], "{}")),
            (304, http.bulk(&[origin, ("If-None-Match", &tag)], "{}")),
            (400, http.bulk(&[origin], "[")),
            (404, http.post("/ofrep/v1/evaluate/flags/NONE", &[origin], "{}")),
            (405, http.request("GET", "/ofrep/v1/evaluate/flags", &[origin], b"")),
            (404, http.post("/ofrep/x", &[origin], "{}")),
        ]
    };
    for (status, answer) in requests(PAGE) {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{status}");
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("ETag, Retry-After, Flipper-Stale"),
            "{status}"
        );
        assert_eq!(answer.header("vary"), Some("Origin"), "{status}");
    }
    for origin in ["https://evil.example.com", "https://shop.example.com.evil.com", "null", "http://localhost:3001"] {
        for (_, answer) in requests(origin) {
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{origin}");
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
    }
    let (stream, _) = server.http().events("/ofrep/v1/streams/flags");
    assert_eq!(stream.header("vary"), Some("Origin"));
}

#[test]
fn origins_and_urls_are_checked() {
    let server = Server::start();
    for origin in ["*", "https://a.example.com/", "https://A.example.com", "https://a:443", "shop.example.com"] {
        let error = server.app.clone().cors_origins([origin]).unwrap_err();
        assert!(error.to_string().contains(&format!("{origin:?} is no origin")), "{error}");
    }
    for url in ["", "flags.example.com", "/ofrep", "ftp://a", "https://a/?b", "https://a/#b", "https://me@a"] {
        let error = server.app.clone().public_url(url).unwrap_err();
        assert!(error.to_string().contains("public URL"), "{error}");
    }
}
