use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

pub(crate) use flipper::__exchange::named;
use flipper::__exchange::{self as exchange, Place};
use flipper::FlagRecord;
use futures_util::StreamExt;

use crate::failure::{Done, Failure, message_of};
use crate::follow::State;
use crate::store::Store;
use crate::text::{UTF_8_MARK, path_text, quoted, thousands};

const STDIN: &str = "-";
const MOST_PROBLEMS: usize = 20;
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// In bytes; larger files are rejected.
const LARGEST: u64 = 1 << 30;

/// The flags of a file or a store, parsed again when needed: the text is several times smaller than the records.
#[derive(Default)]
pub(crate) struct Records {
    text: String,
    /// Names and places in the text, ordered by name.
    items: Vec<(String, Range<usize>)>,
    /// Unreadable flags of the store, which are left out, with the reason.
    pub(crate) unreadable: Vec<(String, String)>,
}

impl Records {
    /// The flags of a store, under the store's keys.
    pub(crate) async fn of(store: &Store) -> Done<Self> {
        let mut records = Self::default();
        let mut flags = store.inner.stream();
        while let Some(flag) = flags.next().await {
            let flag = flag.map_err(|error| store.failure(&error))?;
            records.add(&flag.name, &flag.record);
        }
        records.sort();
        Ok(records)
    }

    pub(crate) fn of_held<'a>(flags: impl Iterator<Item = (&'a str, &'a State)>) -> Self {
        let mut records = Self::default();
        flags.for_each(|(name, state)| records.add(name, state));
        records.sort();
        records
    }

    fn add(&mut self, name: &str, state: &State) {
        match state {
            Ok(record) => {
                let start = self.text.len();
                self.text.push_str(&named(record, name).to_json());
                self.items.push((name.to_owned(), start..self.text.len()));
            }
            Err(why) => self.unreadable.push((name.to_owned(), why.reason().to_owned())),
        }
    }

    fn sort(&mut self) {
        self.items.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.unreadable.sort_unstable();
    }

    /// Reads and checks a file, `-` for standard input: an array of stored records, or one record after the other.
    pub(crate) fn read(path: &Path) -> Done<Self> {
        let shown = if path.as_os_str() == STDIN { "standard input".to_owned() } else { path_text(path) };
        let refuse = |what: String| Failure::usage(format!("{shown}: {what}")).hint("nothing was imported");
        let text = read(path).map_err(|what| refuse(what).hint("is it the right file?"))?;
        let items = match exchange::read(&text, quoted, message_of) {
            Ok(items) => items,
            Err(problems) => return Err(refused(refuse, &problems)),
        };
        let mut records = Self { text, items, unreadable: Vec::new() };
        records.sort();
        Ok(records)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.items[index].0
    }

    /// Whether it may have prerequisites, without parsing it.
    pub(crate) fn may_need_flags(&self, index: usize) -> bool {
        self.text[self.items[index].1.clone()].contains("\"prerequisites\"")
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.items.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()
    }

    /// Writes one flag a line, ordered by name, until `stopped`; returns whether all were written.
    pub(crate) fn write(&self, out: &mut impl Write, stopped: impl Fn() -> bool) -> io::Result<bool> {
        out.write_all(b"[")?;
        for (index, (_, range)) in self.items.iter().enumerate() {
            if stopped() {
                return Ok(false);
            }
            out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            out.write_all(&self.text.as_bytes()[range.clone()])?;
        }
        out.write_all(b"\n]\n")?;
        Ok(!stopped())
    }

    pub(crate) fn record(&self, index: usize) -> Done<FlagRecord> {
        let (name, range) = &self.items[index];
        FlagRecord::from_json(&self.text[range.clone()])
            .map_err(|error| Failure::store(format!("flag {} cannot be read: {}", quoted(name), message_of(&error))))
    }
}

/// The text of a file, `-` for standard input.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let source: Box<dyn Read> = if path.as_os_str() == STDIN {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| format!("cannot be opened: {error}"))?)
    };
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err("is larger than 1 GiB".to_owned());
    }
    if bytes.starts_with(UTF_8_MARK) {
        bytes.drain(..UTF_8_MARK.len());
    } else if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err("UTF-16, and has to be UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..end]).into_owned();
        let (line, column) = Place::default().of(&text, end);
        format!("not UTF-8 at line {line} column {column}")
    })
}

