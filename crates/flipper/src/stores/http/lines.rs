//! All flags, line by line.

use futures_util::stream::{self, TryStreamExt};
use hyper::header::HeaderMap;

use super::super::http_client::Download;
use super::{HttpFeatureFlagStore, RECORDS, answer};
use crate::background;
use crate::error::{Error, Result};
use crate::feed::wire;
use crate::json::Json;
use crate::state::Stored;
use crate::store::FlagStream;

/// Of one line.
const MOST_BYTES: usize = 64 << 20;

struct Lines {
    download: Download,
    /// The start of a line.
    rest: Vec<u8>,
    count: u64,
}

pub(super) fn stream(store: &HttpFeatureFlagStore) -> FlagStream<'_> {
    enum At {
        Start,
        Reading(Box<Lines>),
        End,
    }
    let place = move |error: Error| error.with_store(store);
    let batches = stream::try_unfold(At::Start, move |at| async move {
        let mut lines = match at {
            At::Start => Box::new(open(store).await.map_err(place)?),
            At::Reading(lines) => lines,
            At::End => return Ok::<_, Error>(None),
        };
        let (flags, is_over) = lines.next(store).await.map_err(place)?;
        let next = if is_over { At::End } else { At::Reading(lines) };
        Ok(Some((stream::iter(flags.into_iter().map(Ok)), next)))
    });
    Box::pin(batches.try_flatten())
}

async fn open(store: &HttpFeatureFlagStore) -> Result<Lines> {
    let (head, download, _) = store.shared.open(RECORDS, HeaderMap::new()).await?;
    let mut lines = Lines { download, rest: Vec::new(), count: 0 };
    if head.status.is_success() {
        return Ok(lines);
    }
    let body = lines.chunk(store).await?.unwrap_or_default();
    Err(answer::refused(head.status, &body))
}

impl Lines {
    async fn chunk(&mut self, store: &HttpFeatureFlagStore) -> Result<Option<hyper::body::Bytes>> {
        let chunk = background::within(store.shared.timeout, self.download.chunk()).await;
        chunk.unwrap_or_else(|error| Err(answer::too_late(error)))
    }

    /// The flags of the lines that arrived, and whether these were the last.
    async fn next(&mut self, store: &HttpFeatureFlagStore) -> Result<(Vec<Stored>, bool)> {
        let Some(chunk) = self.chunk(store).await? else {
            return Err(Error::unavailable("the list of the flags broke off"));
        };
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(&chunk);
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest = text.split_off(end);
        if self.rest.len() > MOST_BYTES {
            return Err(answer::foreign("a line of the list is too long"));
        }
        let mut flags = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let json = Json::from_slice(line)
                .map_err(|error| answer::foreign("a line of the list is no JSON").with_source(error))?;
            if let Some(error) = json.get("error") {
                return Err(wire::read_error(error));
            }
            if json.get("end").is_some() {
                return match wire::number(&json, "end") == Some(self.count) {
                    true => Ok((flags, true)),
                    false => Err(Error::unavailable("the list of the flags is not whole")),
                };
            }
            let flag = wire::read_state(&json)
                .map_err(|error| answer::foreign("a line of the list is no flag").with_source(error))?;
            self.count += 1;
            flags.push(flag);
        }
        Ok((flags, false))
    }
}
