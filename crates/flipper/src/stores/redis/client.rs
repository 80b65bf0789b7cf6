use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, ProtocolVersion, PushInfo,
    RedisError, RedisResult, ServerErrorKind,
};
use tokio::sync::Mutex;

use super::errors::{closed_at_start, refusal};
use super::foreign;
use super::place::{Kind, Place};
use super::state::{Mode, mode};

/// A client of the crate `redis`: a `Client`, a `ClusterClient` or a `SentinelClient` (of the primary), by `into()`. Not an open
/// connection, since servers push changes only to connections that ask for it.
///
/// A user without a password is sent with an empty one; the driver would act as the default user. A `ClusterClient` cannot be changed:
/// calls with such a user fail with `InvalidInput`.
#[derive(Clone)]
pub struct RedisClient {
    kind: Kind,
    place: Option<Arc<Place>>,
    shown: Arc<str>,
    refused: Option<&'static str>,
    clustered: Arc<AtomicBool>,
}

impl From<Client> for RedisClient {
    fn from(client: Client) -> Self {
        let client = complete(client);
        let shown = foreign::node(client.get_connection_info());
        Self::of(Kind::Node(Box::new(client)), shown)
    }
}

impl From<ClusterClient> for RedisClient {
    fn from(client: ClusterClient) -> Self {
        let (shown, refused) = (foreign::cluster(&client), foreign::unsent_user(&client));
        Self { refused, ..Self::of(Kind::Cluster(Box::new(client)), shown) }
    }
}

impl From<SentinelClient> for RedisClient {
    fn from(client: SentinelClient) -> Self {
        Self::of(Kind::Sentinel(Arc::new(Mutex::new(client))), "redis-sentinel:?".to_owned())
    }
}

impl fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may contain the password.
        f.write_str(match self.kind {
            Kind::Node(_) => "Client",
            Kind::Cluster(_) => "ClusterClient",
            Kind::Sentinel(_) => "SentinelClient",
        })
    }
}

#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn request<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.clone() {
            Self::Node(mut node) => command.query_async(&mut node).await,
            Self::Cluster(mut cluster) => command.query_async(&mut cluster).await,
        }
    }
}

impl RedisClient {
    pub(super) fn at(place: Place) -> RedisResult<Self> {
        let (kind, shown) = (place.client()?, place.shown());
        Ok(Self { place: Some(Arc::new(place)), ..Self::of(kind, shown) })
    }

