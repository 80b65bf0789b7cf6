use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::Host as Driver;

use super::connection::Source;
use super::conninfo::Conninfo;
use super::place::{Host, Place};
use super::table::Table;
use crate::error::{Error, Result};
use crate::identity::Identity;

const SHOWN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const HOST: &AsciiSet = &SHOWN.remove(b':').remove(b'[').remove(b']');

pub(super) struct Parsed {
    pub(super) place: Place,
    pub(super) table: Table,
    pub(super) creates: bool,
}

/// `variable`: of the environment.
pub(super) fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Parsed> {
    let mut conninfo = Conninfo::parse(text)?;
    let standard = Table::default();
    let mut part = |name: &str, otherwise: String| conninfo.take(name).unwrap_or(otherwise);
    let table = Table {
        table: part("table", standard.table),
        name: part("name_column", standard.name),
        item: part("item_column", standard.item),
        schema: conninfo.take("schema"),
    };
    table.check()?;
    let creates = match conninfo.take("create_table").as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Error::invalid_input("`create_table` of a PostgreSQL store is `true` or `false`")),
    };
    Ok(Parsed { place: conninfo.place(variable)?, table, creates })
}

pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) fn identity(source: &Arc<Source>, table: &Table) -> Identity {
    match &**source {
        Source::Place(place) => {
            identity_of(&place.hosts, place.database.as_deref().or(place.login.user.as_deref()), table)
        }
        Source::Config(config) => identity_of(&hosts(config), config.get_dbname().or(config.get_user()), table),
    }
}

