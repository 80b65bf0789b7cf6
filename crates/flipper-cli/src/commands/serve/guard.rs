use std::sync::Arc;

use flipper::MemoryFeatureFlagStore;
use flipper_server::{AccessControl, App, Tls, TlsFiles, Tokens, TrustedProxy};

use crate::args::Serve;
use crate::commands::token;
use crate::failure::{Done, Failure, message_of};
use crate::text::plain;

/// Who may use the servers, and their certificates. Both are read again when their files change.
pub(super) struct Guard {
    pub(super) access: AccessControl,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Guard {
    pub(super) fn read(args: &Serve) -> Done<Self> {
        let (tokens, tls) = (tokens(args)?, tls(args)?);
        // Before the store is opened.
        check_pages(args)?;
        let mut access = AccessControl::new();
        if let Some(tokens) = &tokens {
            access = access.tokens(tokens.clone());
        }
        if let Some(proxy) = proxy(args)? {
            access = access.proxy(proxy);
        }
        if args.listen_everywhere || tls.is_some() {
            // The certificate has the names that count.
            access = access.open_to_everyone();
        }
        if let Some(requests) = args.requests_per_second {
            access = access.requests_per_second(requests);
        }
        Ok(Self { access, tokens, tls })
    }

    pub(super) fn follow(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.follow();
        }
        if let Some(tls) = &self.tls {
            tls.follow();
        }
    }

    /// Reads files, so it blocks.
    pub(super) fn reload(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.reload();
        }
        if let Some(tls) = &self.tls {
            tls.reload();
        }
    }
}

pub(super) fn tokens(args: &Serve) -> Done<Option<Arc<Tokens>>> {
    let open = |file| Tokens::open(file).map_err(|error| token::failure(&error));
    args.tokens.as_ref().map(open).transpose()
}

/// What web pages need.
pub(super) fn pages(mut app: App, args: &Serve) -> Done<App> {
    let wrong =
        |option: &'static str| move |error: flipper::Error| Failure::usage(format!("{option}: {}", message_of(&error)));
    if let Some(url) = &args.public_url {
        app = app.public_url(url).map_err(wrong("--public-url"))?;
    }
    app.cors_origins(&args.cors_origin).map_err(wrong("--cors-origin"))
}

pub(super) fn check_pages(args: &Serve) -> Done {
    pages(App::new(Arc::new(MemoryFeatureFlagStore::new())), args).map(drop)
}

pub(super) fn tls(args: &Serve) -> Done<Option<Arc<Tls>>> {
    let files = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => TlsFiles::new(cert, key),
        (Some(_), None) => return Err(Failure::usage("--tls-cert needs --tls-key, with its private key")),
        (None, Some(_)) => return Err(Failure::usage("--tls-key needs --tls-cert, with its certificate")),
        (None, None) if args.tls_client_ca.is_some() => {
            return Err(Failure::usage(
                "--tls-client-ca needs --tls-cert and --tls-key: without TLS clients show no certificate",
            ));
        }
        (None, None) => return Ok(None),
    };
    let files = match &args.tls_client_ca {
        Some(authority) => files.client_ca(authority),
        None => files,
    };
    Tls::open(files).map(Some).map_err(|error| Failure::usage(plain(&error.to_string()).into_owned()))
}

pub(super) fn proxy(args: &Serve) -> Done<Option<TrustedProxy>> {
    let Some(header) = &args.proxy_header else {
        return match (args.proxy_from.is_empty(), args.proxy_role) {
            (true, None) => Ok(None),
            _ => Err(Failure::usage("--proxy-from and --proxy-role need --proxy-header, with the name of the header")),
        };
    };
    if args.proxy_from.is_empty() {
        let failure = Failure::usage("--proxy-header needs --proxy-from: from any address the header could be forged");
        return Err(failure.hint("add the addresses of the proxy, such as --proxy-from 10.0.0.0/8"));
    }
    let name = header.parse();
    let name =
        name.map_err(|_| Failure::usage(format!("--proxy-header {}: it is no name of a header", plain(header))))?;
    Ok(Some(TrustedProxy::new(name, args.proxy_from.clone(), args.proxy_role.unwrap_or(flipper_server::Role::Read))))
}
