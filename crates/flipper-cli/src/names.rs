use std::io::{self, Read};

use crate::failure::{Done, Failure};
use crate::text::UTF_8_MARK;

const FROM_STDIN: &str = "-";
/// In bytes. The names of a million flags fit.
const MOST: u64 = 256 << 20;

/// The given names, with each `-` replaced by the names on standard input, one a line.
pub(crate) fn all(given: &[String]) -> Done<Vec<String>> {
    let mut names = Vec::with_capacity(given.len());
    for name in given {
        if name == FROM_STDIN { read(&mut names)? } else { names.push(name.clone()) }
    }
    if names.is_empty() {
        return Err(Failure::usage("standard input has no names").hint("write one a line"));
    }
    Ok(names)
}

fn read(names: &mut Vec<String>) -> Done {
    let failed = |error| Failure::usage(format!("names cannot be read from standard input: {error}"));
    let mut text = Vec::new();
    io::stdin().lock().take(MOST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(Failure::usage("standard input is too long for a list of names"));
    }
    let text = text.strip_prefix(UTF_8_MARK).unwrap_or(&text);
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        match std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) {
            Ok("") => {}
            Ok(name) => names.push(name.to_owned()),
            Err(_) => return Err(Failure::usage(format!("line {} of standard input is not UTF-8", number + 1))),
        }
    }
    Ok(())
}

pub(crate) struct Given<'a> {
    pub(crate) names: &'a [String],
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
}

/// Separates names from pairs: the first word is a name, and from the first `KEY=VALUE` on all are pairs.
pub(crate) fn and_pairs<'a>(given: &'a [String], what: &str) -> Done<Given<'a>> {
    let first = given.iter().skip(1).position(|word| word.contains('=')).map_or(given.len(), |place| place + 1);
    let (names, pairs) = given.split_at(first);
    let pair = |word: &'a String| {
        word.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            Failure::usage(format!("{word:?} is no {what}"))
                .hint("names come first, then KEY=VALUE, in quotes where there are spaces")
        })
    };
    Ok(Given { names, pairs: pairs.iter().map(pair).collect::<Done<_>>()? })
}
