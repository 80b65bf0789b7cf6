//! Many flags, as text.

mod scan;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

use flipper::FlagRecord;
use flipper::json::Json;
use futures_util::StreamExt;

use self::scan::{Place, items};
use crate::diff::json;
use crate::failure::{Done, Failure, said};
use crate::follow::State;
use crate::store::Store;
use crate::text::{path_text, quoted, thousands};

/// Standing for standard input.
const STDIN: &str = "-";
/// So many problems of a file are told.
const MOST_PROBLEMS: usize = 20;
/// What some editors put at the beginning of a file.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// A file beyond this is none of flags.
const LARGEST: u64 = 1 << 30;

/// Many flags, of a file or a store. They are kept as text and read again when they are needed, which takes a tenth of the memory.
#[derive(Default)]
pub(crate) struct Records {
    text: String,
    /// Ordered by name.
    items: Vec<(String, Range<usize>)>,
    /// How many more there are that cannot be read.
    unreadable: usize,
}

impl Records {
    /// Those of a store that can be read, under the names that they have there; and the others with the reason.
    pub(crate) async fn of(store: &Store) -> Done<(Self, Vec<(String, String)>)> {
        let (mut records, mut corrupt) = (Self::default(), Vec::new());
        let mut flags = store.inner.stream();
        while let Some(flag) = flags.next().await {
            let flag = flag.map_err(|error| store.failure(&error))?;
            match flag.record {
                Ok(record) => records.add(&flag.name, &record),
                Err(why) => corrupt.push((flag.name, why.reason().to_owned())),
            }
        }
        records.sort();
        records.unreadable = corrupt.len();
        corrupt.sort_unstable();
        Ok((records, corrupt))
    }

    /// The same of flags that are in memory.
    pub(crate) fn known<'a>(flags: impl Iterator<Item = (&'a str, &'a State)>) -> (Self, Vec<(String, String)>) {
        let (mut records, mut corrupt) = (Self::default(), Vec::new());
        for (name, state) in flags {
            match state {
                Ok(record) => records.add(name, record),
                Err(why) => corrupt.push((name.to_owned(), why.reason().to_owned())),
            }
        }
        records.sort();
        records.unreadable = corrupt.len();
        (records, corrupt)
    }

    fn add(&mut self, name: &str, record: &FlagRecord) {
        let start = self.text.len();
        self.text.push_str(&if record.name() == name { record.to_json() } else { named(record, name).to_json() });
        self.items.push((name.to_owned(), start..self.text.len()));
    }

    fn sort(&mut self) {
        self.items.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    }

    /// Reads a file, `-` for standard input, and looks at each flag in it: an array of stored records, or one record after the other.
    pub(crate) fn read(path: &Path) -> Done<Self> {
        let shown = if path.as_os_str() == STDIN { "standard input".to_owned() } else { path_text(path) };
        let refuse = |what: String| Failure::usage(format!("{shown}: {what}")).hint("nothing was imported");
        let text = read(path).map_err(|what| refuse(what).hint("is it the right file?"))?;
        let items = items(&text).map_err(|wrong| refuse(wrong.at(&text)))?;
        let mut records = Self { text, items: Vec::with_capacity(items.len()), unreadable: 0 };
        let mut lines: HashMap<String, usize> = HashMap::with_capacity(items.len());
        let mut problems = Vec::new();
        let mut place = Place::default();
        for range in items {
            let (line, column) = place.of(&records.text, range.start);
            let name = match records.parse(&range, line, column) {
                Ok(record) => record.name().to_owned(),
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if let Some(first) = lines.insert(name.clone(), line) {
                let name = quoted(&name);
                problems
                    .push(format!("flag {name} is there twice, in line {first} and in line {line} column {column}"));
                continue;
            }
            records.items.push((name, range));
        }
        match &problems[..] {
            [] => {}
            [problem] => return Err(refuse(problem.clone())),
            _ => {
                let shown = problems.iter().take(MOST_PROBLEMS).map(|problem| format!("  {problem}"));
                let more = problems.len().saturating_sub(MOST_PROBLEMS);
                let more = (more > 0).then(|| format!("  and {} more", thousands(more)));
                let lines = shown.chain(more).collect::<Vec<_>>().join("\n");
                return Err(refuse(format!("{} problems", thousands(problems.len()))).details(lines));
            }
        }
        records.sort();
        Ok(records)
    }

    fn parse(&self, range: &Range<usize>, line: usize, column: usize) -> Result<FlagRecord, String> {
        let text = &self.text[range.clone()];
        let record = FlagRecord::from_json(text).map_err(|error| {
            // As far down and to the right as in the file, so that the place it names is the one in the file.
            let padded = format!("{}{}{text}", "\n".repeat(line - 1), " ".repeat(column - 1));
            match Json::parse(&padded) {
                Err(error) => said(&error),
                Ok(_) => format!("no flag at line {line} column {column}: {}", said(&error)),
            }
        })?;
        // Names and sizes that we would not make may be in a store all the same, and what we export we take back. Only a flag that
        // could not be read once it is written is refused.
        if let Err(error) = record.validate()
            && FlagRecord::from_json(record.to_json()).is_err()
        {
            return Err(format!("flag at line {line} column {column}: {}", said(&error)));
        }
        Ok(record)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many more there are, of a store, that cannot be read.
    pub(crate) fn unreadable(&self) -> usize {
        self.unreadable
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.items[index].0
    }

    /// Where the flag of this name is.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.items.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()
    }

    /// Writes them, one a line, ordered by name, until it is to stop; whether all were written.
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

    /// Reads the flag once more; it was read before.
    pub(crate) fn record(&self, index: usize) -> Done<FlagRecord> {
        let (name, range) = &self.items[index];
        FlagRecord::from_json(&self.text[range.clone()])
            .map_err(|error| Failure::store(format!("flag {} cannot be read: {}", quoted(name), said(&error))))
    }
}

