//! Regular expressions of the tools. There `\d`, `\w`, `\s` and `\b` are about ASCII; here they are about all of Unicode.

use flipper::targeting::Test;

use super::cond::Cond;

/// Letters beyond ASCII that are s and k without regard to case here, and not in all tools.
const FOLDED: &str = r"[\x{17F}\x{212A}]";

pub(super) struct Pattern {
    text: String,
    ignores_case: bool,
}

impl Pattern {
    pub(super) fn of(text: &str, ignore_case: bool) -> Result<Self, String> {
        let mut found = Self { text: String::new(), ignores_case: ignore_case };
        if ignore_case {
            found.text.push_str("(?i)");
        }
        let mut rest = text.chars().peekable();
        let mut in_class = false;
        while let Some(letter) = rest.next() {
            match letter {
                '\\' => found.escape(rest.next(), in_class, rest.peek() == Some(&'{'))?,
                // What these do here within brackets they do not there.
                // A class by name, of ASCII here too.
                '[' if in_class && rest.peek() == Some(&':') => {
                    found.text.push('[');
                    while let Some(letter) = rest.next_if(|letter| *letter != ']') {
                        found.text.push(letter);
                    }
                    found.text.extend(rest.next());
                }
                '[' if in_class => found.text.push_str(r"\["),
                '&' | '-' | '~' if in_class && rest.peek() == Some(&letter) => {
                    return Err(format!("it has {letter}{letter} within brackets"));
                }
                '[' => {
                    in_class = true;
                    found.text.push('[');
                    found.text.extend(rest.next_if_eq(&'^'));
                    if rest.next_if_eq(&']').is_some() {
                        found.text.push_str(r"\]");
                    }
                }
                ']' => {
                    in_class = false;
                    found.text.push(']');
                }
                '(' if !in_class && rest.peek() == Some(&'?') => {
                    found.text.push('(');
                    found.text.extend(rest.next());
                    found.flags(&mut rest)?;
                }
                other => found.text.push(other),
            }
        }
        Ok(found)
    }

    fn escape(&mut self, letter: Option<char>, in_class: bool, has_brace: bool) -> Result<(), String> {
        let known = match letter {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('s') => r"[\t\n\f\r ]",
            Some('S') => r"[^\t\n\f\r ]",
            Some('b' | 'B') if in_class || has_brace => return Err("it has a \\b that is no edge of a word".to_owned()),
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('<') => "<",
            Some('>') => ">",
            other => {
                self.text.push('\\');
                self.text.extend(other);
                return Ok(());
            }
        };
        self.text.push_str(known);
        Ok(())
    }

    fn flags(&mut self, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), String> {
        while let Some(flag) = rest.next_if(|letter| letter.is_ascii_lowercase() || *letter == '-') {
            if matches!(flag, 'u' | 'x') {
                return Err(format!("the flag {flag} is not known there"));
            }
            self.ignores_case |= flag == 'i';
            self.text.push(flag);
        }
        Ok(())
    }

    fn may_fold(&self) -> bool {
        self.ignores_case && self.text.contains(['k', 'K', 's', 'S', '['])
    }
}

/// Any of these; with `negate`, a text for which none holds.
pub(super) fn matches(attribute: &str, patterns: Vec<Pattern>, negate: bool) -> Result<Cond, String> {
    let may_fold = patterns.iter().any(Pattern::may_fold);
    let check = |text: String| Cond::checked(attribute, Test::Matches(text));
    let all: Result<Vec<_>, _> = patterns.into_iter().map(|pattern| check(pattern.text)).collect();
    let any = Cond::any(all?);
    let cond = if negate { Cond::is_text(attribute).and(any.not()) } else { any };
    Ok(if may_fold { cond.and(check(FOLDED.to_owned())?.not()) } else { cond })
}
