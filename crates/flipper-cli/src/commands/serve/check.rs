//! `serve --check`: whether it would start, and what is wrong.

use flipper::store::{Check, Finding};

use super::address::{self, Port};
use super::{guard, store};
use crate::args::Serve;
use crate::commands::doctor;
use crate::failure::{Done, Failure};
use crate::session::Session;
use crate::store::{Choice, Kind, Location};
use crate::text::{count, path_text};

pub(super) async fn run(session: &mut Session, args: &Serve, choice: &Choice) -> Done {
    let mut checks = Vec::new();
    for port in Port::ALL {
        let Some(text) = super::address_of(args, port, false) else { continue };
        let what = port.option().trim_start_matches('-');
        checks.push(checked(what, address::resolve(&text, port, args).map(|_| text.clone())));
    }
    let known = guard::tokens(args).map(|tokens| match tokens {
        Some(tokens) => format!("{} in {}", count(tokens.valid(), "valid token"), shown(args.tokens.as_ref())),
        None => "none are needed".to_owned(),
    });
    checks.push(checked("tokens", known));
    let encrypted = guard::tls(args).map(|tls| match tls {
        Some(_) => format!("the certificate of {} has its key", shown(args.tls_cert.as_ref())),
        None => "none".to_owned(),
    });
    checks.push(checked("tls", encrypted));
    // Its other parts are checked above.
    if args.proxy_header.is_some() || !args.proxy_from.is_empty() {
        checks.push(checked(
            "proxy",
            guard::proxy(args).map(|_| format!("trusted for {}", args.proxy_header.as_deref().unwrap_or_default())),
        ));
    }
    if args.public_url.is_some() || !args.cors_origin.is_empty() {
        checks.push(checked("pages", guard::check_pages(args).map(|()| count(args.cors_origin.len(), "origin"))));
    }
    if let Err(failure) = store::needs_snapshot(&choice.location, args.snapshot.as_deref()) {
        checks.push(fault("snapshot", &failure));
    } else if let Some(snapshot) = &args.snapshot {
        checks.push(doctor::snapshot(snapshot));
    }
    if !args.replica.is_empty() || !choice.location.replicas.is_empty() {
        let of = |replicas: Vec<Location>| count(replicas.len(), "replica");
        checks.push(checked("replica", store::replicas(&choice.location, args).map(of)));
    }
    let identity = match &choice.location.kind {
        Kind::Memory => {
            checks.push(Check::new("flags", Finding::Fine, "they last until the server ends"));
            None
        }
        Kind::Sqlite(path) if !path.exists() => {
            checks.push(Check::new("file", Finding::Fine, "it is made when the server starts"));
            None
        }
        _ => {
            let (identity, more) = doctor::examine_at(&choice.location).await?;
            checks.extend(more);
            identity
        }
    };
    doctor::report(session, choice, identity.as_ref(), &checks)
}

fn shown(path: Option<&std::path::PathBuf>) -> String {
    path.map(path_text).unwrap_or_default()
}

fn checked(what: &'static str, result: Done<String>) -> Check {
    match result {
        Ok(text) => Check::new(what, Finding::Fine, text),
        Err(failure) => fault(what, &failure),
    }
}

fn fault(what: &'static str, failure: &Failure) -> Check {
    Check::new(what, Finding::Fault, failure.to_string())
}
