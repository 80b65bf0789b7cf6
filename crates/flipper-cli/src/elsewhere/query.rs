//! The language of GO Feature Flag's queries. Texts are compared without regard to case, but for `in`; a comparison of a missing attribute,
//! or of one of another type, does not hold; `and` and `or` bind alike, from the left. What it cannot read it skips, often with all that
//! follows, so what it might not read is refused here.

use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Place, Test};

use super::cond::Cond;
use super::goff::{ANONYMOUS, KEY};
use super::values::json_of;

/// How deep brackets nest.
const DEEPEST: usize = 30;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    List(Vec<Json>),
    Text(String),
    /// Names, operators and numbers.
    Word(String),
}

pub(super) fn parse(text: &str) -> Result<Cond, String> {
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), depth: 0 };
    let cond = parser.query()?;
    match parser.tokens.next() {
        None => Ok(cond),
        Some((_, token)) => Err(format!("{token:?} is not expected there")),
    }
}

struct Parser {
    /// Each with whether a space is before it.
    tokens: std::iter::Peekable<std::vec::IntoIter<(bool, Token)>>,
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Cond, String> {
        let mut cond = self.part()?;
        loop {
            let is_and = match self.tokens.peek() {
                Some((true, Token::Word(word))) if word == "and" => true,
                Some((true, Token::Word(word))) if word == "or" => false,
                Some((_, Token::Word(word))) if matches!(&*word.to_ascii_lowercase(), "and" | "or") => {
                    return Err(format!(
                        "GO Feature Flag ignores {word:?}, and all after it: it reads lower case after a space"
                    ));
                }
                _ => return Ok(cond),
            };
            self.tokens.next();
            let next = self.part()?;
            cond = if is_and { cond.and(next) } else { Cond::any([cond, next]) };
        }
    }

    fn next(&mut self) -> Option<Token> {
        self.tokens.next().map(|(_, token)| token)
    }

    fn part(&mut self) -> Result<Cond, String> {
        match self.next() {
            Some(Token::Open) => self.brackets(),
            Some(Token::Word(word)) if matches!(&*word, "not" | "NOT") => match self.next() {
                Some(Token::Open) => self.brackets().map(Cond::not),
                _ => Err("`not` needs brackets".to_owned()),
            },
            Some(Token::Word(attribute)) => self.comparison(&attribute),
            other => Err(format!("an attribute is expected, not {other:?}")),
        }
    }

    fn brackets(&mut self) -> Result<Cond, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("brackets nest deeper than {DEEPEST}"));
        }
        let cond = self.query()?;
        self.depth -= 1;
        match self.next() {
            Some(Token::Close) => Ok(cond),
            _ => Err("a bracket is not closed".to_owned()),
        }
    }

    fn comparison(&mut self, attribute: &str) -> Result<Cond, String> {
        if !is_name(attribute) {
            return Err(format!("{attribute:?} is no name of an attribute there"));
        }
        // Both names are of one thing.
        let attribute = if attribute == "key" { KEY } else { attribute };
        let Some(Token::Word(operator)) = self.next() else {
            return Err(format!("{attribute:?} is followed by no operator"));
        };
        if operator == "pr" {
            return Ok(if matches!(attribute, ANONYMOUS | KEY) { Cond::Always } else { Cond::exists(attribute) });
        }
        let value = self.next().ok_or_else(|| format!("{operator:?} is followed by no value"))?;
        let is_upper = operator.chars().all(|letter| letter.is_ascii_uppercase());
        let operator = if is_upper { operator.to_ascii_lowercase() } else { operator };
        if attribute != KEY {
            return compared(attribute, &operator, value);
        }
        // It is an empty text where it is missing.
        let if_missing = match (&*operator, &value) {
            ("ne" | "!=", Token::Word(word)) if word == "null" => return Ok(Cond::Always),
            ("eq" | "==", Token::Word(word)) if word == "null" => return Ok(Cond::Never),
            ("ne" | "!=", Token::Text(text)) => !text.is_empty(),
            (_, Token::Text(text)) => text.is_empty(),
            (_, Token::List(values)) => values.contains(&Json::from("")),
            _ => false,
        };
        let cond = compared(attribute, &operator, value)?;
        Ok(if if_missing { cond.or_missing(attribute) } else { cond })
    }
}

/// Letters, then letters, digits, `-`, `_` and `:`; no word of the language.
fn is_name(attribute: &str) -> bool {
    const WORDS: [&str; 17] =
        ["and", "or", "not", "true", "false", "null", "pr", "in", "eq", "ne", "gt", "lt", "ge", "le", "co", "sw", "ew"];
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_:".contains(letter))
            && !WORDS.contains(&&*part.to_ascii_lowercase())
    };
    attribute.split('.').all(is_part)
}