    fn of(kind: Kind, shown: String) -> Self {
        Self { kind, place: None, shown: shown.into(), refused: None, clustered: Arc::default() }
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_)) || self.clustered.load(Ordering::Acquire)
    }

    pub(super) fn is_sentinel(&self) -> bool {
        matches!(self.kind, Kind::Sentinel(_))
    }

    fn kind(&self) -> RedisResult<Kind> {
        match (&self.place, self.refused) {
            (_, Some(why)) => Err(refusal(why)),
            (Some(place), None) if place.has_files() => place.client(),
            _ => Ok(self.kind.clone()),
        }
    }

    /// With Sentinel, the current primary. `None` for a cluster.
    pub(super) async fn node(&self) -> RedisResult<Option<Client>> {
        self.provide_crypto();
        match self.kind()? {
            Kind::Node(_) if self.clustered.load(Ordering::Acquire) => Ok(None),
            Kind::Node(client) => Ok(Some(*client)),
            Kind::Cluster(_) => Ok(None),
            Kind::Sentinel(sentinel) => Ok(Some(complete(sentinel.lock().await.async_get_client().await?))),
        }
    }

    fn cluster(&self) -> RedisResult<Option<ClusterClient>> {
        match self.kind()? {
            Kind::Cluster(client) => Ok(Some(*client)),
            Kind::Node(client) if self.clustered.load(Ordering::Acquire) => match &self.place {
                Some(place) => place.as_cluster().map(Some),
                None => foreign::as_cluster(&client).map(Some),
            },
            _ => Ok(None),
        }
    }

    /// Fails if the server does not speak RESP3.
    pub(super) async fn open_with_pushes(
        &self,
        limit: Duration,
        pushes: impl AsyncPushSender + Clone,
    ) -> RedisResult<Connection> {
        if self.place.as_ref().is_some_and(|place| place.resp2) {
            return Err((ErrorKind::RESP3NotSupported, "the URL asks for RESP2").into());
        }
        self.open_as(limit, pushes, true, true).await
    }

    /// With RESP3, the driver sends `pushes` an event at a loss.
    pub(super) async fn open(&self, limit: Duration, pushes: impl AsyncPushSender + Clone) -> RedisResult<Connection> {
        let resp3 = self.place.as_ref().is_none_or(|place| !place.resp2);
        match self.open_as(limit, pushes.clone(), resp3, false).await {
            Err(error) if resp3 && no_resp3(error.kind()) => self.open_as(limit, pushes, false, false).await,
            other => other,
        }
    }

    async fn open_as(
        &self,
        limit: Duration,
        pushes: impl AsyncPushSender + Clone,
        resp3: bool,
        in_cluster: bool,
    ) -> RedisResult<Connection> {
        self.provide_crypto();
        loop {
            if let Some(client) = self.cluster()? {
                let config = cluster_config(limit);
                let config = if in_cluster { config.set_push_sender(pushes.clone()) } else { config };
                let opened = client.get_async_connection_with_config(config).await;
                // It may be a single server again; the next attempt checks.
                return opened.map(Connection::Cluster).inspect_err(|_| self.clustered.store(false, Ordering::Release));
            }
            let none = (ErrorKind::InvalidClientConfig, "a cluster has no one server");
            let client = self.node().await?.ok_or(none)?;
            let client = speaking(&client, if resp3 { ProtocolVersion::RESP3 } else { ProtocolVersion::RESP2 })?;
            // The connection to a cluster's node is closed, which is no loss to report.
            let kept = Arc::new(AtomicBool::new(true));
            let (sender, is_kept) = (pushes.clone(), Arc::clone(&kept));
            let mut config = node_config(limit);
            if resp3 {
                config = config.set_push_sender(move |push: PushInfo| match is_kept.load(Ordering::Acquire) {
                    true => sender.send(push),
                    false => Ok(()),
                });
            }
            let opened = client.get_multiplexed_async_connection_with_config(&config).await;
            let mut node = opened.map_err(|error| if is_closed(&error) { closed_at_start() } else { error })?;
            match mode(&mut node).await? {
                Mode::Single => return Ok(Connection::Node(node)),
                Mode::Sentinel => {
                    return Err(refusal("the server is a Sentinel: take `redis-sentinel://HOST:PORT/MASTER`"));
                }
                Mode::Cluster if self.is_sentinel() => {
                    return Err(refusal("the server that the Sentinels name is part of a cluster"));
                }
                Mode::Cluster => {
                    kept.store(false, Ordering::Release);
                    self.clustered.store(true, Ordering::Release);
                }
            }
        }
    }

    /// rustls panics if several providers are compiled in and none is chosen. An application's choice stands.
    fn provide_crypto(&self) {
        let plain = |client: &Client| !matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        if matches!(&self.kind, Kind::Node(client) if plain(client)) {
            return;
        }
        provide_crypto();
    }
}

pub(super) fn provide_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn complete(client: Client) -> Client {
    let info = client.get_connection_info();
    let settings = info.redis_settings();
    if settings.username().is_none() || settings.password().is_some() {
        return client;
    }
    let settings = settings.clone().set_password("");
    Client::open(info.clone().set_redis_settings(settings)).unwrap_or(client)
}

pub(super) fn speaking(client: &Client, protocol: ProtocolVersion) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(protocol);
    Client::open(info.set_redis_settings(settings))
}

/// An ACL may forbid `HELLO`; the other handshake then fails with the reason.
fn no_resp3(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RESP3NotSupported | ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    )
}

/// Closed between connecting and the first answer.
fn is_closed(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

/// The store limits each answer's time, as part of the call.
fn node_config(limit: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(None)
}

fn cluster_config(limit: Duration) -> ClusterConfig {
    ClusterConfig::new().set_connection_timeout(limit).set_response_timeout(limit)
}
