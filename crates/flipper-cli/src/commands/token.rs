use std::fs;
use std::time::{Duration, SystemTime};

use anstyle::Style;
use flipper::json::{Json, Object};
use flipper_server::{NewToken, Token, TokenFile, TokenFileError, Validity};

use crate::args::{self, TokenCreate, TokenList, TokenRevoke};
use crate::failure::{Done, Failure};
use crate::output::{NOTE, OFF, ON, object, or_null};
use crate::session::Session;
use crate::store::xdg;
use crate::table::{self, Cell};
use crate::text::{path_text, plain, quoted};

pub(crate) fn run(session: &mut Session, args: &args::Token) -> Done {
    match args {
        args::Token::Create(args) => create(session, args),
        args::Token::List(args) => list(session, args),
        args::Token::Revoke(args) => revoke(session, args),
    }
}

fn create(session: &mut Session, args: &TokenCreate) -> Done {
    let file = file(&args.file)?;
    if args.file.file.is_none()
        && let Some(folder) = file.path().parent()
    {
        let failed =
            |error| Failure::usage(format!("the folder of {} cannot be made: {error}", path_text(file.path())));
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let new = NewToken {
        name: args.name.clone(),
        role: args.role,
        prefixes: args.prefix.clone(),
        lifetime: args.expires.map(|expires| Duration::from_secs(expires.as_secs())),
    };
    let (token, secret) = file.create(&new).map_err(|error| failure(&error))?;
    if session.out.json() {
        let mut item = item(&token);
        item.insert("token", secret.text());
        return session.out.value(item);
    }
    session.out.line(secret.text())?;
    let (name, path) = (quoted(&token.name), path_text(file.path()));
    let until = token.expires.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", time(at)));
    session.out.message(format_args!(
        "created {} for {name} in {path}: {}, {}, {until}; it is not shown again",
        token.id,
        token.role,
        flags(&token)
    ));
    Ok(())
}

fn list(session: &mut Session, args: &TokenList) -> Done {
    let file = file(&args.file)?;
    let tokens = file.read().map_err(|error| failure(&error))?;
    if session.out.json() {
        return session.out.value(tokens.iter().map(item).collect::<Vec<_>>());
    }
    if tokens.is_empty() {
        session.out.message(format_args!("there are no tokens in {}", path_text(file.path())));
        return Ok(());
    }
    let rows: Vec<_> = tokens.iter().map(row).collect();
    table::write(&mut session.out, ["ID", "NAME", "STATE", "ROLE", "FLAGS", "UNTIL"], &rows)
}

fn revoke(session: &mut Session, args: &TokenRevoke) -> Done {
    let token = file(&args.file)?.revoke(&args.id).map_err(|error| failure(&error))?;
    if session.out.json() {
        return session.out.value(item(&token));
    }
    session.out.message(format_args!("revoked {} of {}", token.id, quoted(&token.name)));
    Ok(())
}

fn file(args: &args::TokensFile) -> Done<TokenFile> {
    if let Some(file) = &args.file {
        return Ok(TokenFile::new(file));
    }
    let none = || Failure::usage("no file is named, and there is no HOME to keep tokens in").hint("add --file FILE");
    let data = xdg("XDG_DATA_HOME", ".local/share").ok_or_else(none)?;
    Ok(TokenFile::new(data.join("flipper").join("tokens.json")))
}

pub(super) fn failure(error: &TokenFileError) -> Failure {
    let failure = Failure::usage(plain(&error.to_string()).into_owned());
    match error {
        TokenFileError::Missing(_) => {
            failure.hint("`flipper token create NAME --role ROLE` makes it; or is it another file?")
        }
        TokenFileError::Refused(what) if what.contains("no token has the id") => {
            failure.hint("`flipper token list` shows them")
        }
        TokenFileError::Refused(what) if what.contains("has the name") => {
            failure.hint("revoke that one first, or take another name")
        }
        _ => failure,
    }
}

fn row(token: &Token) -> [Cell; 6] {
    let (state, style) = state(token);
    let until = token.revoked.or(token.expires).map(time).unwrap_or_default();
    [
        Cell::new(&token.id),
        Cell::new(plain(&token.name)),
        Cell::styled(state, style),
        Cell::new(token.role.name()),
        Cell::new(flags(token)),
        Cell::new(until),
    ]
}

fn state(token: &Token) -> (&'static str, Style) {
    match token.validity(SystemTime::now()) {
        Validity::Valid => ("valid", ON),
        Validity::Expired => ("expired", NOTE),
        _ => ("revoked", OFF),
    }
}

fn flags(token: &Token) -> String {
    let beginnings: Vec<_> = token.prefixes.iter().map(|prefix| format!("{}*", plain(prefix))).collect();
    match beginnings.len() {
        0 => "all flags".to_owned(),
        1..=3 => beginnings.join(" "),
        more => format!("{} and {} more", beginnings[..2].join(" "), more - 2),
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

fn item(token: &Token) -> Object {
    let prefixes = token.prefixes.iter().map(|prefix| Json::from(prefix.as_str())).collect::<Vec<_>>();
    object([
        ("id", token.id.as_str().into()),
        ("name", token.name.as_str().into()),
        ("state", state(token).0.into()),
        ("role", token.role.name().into()),
        ("prefixes", prefixes.into()),
        ("created", time(token.created).into()),
        ("expires", or_null(token.expires.map(time))),
        ("revoked", or_null(token.revoked.map(time))),
    ])
}
