//! The answer of `ListObjectsV2`, read here because the driver's list fails as a whole at one key that it does not like.

use percent_encoding::percent_decode_str;
use quick_xml::de;
use serde::Deserialize;

use super::errors::unsupported;
use crate::error::{Error, Result};

/// A page of the list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Object>,
    pub(super) next: Option<String>,
}

#[derive(Debug)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
}

#[derive(Deserialize)]
struct Contents {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
    #[serde(rename = "Size", default)]
    size: u64,
}

pub(super) fn parse(xml: &[u8]) -> Result<Page> {
    let listed: ListBucketResult = de::from_reader(xml).map_err(|error| {
        Error::unavailable("the answer cannot be read, so it is not from a server with S3's interface")
            .with_source(error)
    })?;
    let encoded = listed.encoding_type.as_deref() == Some("url");
    let mut objects = Vec::with_capacity(listed.contents.len());
    for Contents { key, etag, size } in listed.contents {
        // A key that is not UTF-8 is no flag's.
        let Some(key) = (if encoded { decoded(&key) } else { Some(key) }) else { continue };
        let etag = etag.ok_or_else(|| unsupported("the server lists no ETags, so changes cannot be seen"))?;
        objects.push(Object { key, etag, size });
    }
    Ok(Page { objects, next: listed.next_continuation_token.filter(|_| listed.is_truncated) })
}

/// S3 writes a space as `+`.
fn decoded(key: &str) -> Option<String> {
    percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let page = parse(
            b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix></Prefix>\
              <KeyCount>2</KeyCount><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>\
              <Contents><Key>a+b%2B%C3%A9</Key><ETag>&quot;x-1&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>\
              <NextContinuationToken>t/=</NextContinuationToken>\
              <Contents><Key>%FF</Key><ETag>\"y\"</ETag><Size>1</Size></Contents></ListBucketResult>",
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("t/="));
        let [object] = page.objects.as_slice() else { panic!("{page:?}") };
        assert_eq!((object.key.as_str(), object.etag.as_str(), object.size), ("a b+é", "\"x-1\"", 7));
    }

    #[test]
    fn what_is_no_page() {
        for text in ["", "<html>", "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let last = parse(b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>").unwrap();
        assert!(last.objects.is_empty() && last.next.is_none());
    }
}
