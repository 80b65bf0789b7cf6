//! Several flags at once, and names from standard input.

use std::io::{self, BufRead};

use crate::failure::{Done, Failure};

/// Standing for the names on standard input.
const FROM_STDIN: &str = "-";
/// Longer than any name; a line beyond it is no list of names.
const LONGEST_LINE: usize = 64 * 1024;

/// The names that were given; in place of a `-`, those on standard input, one a line.
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
    for (number, line) in io::stdin().lock().split(b'\n').enumerate() {
        let line =
            line.map_err(|error| Failure::usage(format!("names cannot be read from standard input: {error}")))?;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let refuse = |what| Failure::usage(format!("line {} of standard input {what}", number + 1));
        if line.len() > LONGEST_LINE {
            return Err(refuse("is too long for a name"));
        }
        match std::str::from_utf8(line) {
            Ok("") => {}
            Ok(name) => names.push(name.to_owned()),
            Err(_) => return Err(refuse("is not UTF-8")),
        }
    }
    Ok(())
}

/// Names, and what is said of them.
pub(crate) struct Given<'a> {
    pub(crate) names: &'a [String],
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
}

/// Takes names and pairs apart: the first is always a name, and from the first `KEY=VALUE` on all are pairs.
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
