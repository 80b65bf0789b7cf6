use flipper::{Error, ErrorKind};
use http::{HeaderValue, Uri};

use crate::app::App;

const STREAM: &str = "/ofrep/v1/streams/flags";

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The attribute that the targeting key is.
    pub(super) targeting_key: String,
    /// Absolute.
    pub(super) stream_url: Option<String>,
    /// Of the public URL.
    origin: Option<HeaderValue>,
    pub(super) cors_origins: Vec<HeaderValue>,
    pub(crate) max_streams: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            targeting_key: "targeting_key".to_owned(),
            stream_url: None,
            origin: None,
            cors_origins: Vec::new(),
            max_streams: 20_000,
        }
    }
}

impl Options {
    /// Which pages are this server's own, whatever `Host` a proxy sends.
    #[cfg(feature = "page")]
    pub(crate) fn origin(&self) -> &[HeaderValue] {
        self.origin.as_slice()
    }

    pub(crate) fn origins(&self) -> Vec<HeaderValue> {
        self.cors_origins.clone()
    }
}

/// As a browser writes it.
fn origin_of(url: &Uri) -> Option<HeaderValue> {
    let scheme = url.scheme_str()?;
    let authority = url.authority()?.as_str().to_ascii_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    HeaderValue::try_from(format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(&authority))).ok()
}

impl App {
    /// Sets the URL under which clients reach this server, such as `https://flags.example.com`. OFREP's bulk answers then name the stream
    /// that reports changes to web pages; without it they name none, since a browser would take a relative one for the page's own.
    /// The web page takes forms of this origin, also if a proxy sends another `Host`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no `http` or `https` URL, or has a query.
    pub fn public_url(mut self, url: &str) -> Result<Self, Error> {
        let parsed: Option<Uri> = url.parse().ok();
        let usable = |parsed: &Uri| {
            matches!(parsed.scheme_str(), Some("http" | "https"))
                && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
                && parsed.query().is_none()
                && !url.contains('#')
        };
        if !parsed.as_ref().is_some_and(usable) {
            return Err(invalid(format!(
                "the public URL {url:?} is no http or https URL without user, query and fragment"
            )));
        }
        self.ofrep.origin = parsed.as_ref().and_then(origin_of);
        self.ofrep.stream_url = Some(format!("{}{STREAM}", url.trim_end_matches('/')));
        Ok(self)
    }

    /// Sets the origins of the web pages that may ask for evaluations, such as `https://shop.example.com`; none by default. The JSON API is
    /// for no page of another origin.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one is no origin: scheme, host and perhaps a port, as a browser writes them.
    pub fn cors_origins<O: AsRef<str>>(mut self, origins: impl IntoIterator<Item = O>) -> Result<Self, Error> {
        let origins = origins.into_iter().map(|origin| {
            let origin = origin.as_ref();
            let header = HeaderValue::from_str(origin).ok().filter(|_| is_origin(origin));
            header.ok_or_else(|| {
                invalid(format!(
                    "{origin:?} is no origin; one is as https://shop.example.com, in lower case and without a path"
                ))
            })
        });
        self.ofrep.cors_origins = origins.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Sets the attribute that OpenFeature's targeting key becomes in conditions and bucketers, such as `user_id`; `targeting_key` by
    /// default.
    #[must_use]
    pub fn targeting_key_as(mut self, attribute: impl Into<String>) -> Self {
        self.ofrep.targeting_key = attribute.into();
        self
    }

    /// How many web pages may follow at a time; 20,000 by default, and at most a quarter of a server's connections. More are refused, and no longer directed to the stream.
    #[must_use]
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.ofrep.max_streams = streams;
        self
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput).with_message(message)
}

/// As browsers write the header `Origin`: a default port is left out.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_default = match scheme {
        "http" => host.ends_with(":80"),
        "https" => host.ends_with(":443"),
        _ => false,
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.:[]".contains(&byte);
    !is_default && !scheme.is_empty() && !host.is_empty() && scheme.bytes().chain(host.bytes()).all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_send_them() {
        for origin in
            ["https://shop.example.com", "http://localhost:3000", "http://[::1]:80a", "chrome-extension://abc"]
        {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "*",
            "null",
            "",
            "https://",
            "https://Shop.example.com",
            "https://a/",
            "https://a:443",
            "http://a:80",
            "a.example.com",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
