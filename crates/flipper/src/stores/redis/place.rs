use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::errors::refusal;
use super::shown::{encoded, shown};
use crate::stores::url_parts::{Host, set};

#[derive(Clone)]
pub(super) enum Kind {
    Node(Box<Client>),
    Cluster(Box<ClusterClient>),
    // Finding the primary needs `&mut`.
    Sentinel(Arc<Mutex<SentinelClient>>),
}

pub(super) struct Place {
    pub(super) form: Form,
    pub(super) user: Credentials,
    pub(super) tls: Option<Tls>,
    pub(super) resp2: bool,
}

pub(super) enum Form {
    Node { host: Host, db: i64 },
    Unix { path: PathBuf, db: i64 },
    Cluster { hosts: Vec<Host>, db: i64 },
    Sentinel { hosts: Vec<Host>, master: String, db: i64, user: Credentials },
}

#[derive(Default)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Credentials {
    /// The driver sends no user without a password, and would act as the default user.
    pub(super) fn complete(mut self) -> Self {
        if self.user.is_some() {
            self.password.get_or_insert_default();
        }
        self
    }
}

/// Read at each connection, since certificates are renewed.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Tls {
    fn read(&self) -> RedisResult<TlsCertificates> {
        let read = |file: &Option<PathBuf>| {
            let read = |file: &PathBuf| {
                fs::read(file).map_err(|error| refusal(format!("{} cannot be read: {error}", file.display())))
            };
            file.as_ref().map(read).transpose()
        };
        let (root_cert, cert, key) = (read(&self.ca)?, read(&self.cert)?, read(&self.key)?);
        let client_tls = cert.zip(key).map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        Ok(TlsCertificates { client_tls, root_cert })
    }
}

impl Place {
    pub(super) fn has_files(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| *tls != Tls::default())
    }

    pub(super) fn client(&self) -> RedisResult<Kind> {
        match &self.form {
            Form::Node { host, db } => Ok(Kind::Node(Box::new(self.node(self.address(host), *db)?))),
            Form::Unix { path, db } => Ok(Kind::Node(Box::new(self.node(ConnectionAddr::Unix(path.clone()), *db)?))),
            Form::Cluster { hosts, db } => Ok(Kind::Cluster(Box::new(self.cluster(hosts, *db)?))),
            Form::Sentinel { hosts, master, db, user } => self.sentinel(hosts, master, *db, user),
        }
    }

    pub(super) fn as_cluster(&self) -> RedisResult<ClusterClient> {
        match &self.form {
            Form::Node { host, db } => self.cluster(std::slice::from_ref(host), *db),
            _ => Err(refusal("the server is part of a cluster: take `redis-cluster://HOST:PORT`")),
        }
    }

    fn node(&self, address: ConnectionAddr, db: i64) -> RedisResult<Client> {
        let info = self.info(address, db)?;
        match &self.tls {
            Some(tls) if self.has_files() => Client::build_with_tls(info, tls.read()?),
            _ => Client::open(info),
        }
    }

    fn cluster(&self, hosts: &[Host], db: i64) -> RedisResult<ClusterClient> {
        let nodes = hosts.iter().map(|host| self.info(self.address(host), db)).collect::<RedisResult<Vec<_>>>()?;
        let protocol = if self.resp2 { ProtocolVersion::RESP2 } else { ProtocolVersion::RESP3 };
        let client = ClusterClient::builder(nodes).use_protocol(protocol);
        match &self.tls {
            Some(tls) if self.has_files() => client.certs(tls.read()?).build(),
            _ => client.build(),
        }
    }

    fn sentinel(&self, hosts: &[Host], master: &str, db: i64, sentinels: &Credentials) -> RedisResult<Kind> {
        let addresses = hosts.iter().map(|host| self.address(host));
        let mut client =
            SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?.set_client_to_redis_db(db);
        if let Some(tls) = &self.tls {
            client =
                client.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if self.has_files() {
                let files = tls.read()?;
                client =
                    client.set_client_to_redis_certificates(files.clone()).set_client_to_sentinel_certificates(files);
            }
        }
        client = set(client, self.user.user.clone(), SentinelClientBuilder::set_client_to_redis_username);
        client = set(client, self.user.password.clone(), SentinelClientBuilder::set_client_to_redis_password);
        client = set(client, sentinels.user.clone(), SentinelClientBuilder::set_client_to_sentinel_username);
        client = set(client, sentinels.password.clone(), SentinelClientBuilder::set_client_to_sentinel_password);
        Ok(Kind::Sentinel(Arc::new(Mutex::new(client.build()?))))
    }

    fn info(&self, address: ConnectionAddr, db: i64) -> RedisResult<ConnectionInfo> {
        let settings = RedisConnectionInfo::default().set_db(db);
        let settings = set(settings, self.user.user.as_ref(), RedisConnectionInfo::set_username);
        let settings = set(settings, self.user.password.as_ref(), RedisConnectionInfo::set_password);
        Ok(("localhost", 6379).into_connection_info()?.set_addr(address).set_redis_settings(settings))
    }

    fn address(&self, host: &Host) -> ConnectionAddr {
        let (host, port) = (host.name.clone(), host.port);
        match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        }
    }

    pub(super) fn shown(&self) -> String {
        let redis = if self.tls.is_some() { "rediss" } else { "redis" };
        match &self.form {
            Form::Node { host, db } => format!("{redis}://{}/{db}?", shown(std::slice::from_ref(host))),
            Form::Unix { path, db } => format!("redis+unix://{}?db={db}&", encoded(&path.to_string_lossy())),
            Form::Cluster { hosts, db } => format!("{redis}-cluster://{}/{db}?", shown(hosts)),
            Form::Sentinel { hosts, master, db, .. } => {
                format!("{redis}-sentinel://{}/{}/{db}?", shown(hosts), encoded(master))
            }
        }
    }
}
