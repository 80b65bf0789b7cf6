use redis::cluster::ClusterClient;
use redis::{Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisResult};

use super::errors::refusal;
use super::shown::{encoded, shown};
use crate::stores::url_parts::Host;

pub(super) fn node(info: &ConnectionInfo) -> String {
    let db = info.redis_settings().db();
    let tcp = |scheme: &str, name: &str, port| {
        let host = Host { name: name.to_ascii_lowercase(), port };
        format!("{scheme}://{}/{db}?", shown(&[host]))
    };
    match info.addr() {
        ConnectionAddr::Unix(path) => format!("redis+unix://{}?db={db}&", encoded(&path.to_string_lossy())),
        ConnectionAddr::TcpTls { host, port, .. } => tcp("rediss", host, *port),
        ConnectionAddr::Tcp(host, port) => tcp("redis", host, *port),
        other => format!("redis://{}/{db}?", encoded(&other.to_string())),
    }
}

/// Nodes show only in `Debug`; if that format changes, all clusters get one identity.
pub(super) fn cluster(client: &ClusterClient) -> String {
    let text = format!("{client:?}");
    let nodes = text.split("cluster_params").next().unwrap_or_default();
    let mut hosts = Vec::new();
    for address in nodes.split("addr: ").skip(1) {
        let address = address.strip_prefix("TcpTls").or_else(|| address.strip_prefix("Tcp")).unwrap_or_default();
        let mut parts = address.splitn(3, '"');
        let (Some(name), Some(rest)) = (parts.nth(1), parts.next()) else { continue };
        let digits: String =
            rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        if let Ok(port) = digits.parse() {
            hosts.push(Host { name: name.to_ascii_lowercase(), port });
        }
    }
    let scheme = if nodes.contains("addr: TcpTls") { "rediss-cluster" } else { "redis-cluster" };
    let db = text.split("database_id: Some(").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or("0");
    format!("{scheme}://{}/{db}?", shown(&hosts))
}

/// Why the client would act as another user than its settings name, as far as `Debug` shows.
pub(super) fn unsent_user(client: &ClusterClient) -> Option<&'static str> {
    let text = format!("{client:?}");
    let settings = text.split("cluster_params").nth(1).unwrap_or_default();
    let lacks = settings.contains("password: \"not set\"") && settings.contains("username: Some(");
    lacks.then_some("the `ClusterClient` has a user and no password, and the driver then sends neither: give it a password, if an empty one")
}

pub(super) fn as_cluster(client: &Client) -> RedisResult<ClusterClient> {
    let info = client.get_connection_info();
    match info.addr() {
        ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { tls_params: None, .. } => {
            ClusterClient::builder([info.clone()]).use_protocol(ProtocolVersion::RESP3).build()
        }
        _ => Err(refusal(
            "the server is part of a cluster: give the store a `ClusterClient`, or `redis-cluster://HOST:PORT`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when the driver changes the format.
    #[test]
    fn what_a_cluster_client_shows() {
        let client = |nodes: &[&str]| ClusterClient::builder(nodes.to_vec()).build().unwrap();
        assert_eq!(cluster(&client(&["redis://b:7", "redis://A"])), "redis-cluster://a:6379,b:7/0?");
        let tls = client(&["rediss://u:p@[::1]:7/3"]);
        assert_eq!(cluster(&tls), "rediss-cluster://[::1]:7/3?");
        assert_eq!(unsent_user(&tls), None);
        assert_eq!(unsent_user(&client(&["redis://:p@h"])), None);
        assert!(unsent_user(&client(&["redis://u@h"])).is_some());
        let named = ClusterClient::builder(["redis://h"]).username("u").build().unwrap();
        assert!(unsent_user(&named).is_some());
    }
}
