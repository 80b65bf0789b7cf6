//! Properties of any stream of changes that a store over HTTP reads. Run by the fuzzer, and by a test over the corpus.

use std::sync::LazyLock;

use flipper::store::WatchEvent;
use flipper::{__changes as changes, HttpFeatureFlagStore};

type Event = (String, Option<String>, String);

static STORE: LazyLock<HttpFeatureFlagStore> =
    LazyLock::new(|| HttpFeatureFlagStore::from_url("http://localhost:1").unwrap());

/// The stream, after a byte with the length of its pieces.
pub(crate) fn check(bytes: &[u8]) {
    let Some((length, stream)) = bytes.split_first() else { return };
    let whole = [stream];
    let pieces: Vec<_> = stream.chunks(usize::from(*length).max(1)).collect();

    let expected = events(stream);
    for pieces in [&whole[..], &pieces] {
        assert_eq!(changes::events(pieces).ok(), expected);
    }
    // Text that is not UTF-8 also ends the events of its own piece.
    if expected.is_some() {
        let [once, more] = [&whole[..], &pieces].map(|pieces| changes::watch(STORE.clone(), pieces));
        assert_eq!(shown(&once.0), shown(&more.0));
        assert_eq!(once.1, more.1);
    }
}

fn shown(events: &[WatchEvent]) -> Vec<String> {
    let show = |event: &WatchEvent| match event {
        WatchEvent::Changed { flag, .. } => format!("changed {flag:?}"),
        WatchEvent::Removed { name, version, .. } => format!("removed {name:?} {version:?}"),
        WatchEvent::Reset { flags, .. } => format!("reset {flags:?}"),
        WatchEvent::Confirmed { .. } => "confirmed".to_owned(),
        other => format!("{other:?}"),
    };
    events.iter().map(show).collect()
}

/// As the HTML standard interprets a stream of events; `None` if a line is not UTF-8, which it would replace.
fn events(mut stream: &[u8]) -> Option<Vec<Event>> {
    let (mut events, mut event, mut data) = (Vec::new(), Event::default(), None::<String>);
    stream = stream.strip_prefix("\u{feff}".as_bytes()).unwrap_or(stream);
    while let Some(end) = stream.iter().position(|byte| b"\r\n".contains(byte)) {
        let line = std::str::from_utf8(&stream[..end]).ok()?;
        stream = &stream[end + if stream[end..].starts_with(b"\r\n") { 2 } else { 1 }..];
        let (field, value) = match line.find(':') {
            Some(colon) => (&line[..colon], line[colon + 1..].strip_prefix(' ').unwrap_or(&line[colon + 1..])),
            None => (line, ""),
        };
        match field {
            "" if line.is_empty() => {
                let (name, id, _) = std::mem::take(&mut event);
                events.extend(data.take().map(|data| (name, id, data)));
            }
            "event" => event.0 = value.to_owned(),
            "id" if !value.contains('\0') => event.1 = Some(value.to_owned()),
            "data" => data = Some(data.map_or_else(|| value.to_owned(), |data| data + "\n" + value)),
            _ => {}
        }
    }
    Some(events)
}
