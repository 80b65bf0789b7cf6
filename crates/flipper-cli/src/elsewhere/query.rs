//! The language of GO Feature Flag's queries. Texts are compared without regard to case, but for `in`; a comparison of a missing attribute,
//! or of one of another type, does not hold; `and` and `or` bind alike, from the left.

use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Place, Test};

use super::cond::Cond;
use super::goff::ANONYMOUS;
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
        Some(token) => Err(format!("{token:?} is not expected there")),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Cond, String> {
        let mut cond = self.part()?;
        loop {
            let is_and = match self.tokens.peek() {
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("and") => true,
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("or") => false,
                _ => return Ok(cond),
            };
            self.tokens.next();
            let next = self.part()?;
            cond = if is_and { cond.and(next) } else { Cond::any([cond, next]) };
        }
    }

    fn part(&mut self) -> Result<Cond, String> {
        match self.tokens.next() {
            Some(Token::Open) => self.brackets(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("not") => match self.tokens.next() {
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
        match self.tokens.next() {
            Some(Token::Close) => Ok(cond),
            _ => Err("a bracket is not closed".to_owned()),
        }
    }

    fn comparison(&mut self, attribute: &str) -> Result<Cond, String> {
        // Both names are of one thing.
        let attribute = if attribute == "key" { "targetingKey" } else { attribute };
        let Some(Token::Word(operator)) = self.tokens.next() else {
            return Err(format!("{attribute:?} is followed by no operator"));
        };
        let operator = operator.to_ascii_lowercase();
        if operator == "pr" {
            return Ok(if attribute == ANONYMOUS { Cond::Always } else { Cond::exists(attribute) });
        }
        let value = self.tokens.next().ok_or_else(|| format!("{operator:?} is followed by no value"))?;
        let compare = match &*operator {
            "eq" | "==" => Operator::Eq,
            "ne" | "!=" => Operator::Ne,
            "gt" | ">" => Operator::Gt,
            "lt" | "<" => Operator::Lt,
            "ge" | ">=" => Operator::Gte,
            "le" | "<=" => Operator::Lte,
            "in" => Operator::In,
            "co" | "sw" | "ew" => return part_of_text(attribute, &operator, value),
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
        // Unicode has letters that a regular expression finds equal to ASCII ones, and Go does not.
        let flags = if text.is_ascii() { "(?i-u)" } else { "(?i)" };
        Cond::checked(attribute, Test::Matches(format!("^{flags}{}$", escaped(text))))?
    } else {
        Cond::compare(attribute, Operator::Eq, text)
    };
    match compare {
        Operator::Eq => Ok(equal),
        Operator::Ne => Ok(Cond::is_text(attribute).and(equal.not())),
        _ => Err("texts are not compared by size here without regard to case".to_owned()),
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
        _ => match word.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) if compare == Operator::Ne => Ok(Cond::other_number(attribute, &json_of(number))),
            Some(number) => Ok(Cond::compare(attribute, compare, json_of(number))),
            None => Cond::checked(attribute, Test::Semver(compare, word.to_owned()))
                .map_err(|_| format!("{word:?} is no value; a text needs quotes")),
        },
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '(' => {
                tokens.push(Token::Open);
                &rest[1..]
            }
            ')' => {
                tokens.push(Token::Close);
                &rest[1..]
            }
            '"' => {
                let (text, after) = quoted(rest)?;
                tokens.push(Token::Text(text));
                after
            }
            '[' => {
                let end = list_end(rest).ok_or("a list is not closed")?;
                let list = Json::parse_strict(&rest[..=end])
                    .map_err(|_| "a list has something other than texts or numbers")?;
                tokens.push(Token::List(list.as_array().unwrap_or_default().to_vec()));
                &rest[end + 1..]
            }
            _ => {
                let end =
                    rest.find(|letter: char| letter.is_whitespace() || "()[]\"".contains(letter)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_owned()));
                &rest[end..]
            }
        }
        .trim_start();
    }
    Ok(tokens)
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
