//! The script, the stylesheet and the icon, in paths that name their content: browsers keep them.

use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// Of the hash, in bytes.
const SHOWN: usize = 8;

pub(super) struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
    /// The path under which it is served.
    pub(super) path: String,
    compressed: Bytes,
}

impl Asset {
    fn new(name: &'static str, media_type: &'static str, text: &'static str) -> Self {
        let hash: String = Sha256::digest(text).iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/flags/-/assets/{hash}/{name}");
        Self { name, media_type, text, path, compressed: gzip(text.as_bytes(), Compression::best()) }
    }
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("script.js", "text/javascript; charset=utf-8", include_str!("assets/script.js")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));

pub(super) async fn get(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Result<Response, Problem> {
    let path = format!("/flags/-/assets/{hash}/{name}");
    let all: [&'static Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    // One of another version must not be kept as this one.
    let asset = all.into_iter().find(|asset| asset.name == name && asset.path == path);
    let asset = asset.ok_or_else(Problem::no_such_path)?;
    let takes_gzip = takes_gzip(&headers);
    let body = if takes_gzip { asset.compressed.clone() } else { Bytes::from_static(asset.text.as_bytes()) };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if takes_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// Without a weight of zero.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

pub(super) fn gzip(text: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), level);
    // Into memory, which does not fail.
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let takes = |text| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]));
        assert!(takes("gzip") && takes("br, GZIP;q=0.5") && takes("deflate,gzip"));
        assert!(!takes("") && !takes("br") && !takes("gzip;q=0") && !takes("xgzip"));
    }
}