fn read(path: &Path) -> Result<String, String> {
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

/// The same flag under this name. A store's key is what a flag is known by, even if its text says something else.
pub(crate) fn named(record: &FlagRecord, name: &str) -> FlagRecord {
    if record.name() == name {
        return record.clone();
    }
    let mut renamed = json(record);
    if let Json::Object(object) = &mut renamed {
        object.insert("feature_name", name);
    }
    FlagRecord::from_json(renamed.to_string()).unwrap_or_else(|_| record.clone())
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
            // Python makes them, and so a store may show them.
            (FLAG.replace("\"A\"", "\"a/b\\n\""), 1),
            (FLAG.replace("\"meta\": {", "\"meta\": {\"client_data\": [1], "), 1),
        ] {
            assert_eq!(read_text(&text), Ok(count), "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_told_with_its_place() {
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
            (format!("[{FLAG}, {FLAG}]"), "flag A is there twice, in line 1 and in line 1 column 74"),
            (format!("[{FLAG}] x"), "not JSON of flags: expected the end at line 1 column 74"),
            ("[\n {\"feature_name\": \"A\"}]".to_owned(), "no flag at line 2 column 2: is_enabled is missing"),
        ] {
            assert_eq!(read_text(&text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_problem_is_told() {
        let broken = "{\"feature_name\": \"B\"}";
        let told = read_text(&format!("[{FLAG},\n{broken},\n  {{\"is_enabled\": 1,}},\n{FLAG}]")).unwrap_err();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "3 problems",
                "  no flag at line 2 column 1: is_enabled is missing",
                "  not JSON: expected a key in double quotes, found '}' at line 3 column 20",
                "  flag A is there twice, in line 1 and in line 4 column 1",
                "nothing was imported",
            ]
        );
        let many = read_text(&format!("[{}]", vec![broken; 30].join(","))).unwrap_err();
        assert!(many.starts_with("30 problems") && many.contains("\n  and 10 more\n"), "{many}");
    }

    #[test]
    fn what_is_written_is_read() {
        let flags = ["B", "A"].map(|name| (name, Ok(Arc::new(FlagRecord::new(name, 7)))));
        let (records, _) = Records::known(flags.iter().map(|(name, record)| (*name, record)));
        let mut bytes = Vec::new();
        assert!(records.write(&mut bytes, || false).unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.find("\"A\"") < text.find("\"B\""), "{text}");
        assert_eq!(read_text(&text), Ok(2));
        assert_eq!(records.find("B"), Some(1));
        assert!(!records.write(&mut Vec::new(), || true).unwrap());
        assert_eq!(named(&FlagRecord::new("A", 7), "C"), FlagRecord::new("C", 7));
    }

    proptest::proptest! {
        /// Whatever is in a file, it is flags or an error.
        #[test]
        fn any_text(text in "([\\[\\]{},:\" \\\\]|\"feature_name\"|\"a\"|true|\n){0,40}") {
            let _ = read_text(&text);
        }
    }
}