fn hosts(config: &Config) -> Vec<Host> {
    let (names, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let host = |at: usize| Host {
        name: match names.get(at) {
            Some(Driver::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Driver::Unix(path)) => path.to_string_lossy().into_owned(),
            None => String::new(),
        },
        address: addresses.get(at).copied(),
        port: port(at),
    };
    (0..names.len().max(addresses.len())).map(host).collect()
}

/// The order of the hosts does not matter, and the user decides only what may be done.
fn identity_of(hosts: &[Host], database: Option<&str>, table: &Table) -> Identity {
    let mut hosts: Vec<_> = hosts.iter().map(|host| utf8_percent_encode(&host.shown(), HOST).to_string()).collect();
    hosts.sort_unstable();
    let encode = |text: &str| utf8_percent_encode(text, SHOWN).to_string();
    let schema = table.schema.as_deref().map(|schema| format!("&schema={}", encode(schema))).unwrap_or_default();
    Identity::new(format!(
        "postgresql://{}/{}?table={}{schema}",
        hosts.join(","),
        encode(database.unwrap_or_default()),
        encode(&table.table)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::stores::PostgresFeatureFlagStore;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn identity_without(text: &str) -> String {
        let parsed = parse(text, none).unwrap();
        identity(&Arc::new(Source::Place(Box::new(parsed.place))), &parsed.table).to_string()
    }

    #[test]
    fn urls_and_keywords() {
        for (text, place) in [
            ("postgres://h/db", "postgresql://h:5432/db?table=feature_flags"),
            ("postgresql://u:p@H:1/db?table=ff&schema=app", "postgresql://h:1/db?table=ff&schema=app"),
            ("postgresql://u@b:2,a/db", "postgresql://a:5432,b:2/db?table=feature_flags"),
            ("postgresql://u@[::1]:7", "postgresql://[::1]:7/u?table=feature_flags"),
            ("postgresql://%2Frun%2Fpg/db", "postgresql://%2Frun%2Fpg:5432/db?table=feature_flags"),
            ("postgresql:///db?host=h&port=3", "postgresql://h:3/db?table=feature_flags"),
            ("host=h port=4 dbname = 'a b' user=u", "postgresql://h:4/a%20b?table=feature_flags"),
            ("host=h dbname=it\\'s password='a\\'b c'", "postgresql://h:5432/it%27s?table=feature_flags"),
            ("hostaddr=10.0.0.1 dbname=d table=t", "postgresql://10.0.0.1:5432/d?table=t"),
            ("postgresql://h/d?ssl=true", "postgresql://h:5432/d?table=feature_flags"),
        ] {
            assert_eq!(identity_without(text), place, "{text}");
        }
    }

    #[test]
    fn the_environment_fills_in() {
        let variables = |name: &str| {
            let value = match name {
                "PGHOST" => "e",
                "PGPORT" => "6",
                "PGDATABASE" => "d",
                "PGUSER" => "v",
                "PGPASSWORD" => "w",
                "PGSSLMODE" => "require",
                "PGAPPNAME" => "",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let place = parse("postgresql://", variables).unwrap().place;
        assert_eq!((place.hosts[0].name.as_str(), place.hosts[0].port), ("e", 6));
        assert_eq!((place.database.as_deref(), place.login.user.as_deref()), (Some("d"), Some("v")));
        assert_eq!(place.login.password.as_deref(), Some("w"));
        assert!(place.tls.required && !place.tls.verified);
        assert_eq!(place.session.application_name, "flipper");
        let place = parse("postgresql://u:p@h:1/x?sslmode=disable", variables).unwrap().place;
        assert_eq!((place.hosts[0].name.as_str(), place.hosts[0].port, place.tls.allowed), ("h", 1, false));
        let old = |name: &str| (name == "PGREQUIRESSL").then(|| "1".to_owned());
        assert!(parse("postgresql://h", old).unwrap().place.tls.required);
        assert!(!parse("postgresql://h?sslmode=prefer", old).unwrap().place.tls.required);
        let service = |name: &str| (name == "PGSERVICE").then(|| "s".to_owned());
        let error = parse("postgresql://h", service).err().unwrap();
        assert!(error.to_string().contains("`service=s`"), "{error}");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (parameter, named) in [
            ("sslmode=allow", "sslmode=allow"),
            ("sslmode=verify-full", "sslrootcert"),
            ("sslmode=verify-ca", "sslrootcert"),
            ("sslmode=require&sslrootcert=system", "sslrootcert=system"),
            ("sslcrl=/x", "sslcrl"),
            ("sslcert=/x", "sslkey"),
            ("sslpassword=secret", "sslpassword"),
            ("sslcertmode=require", "sslcertmode"),
            ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version"),
            ("service=x", "service"),
            ("gssencmode=require", "gssencmode"),
            ("require_auth=scram-sha-256", "require_auth"),
            ("requirepeer=postgres", "requirepeer"),
            ("client_encoding=LATIN1", "client_encoding"),
            ("replication=database", "replication"),
            ("target_session_attrs=best", "target_session_attrs"),
            ("channel_binding=often", "channel_binding"),
            ("nonsense=1", "nonsense"),
        ] {
            let error = parse(&format!("postgresql://u:secret@h/d?{parameter}"), none).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(named) && !format!("{error:?}").contains("secret"), "{error}");
        }
        let verified = parse("postgresql://h?sslmode=verify-full&sslrootcert=/ca.pem", none).unwrap().place.tls;
        assert!(verified.required && verified.verified && verified.named);
        let chained = parse("postgresql://h?sslmode=require&sslrootcert=/ca.pem", none).unwrap().place.tls;
        assert!(chained.required && chained.verified && !chained.named);
    }

    #[test]
    fn a_certificate_without_its_key_matters_to_tls_alone() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".postgresql")).unwrap();
        std::fs::write(home.path().join(".postgresql/postgresql.crt"), "").unwrap();
        let variables = |name: &str| (name == "HOME").then(|| home.path().display().to_string());
        for text in ["postgresql://h/d?sslmode=disable", "host=/run/postgresql dbname=d"] {
            assert!(!parse(text, variables).unwrap().place.tls.allowed);
        }
        assert!(parse("postgresql://h/d", variables).err().unwrap().to_string().contains("`sslkey`"));
    }

    #[test]
    fn what_is_refused_and_without_a_secret() {
        for text in [
            "postgresql://u:secret@h:notaport",
            "postgresql://u:se@cret@h",
            "postgresql://u:12/secret@h",
            "postgresql://u:12?secret@h",
            "postgresql://u:12#secret@h",
            "postgresql://u:%ffsecret@h",
            "postgresql://u:secret@h:0",
            "postgresql://u:secret@[::1",
            "postgresql://u:secret@h/d?create_table=maybe",
            "postgresql://u:secret@h/d?table=a%24b",
            "postgresql://u:secret@a,b:1,c/d?hostaddr=10.0.0.1,10.0.0.2",
            "host=h password='secret",
            "host = h secret",
            "secret",
            "http://u:secret@h",
        ] {
            let error = parse(text, none).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("secret"), "{text}: {error:?}");
        }
        let store = PostgresFeatureFlagStore::from_url("postgresql://u:secret@localhost/d?sslmode=disable").unwrap();
        assert!(!format!("{store} {store:?} {}", crate::FeatureFlagStore::identity(&store)).contains("secret"));
    }
}