fn compared(attribute: &str, operator: &str, value: Token) -> Result<Cond, String> {
    let compare = match operator {
        "eq" | "==" => Operator::Eq,
        "ne" | "!=" => Operator::Ne,
        "gt" | ">" => Operator::Gt,
        "lt" | "<" => Operator::Lt,
        "ge" | ">=" => Operator::Gte,
        "le" | "<=" => Operator::Lte,
        "in" => Operator::In,
        "co" | "sw" | "ew" => return part_of_text(attribute, operator, value),
        other => return Err(format!("the operator {other:?} is unknown")),
    };
    match value {
        value if attribute == ANONYMOUS => is_anonymous(compare, &value),
        Token::List(values) if compare == Operator::In => Ok(Cond::one_of(attribute, values)),
        Token::Text(text) => compare_text(attribute, compare, &text),
        Token::Word(word) if compare != Operator::In => compare_word(attribute, compare, &word),
        other => Err(format!("{operator:?} does not take {other:?}")),
    }
}

/// A boolean, and false where it is missing.
fn is_anonymous(compare: Operator, value: &Token) -> Result<Cond, String> {
    let wanted = match value {
        Token::Word(word) if matches!(compare, Operator::Eq | Operator::Ne) => word.parse::<bool>().ok(),
        _ => None,
    };
    let Some(wanted) = wanted else {
        return Err(format!("{ANONYMOUS} is compared with something other than a boolean"));
    };
    let wanted = wanted == (compare == Operator::Eq);
    let equal = Cond::compare(ANONYMOUS, Operator::Eq, wanted);
    Ok(if wanted { equal } else { equal.or_missing(ANONYMOUS) })
}

fn part_of_text(attribute: &str, operator: &str, value: Token) -> Result<Cond, String> {
    let Token::Text(text) = value else { return Err(format!("{operator:?} takes a text")) };
    let place = match operator {
        "sw" => Place::Start,
        "ew" => Place::End,
        _ => Place::Anywhere,
    };
    Ok(Cond::text(attribute, place, vec![text], true))
}

fn compare_text(attribute: &str, compare: Operator, text: &str) -> Result<Cond, String> {
    let has_case = text.chars().any(|letter| letter.is_lowercase() || letter.is_uppercase());
    let equal = if has_case {
        // Unicode has letters that a regular expression finds equal, and Go does not: to ASCII ones, and σ to ς.
        let pattern = match text.is_ascii() {
            true => format!("^(?i-u){}$", escaped(text)),
            false => format!("^{}$", text.chars().map(in_any_case).collect::<String>()),
        };
        Cond::checked(attribute, Test::Matches(pattern))?
    } else {
        Cond::compare(attribute, Operator::Eq, text)
    };
    match compare {
        Operator::Eq => Ok(equal),
        Operator::Ne => Ok(Cond::is_text(attribute).and(equal.not())),
        _ => Err("texts are not compared by size here without regard to case".to_owned()),
    }
}

