use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderMap};

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// It was longer than asked for, and not read.
    pub(super) is_cut: bool,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn length(&self) -> u64 {
        self.header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()).unwrap_or_default()
    }
}
