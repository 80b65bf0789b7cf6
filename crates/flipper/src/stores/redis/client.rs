//! The driver's clients, and connections made from them.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, ProtocolVersion, RedisResult,
    ServerErrorKind,
};
use tokio::sync::Mutex;

/// A client of the crate `redis`: a `Client`, a `ClusterClient` or a `SentinelClient` (of the primary), by `into()`.
///
/// The store makes its connections from it. A connection that is open already cannot be taken: changes are pushed only to
/// connections that were opened for that.
#[derive(Clone)]
pub struct RedisClient(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Node(Box<Client>),
    Cluster(Box<ClusterClient>),
    // Finding the primary needs `&mut`.
    Sentinel(Arc<Mutex<SentinelClient>>),
}

impl From<Client> for RedisClient {
    fn from(client: Client) -> Self {
        Self(Kind::Node(Box::new(client)))
    }
}

impl From<ClusterClient> for RedisClient {
    fn from(client: ClusterClient) -> Self {
        Self(Kind::Cluster(Box::new(client)))
    }
}

impl From<SentinelClient> for RedisClient {
    fn from(client: SentinelClient) -> Self {
        Self(Kind::Sentinel(Arc::new(Mutex::new(client))))
    }
}

impl std::fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither address nor password: the one may hold the other.
        f.write_str(match self.0 {
            Kind::Node(_) => "Client",
            Kind::Cluster(_) => "ClusterClient",
            Kind::Sentinel(_) => "SentinelClient",
        })
    }
}

/// A connection that many tasks may use at once. It ends with its last clone.
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
    /// The server to talk to; with Sentinel, the one that it names now.
    pub(super) async fn node(&self) -> RedisResult<Option<Client>> {
        match &self.0 {
            Kind::Node(client) => Ok(Some(Client::clone(client))),
            Kind::Cluster(_) => Ok(None),
            Kind::Sentinel(sentinel) => Ok(Some(sentinel.lock().await.async_get_client().await?)),
        }
    }

    /// Connects for pushes, which go to `pushes`; an error if the server does not speak RESP3.
    pub(super) async fn open_with_pushes(
        &self,
        limit: Duration,
        pushes: impl AsyncPushSender,
    ) -> RedisResult<Connection> {
        self.provide_crypto();
        if let Kind::Cluster(client) = &self.0 {
            let config = cluster_config(limit).set_push_sender(pushes);
            return Ok(Connection::Cluster(client.get_async_connection_with_config(config).await?));
        }
        let client = speaking(&self.required_node().await?, ProtocolVersion::RESP3)?;
        let config = node_config(limit).set_push_sender(pushes);
        Ok(Connection::Node(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// Connects for commands. RESP3, where there is, lets the driver say `pushes` when the connection is lost.
    pub(super) async fn open(&self, limit: Duration, pushes: impl AsyncPushSender) -> RedisResult<Connection> {
        self.provide_crypto();
        if let Kind::Cluster(client) = &self.0 {
            return Ok(Connection::Cluster(client.get_async_connection_with_config(cluster_config(limit)).await?));
        }
        let node = self.required_node().await?;
        let config = node_config(limit).set_push_sender(pushes);
        let client = speaking(&node, ProtocolVersion::RESP3)?;
        let opened = client.get_multiplexed_async_connection_with_config(&config).await;
        let connection = match opened {
            Err(error) if no_resp3(error.kind()) => {
                let client = speaking(&node, ProtocolVersion::RESP2)?;
                client.get_multiplexed_async_connection_with_config(&node_config(limit)).await?
            }
            other => other?,
        };
        Ok(Connection::Node(connection))
    }

    async fn required_node(&self) -> RedisResult<Client> {
        let none = (ErrorKind::InvalidClientConfig, "a cluster has no one server");
        self.node().await?.ok_or_else(|| none.into())
    }

    /// rustls panics where several providers are compiled in and none was chosen. An application's choice stands.
    fn provide_crypto(&self) {
        let plain = |client: &Client| !matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        if matches!(&self.0, Kind::Node(client) if plain(client)) {
            return;
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error says that another thread was faster.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
    }
}

/// The same client with this protocol.
pub(super) fn speaking(client: &Client, protocol: ProtocolVersion) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(protocol);
    Client::open(info.set_redis_settings(settings))
}

/// A user may be kept from `HELLO` by its ACL; without it, the other protocol's handshake tells what is wrong.
fn no_resp3(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::RESP3NotSupported | ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    )
}

/// Answers are waited for by the store, which knows the whole time a call may take.
fn node_config(limit: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(None)
}

fn cluster_config(limit: Duration) -> ClusterConfig {
    ClusterConfig::new().set_connection_timeout(limit).set_response_timeout(limit)
}