fn refused(refuse: impl Fn(String) -> Failure, problems: &[String]) -> Failure {
    if let [problem] = problems {
        return refuse(problem.clone());
    }
    let shown = problems.iter().take(MOST_PROBLEMS).map(|problem| format!("  {problem}"));
    let more = problems.len().saturating_sub(MOST_PROBLEMS);
    let more = (more > 0).then(|| format!("  and {} more", thousands(more)));
    let lines = shown.chain(more).collect::<Vec<_>>().join("\n");
    refuse(format!("{} problems", thousands(problems.len()))).details(lines)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const FLAG: &str = r#"{"feature_name": "A", "is_enabled": true, "meta": {"created_date": 1}}"#;

    fn read_text(text: &str) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.json");
        std::fs::write(&path, text).unwrap();
        let shown = path.to_str().unwrap();
        let shorter = |failure: Failure| {
            failure.to_string().replace(shown, "F").replace("F: ", "").replace("; nothing was imported", "")
        };
        Records::read(&path).map(|records| records.len()).map_err(shorter)
    }

    #[test]
    fn arrays_and_sequences() {
        let other = FLAG.replace("\"A\"", "\"B ]}\\\"\"");
        for (text, count) in [
            ("[]".to_owned(), 0),
            (format!(" [ {FLAG} , {other} ] "), 2),
            (FLAG.to_owned(), 1),
            (format!("{FLAG}\n{other}\n"), 2),
            (format!("\u{feff}[{FLAG}]"), 1),
            // The Python library creates these.
            (FLAG.replace("\"A\"", "\"a/b\\n\""), 1),
            (FLAG.replace("\"meta\": {", "\"meta\": {\"client_data\": [1], "), 1),
        ] {
            assert_eq!(read_text(&text), Ok(count), "{text}");
        }
    }

    #[test]
    fn errors_have_a_place() {
        for (text, expected) in [
            ("".to_owned(), "not JSON of flags: the file is empty; without flags it is [] at line 1 column 1"),
            ("\n  x".to_owned(), "not JSON of flags: expected a flag, which begins with `{` at line 2 column 3"),
            (format!("[{FLAG}"), "not JSON of flags: expected `,` or `]` at line 1 column 72"),
            (format!("[\n{FLAG},\n]"), "not JSON of flags: expected a flag, which begins with `{` at line 3 column 1"),
            (
                "[\n{\"feature_name\": \"A".to_owned(),
                "not JSON of flags: the file ends within a flag at line 2 column 20",
            ),
            (
                format!("[\n{FLAG},\n  {{\"é\": 1,}}]"),
                "not JSON: expected a key in double quotes, found '}' at line 3 column 11",
            ),
            (format!("[{FLAG}, {FLAG}]"), "flag A occurs twice, in line 1 and in line 1 column 74"),
            (format!("[{FLAG}] x"), "not JSON of flags: expected the end at line 1 column 74"),
            ("[\n {\"feature_name\": \"A\"}]".to_owned(), "no flag at line 2 column 2: is_enabled is missing"),
        ] {
            assert_eq!(read_text(&text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_problem_is_listed() {
        let unreadable = "{\"feature_name\": \"B\"}";
        let error = read_text(&format!("[{FLAG},\n{unreadable},\n  {{\"is_enabled\": 1,}},\n{FLAG}]")).unwrap_err();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(
            lines,
            [
                "3 problems",
                "  no flag at line 2 column 1: is_enabled is missing",
                "  not JSON: expected a key in double quotes, found '}' at line 3 column 20",
                "  flag A occurs twice, in line 1 and in line 4 column 1",
                "nothing was imported",
            ]
        );
        let many = read_text(&format!("[{}]", vec![unreadable; 30].join(","))).unwrap_err();
        assert!(many.starts_with("30 problems") && many.contains("\n  and 10 more\n"), "{many}");
    }

    #[test]
    fn an_export_can_be_read() {
        let flags = ["B", "A"].map(|name| (name, Ok(Arc::new(FlagRecord::new(name, 7)))));
        let records = Records::of_held(flags.iter().map(|(name, record)| (*name, record)));
        let mut bytes = Vec::new();
        assert!(records.write(&mut bytes, || false).unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.find("\"A\"") < text.find("\"B\""), "{text}");
        assert_eq!(read_text(&text), Ok(2));
        assert_eq!(records.find("B"), Some(1));
        assert!(!records.write(&mut Vec::new(), || true).unwrap());
        assert_eq!(*named(&FlagRecord::new("A", 7), "C"), FlagRecord::new("C", 7));
    }

    proptest::proptest! {
        /// Any text is either flags or an error.
        #[test]
        fn any_text(text in "([\\[\\]{},:\" \\\\]|\"feature_name\"|\"a\"|true|\n){0,40}") {
            let _ = read_text(&text);
        }
    }
}