/// The letters of which the lower case is this one's.
fn in_any_case(letter: char) -> String {
    let lower = letter.to_lowercase().next().unwrap_or(letter);
    let upper = lower.to_uppercase().next().filter(|upper| upper.to_lowercase().eq([lower]));
    match upper.filter(|upper| *upper != lower) {
        Some(upper) => format!("[{lower}{upper}]"),
        None => escaped(&lower.to_string()),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        // With a backslash these two are the edges of a word.
        if letter.is_ascii_punctuation() && !matches!(letter, '<' | '>') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn compare_word(attribute: &str, compare: Operator, word: &str) -> Result<Cond, String> {
    let is_equal = compare == Operator::Eq;
    match word {
        "true" | "false" if matches!(compare, Operator::Eq | Operator::Ne) => {
            Ok(Cond::compare(attribute, Operator::Eq, (word == "true") == is_equal))
        }
        "null" if is_equal => Ok(Cond::exists(attribute).not()),
        "null" if compare == Operator::Ne => Ok(Cond::exists(attribute)),
        _ if is_integer(word) => compare_integer(attribute, compare, integer(word)?),
        _ if is_decimal(word) => {
            check_size(word)?;
            let number = json_of(word.parse().map_err(|_| format!("{word:?} is no number"))?);
            Ok(match compare {
                Operator::Ne => Cond::other_number(attribute, &number),
                _ => Cond::compare(attribute, compare, number),
            })
        }
        _ => Cond::checked(attribute, Test::Semver(compare, word.to_owned()))
            .map_err(|_| format!("{word:?} is no value; a text needs quotes")),
    }
}

/// As it is read there: no zeros in front, no plus, no exponent.
fn is_integer(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    is_digits(digits) && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(word: &str) -> bool {
    word.split_once('.').is_some_and(|(whole, part)| is_integer(whole) && is_digits(part))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit())
}

fn integer(word: &str) -> Result<i64, String> {
    // The largest one also stands for all that are larger.
    word.parse().ok().filter(|number: &i64| number.unsigned_abs() < i32::MAX as u64).ok_or_else(|| {
        format!("{word} needs more than 32 bits, to which GO Feature Flag's engine as WASI cuts attributes")
    })
}

/// Decimals have the limit of integers there.
fn check_size(word: &str) -> Result<(), String> {
    integer(word.split_once('.').map_or(word, |(whole, _)| whole)).map(drop)
}

/// There an attribute is cut to an integer first, towards 0.
fn compare_integer(attribute: &str, compare: Operator, number: i64) -> Result<Cond, String> {
    let from = |number: i64| match number {
        1.. => Cond::compare(attribute, Operator::Gte, number),
        _ => Cond::compare(attribute, Operator::Gt, number - 1),
    };
    let to = |number: i64| match number {
        0.. => Cond::compare(attribute, Operator::Lt, number + 1),
        _ => Cond::compare(attribute, Operator::Lte, number),
    };
    Ok(match compare {
        Operator::Eq => from(number).and(to(number)),
        Operator::Ne => Cond::any([to(number - 1), from(number + 1)]),
        Operator::Gt => from(number + 1),
        Operator::Gte => from(number),
        Operator::Lt => to(number - 1),
        _ => to(number),
    })
}

/// Each with whether a space is before it.
fn tokens(text: &str) -> Result<Vec<(bool, Token)>, String> {
    if text.contains(|letter: char| letter.is_control()) {
        return Err("GO Feature Flag ignores all after a line break or a tab".to_owned());
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(' ');
        let is_spaced = match rest.len() - start.len() {
            0 => false,
            1 => true,
            _ => return Err("GO Feature Flag may ignore all after two spaces".to_owned()),
        };
        let Some(first) = start.chars().next() else { return Ok(tokens) };
        let (token, after) = match first {
            '(' => (Token::Open, &start[1..]),
            ')' => (Token::Close, &start[1..]),
            '"' => {
                let (text, after) = quoted(start)?;
                (Token::Text(text), after)
            }
            '[' => {
                let end = list_end(start).ok_or("a list is not closed")?;
                (Token::List(list(&start[..=end])?), &start[end + 1..])
            }
            _ => {
                let is_end = |letter: char| letter.is_whitespace() || "()[]\"".contains(letter);
                let end = start.find(is_end).filter(|end| *end > 0).unwrap_or(start.len());
                (Token::Word(start[..end].to_owned()), &start[end..])
            }
        };
        tokens.push((is_spaced, token));
        rest = after;
    }
}

/// Texts, integers or decimals, one kind of them; spaces are after commas alone.
fn list(written: &str) -> Result<Vec<Json>, String> {
    let values = Json::parse_strict(written).map_err(|_| "a list has something other than texts or numbers")?;
    let values = values.as_array().unwrap_or_default().to_vec();
    let Some(inner) = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return Err("a list is not closed".to_owned());
    };
    let parts: Vec<&str> =
        inner.split(',').enumerate().map(|(place, part)| if place == 0 { part } else { part.trim_start() }).collect();
    let is_known = if values.iter().all(|value| value.as_str().is_some()) {
        // There a backslash stays.
        !written.contains('\\') && !inner.starts_with(' ') && !inner.ends_with(' ') && !inner.contains("\" ")
    } else {
        let kinds = [is_integer, is_decimal];
        parts.iter().filter(|part| is_integer(part) || is_decimal(part)).try_for_each(|part| check_size(part))?;
        !written.contains('-') && kinds.iter().any(|is_kind| parts.iter().all(|part| is_kind(part)))
    };
    match is_known && !values.is_empty() {
        true => Ok(values),
        false => Err(format!("{written} is not read there")),
    }
}

/// A text as it is written: there, a backslash before a quote stays.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok((rest[1..at].to_owned(), &rest[at + 1..])),
            _ => {}
        }
    }
    Err("a text is not closed".to_owned())
}

fn list_end(rest: &str) -> Option<usize> {
    let mut in_text = false;
    let mut escaped = false;
    rest.char_indices().find_map(|(at, letter)| {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            ']' if !in_text => return Some(at),
            _ => {}
        }
        None
    })
}
