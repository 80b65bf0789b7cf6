//! Where the server is, and how to log in there.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};

/// Within which a server or a firewall that is away is noticed while a connection is idle, unless the connection string has others.
const KEEPALIVES: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

#[derive(Clone)]
pub(super) struct Place {
    pub(super) hosts: Vec<Host>,
    pub(super) database: Option<String>,
    pub(super) login: Login,
    pub(super) session: Session,
    pub(super) tls: Tls,
    pub(super) wanted: Checked,
    pub(super) shuffled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    /// A name, an address, or the folder of a socket; empty if there is only `address`.
    pub(super) name: String,
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) passfile: Option<PathBuf>,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) application_name: String,
    pub(super) options: Option<String>,
    pub(super) channel_binding: Option<ChannelBinding>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keepalives: Option<bool>,
    pub(super) keepalives_idle: Option<Duration>,
    pub(super) keepalives_interval: Option<Duration>,
    pub(super) keepalives_count: Option<u32>,
    pub(super) tcp_user_timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) allowed: bool,
    pub(super) required: bool,
    /// By `authorities`; else any certificate will do, as for libpq.
    pub(super) verified: bool,
    /// The certificate is for the host's name.
    pub(super) named: bool,
    /// A file, or `system`.
    pub(super) authorities: Option<PathBuf>,
    /// Files of the client's certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// What the server must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Tls {
    pub(super) fn disabled() -> Self {
        Self { allowed: false, required: false, verified: false, named: false, authorities: None, identity: None }
    }
}

impl Host {
    pub(super) fn is_socket(&self) -> bool {
        self.address.is_none() && self.name.starts_with(['/', '@'])
    }

    pub(super) fn shown(&self) -> String {
        let name = match self.address {
            Some(address) if self.name.is_empty() => address.to_string(),
            _ => self.name.to_ascii_lowercase(),
        };
        if name.contains(':') { format!("[{name}]:{}", self.port) } else { format!("{name}:{}", self.port) }
    }
}

impl Place {
    /// For one of its hosts. Reads the password file.
    pub(super) fn config(&self, host: &Host) -> Config {
        let mut config = Config::new();
        match (&host.address, host.name.as_str()) {
            (Some(address), name) => {
                config.hostaddr(*address).host(if name.is_empty() { address.to_string() } else { name.to_owned() });
            }
            (None, name) => _ = config.host(name),
        }
        config.port(host.port).application_name(&self.session.application_name);
        let mode = match (self.tls.allowed, self.tls.required) {
            (false, _) => SslMode::Disable,
            (true, _) if host.is_socket() => SslMode::Disable,
            (true, false) => SslMode::Prefer,
            (true, true) => SslMode::Require,
        };
        config.ssl_mode(mode).keepalives_idle(KEEPALIVES.0).keepalives_interval(KEEPALIVES.1);
        config.keepalives_retries(KEEPALIVES.2);
        let session = &self.session;
        session.options.iter().for_each(|options| _ = config.options(options));
        session.channel_binding.iter().for_each(|binding| _ = config.channel_binding(*binding));
        session.connect_timeout.iter().for_each(|time| _ = config.connect_timeout(*time));
        session.keepalives.iter().for_each(|on| _ = config.keepalives(*on));
        session.keepalives_idle.iter().for_each(|time| _ = config.keepalives_idle(*time));
        session.keepalives_interval.iter().for_each(|time| _ = config.keepalives_interval(*time));
        session.keepalives_count.iter().for_each(|count| _ = config.keepalives_retries(*count));
        session.tcp_user_timeout.iter().for_each(|time| _ = config.tcp_user_timeout(*time));
        config.target_session_attrs(match self.wanted {
            Checked::ReadWrite => TargetSessionAttrs::ReadWrite,
            Checked::ReadOnly => TargetSessionAttrs::ReadOnly,
            _ => TargetSessionAttrs::Any,
        });
        self.login.user.iter().for_each(|user| _ = config.user(user));
        self.database.iter().for_each(|database| _ = config.dbname(database));
        if let Some(password) = self.login.password.clone().or_else(|| self.login.find(host, self.database.as_deref()))
        {
            config.password(password);
        }
        config
    }
}

impl Login {
    /// In the password file.
    fn find(&self, host: &Host, database: Option<&str>) -> Option<String> {
        let (path, user) = (self.passfile.as_deref()?, self.user.as_deref()?);
        let text = private(path)?;
        let address = host.address.map(|address| address.to_string());
        let name = match (host.name.as_str(), &address) {
            ("", Some(address)) => address,
            // As libpq calls its default socket.
            (name, _) if name == default_host() => "localhost",
            (name, _) => name,
        };
        let wanted = [name, &host.port.to_string(), database.unwrap_or(user), user];
        text.lines().find_map(|line| entry(line, wanted))
    }
}

/// libpq's, as Debian builds it.
pub(super) fn default_host() -> String {
    let folders = ["/var/run/postgresql", "/tmp"];
    let found = folders.iter().find(|folder| cfg!(unix) && Path::new(folder).is_dir());
    (*found.unwrap_or(&"localhost")).to_owned()
}

/// As libpq, without what others may read.
fn private(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(path).ok()?;
        if found.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others may read the password file: it is left out; `chmod 0600` it");
            return None;
        }
    }
    fs::read_to_string(path).ok()
}

/// `HOST:PORT:DATABASE:USER:PASSWORD`, with `*` and backslashes.
fn entry(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let (mut fields, mut letters) = (vec![(String::new(), false)], line.trim_end_matches('\r').chars());
    while let Some(letter) = letters.next() {
        let last = fields.len() == 5;
        let (field, escaped) = fields.last_mut()?;
        match letter {
            '\\' => {
                *escaped = true;
                field.extend(letters.next());
            }
            ':' if !last => fields.push((String::new(), false)),
            letter => field.push(letter),
        }
    }
    let fits = |((field, escaped), wanted): (&(String, bool), &str)| field == "*" && !escaped || field == wanted;
    let (password, _) = fields.get(4)?;
    fields.iter().zip(wanted).all(fits).then(|| password.clone())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn hosts_in_the_password_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        let lines = "10.0.0.1:1:*:*:address\nlocalhost:1:*:*:default\n/run/other:1:*:*:folder\ndb:1:*:*:name\n";
        fs::write(&file, lines).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let login = Login { user: Some("u".into()), password: None, passfile: Some(file) };
        let find = |name: &str, address: Option<&str>| {
            let address = address.map(|address| address.parse().unwrap());
            login.find(&Host { name: name.to_owned(), address, port: 1 }, None)
        };
        assert_eq!(find("", Some("10.0.0.1")).as_deref(), Some("address"));
        assert_eq!(find("db", Some("10.0.0.1")).as_deref(), Some("name"));
        assert_eq!(find(&default_host(), None).as_deref(), Some("default"));
        assert_eq!(find("/run/other", None).as_deref(), Some("folder"));
        assert_eq!(find("/run/third", None), None);
    }

    #[test]
    fn lines_of_the_password_file() {
        let wanted = ["db.example", "5432", "shop", "app"];
        for (line, password) in [
            ("db.example:5432:shop:app:secret", Some("secret")),
            ("*:*:*:app:s\\:e\\\\c:ret", Some("s:e\\c:ret")),
            ("*:*:*:*:", Some("")),
            ("# *:*:*:*:x", None),
            ("other:*:*:*:x", None),
            ("\\*:*:*:*:x", None),
            ("*:*:*:app", None),
        ] {
            assert_eq!(entry(line, wanted).as_deref(), password, "{line}");
        }
    }
}
