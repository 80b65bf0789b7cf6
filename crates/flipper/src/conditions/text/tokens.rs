use super::Wrong;
use crate::conditions::Operator;
use crate::json::Json;

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Word(String),
    /// In quotes: always a string.
    Quoted(String),
    Operator(Operator),
    Comma,
    Open,
    Close,
    End,
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || ",=!<>[]()\"'".contains(c)
}

pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, len) = next(&text[at..], c).map_err(|wrong| Wrong { at: at + wrong.at, ..wrong })?;
        tokens.push(Token { kind, at, len });
        at += len;
    }
    tokens.push(Token { kind: Kind::End, at: text.len(), len: 1 });
    Ok(tokens)
}

fn next(rest: &str, first: char) -> Result<(Kind, usize), Wrong> {
    const OPERATORS: [(&str, Operator); 8] = [
        ("==", Operator::Eq),
        ("!=", Operator::Ne),
        ("<>", Operator::Ne),
        (">=", Operator::Gte),
        ("<=", Operator::Lte),
        ("=", Operator::Eq),
        (">", Operator::Gt),
        ("<", Operator::Lt),
    ];
    if let Some((symbol, operator)) = OPERATORS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
        return Ok((Kind::Operator(*operator), symbol.len()));
    }
    match first {
        ',' => Ok((Kind::Comma, 1)),
        '[' | '(' => Ok((Kind::Open, 1)),
        ']' | ')' => Ok((Kind::Close, 1)),
        '\'' => match rest[1..].find('\'') {
            Some(end) => Ok((Kind::Quoted(rest[1..=end].to_owned()), end + 2)),
            None => Err(unclosed()),
        },
        '"' => quoted(rest),
        '!' => Err(Wrong { what: "`!` alone means nothing here; unequal is `!=`".into(), at: 0, len: 1 }),
        _ => {
            let word = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
            Ok((Kind::Word(word.to_owned()), word.len()))
        }
    }
}

fn quoted(rest: &str) -> Result<(Kind, usize), Wrong> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                return match Json::parse_strict(&rest[..=at]) {
                    Ok(Json::String(text)) => Ok((Kind::Quoted(text), at + 1)),
                    _ => Err(Wrong { what: "this is no string as JSON has it".into(), at: 0, len: at + 1 }),
                };
            }
            _ => {}
        }
    }
    Err(unclosed())
}

fn unclosed() -> Wrong {
    Wrong { what: "this quote is not closed".into(), at: 0, len: 1 }
}
