use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisCluster, RedisSentinel, RedisServer, Reply};
use redis::Client;
use redis::cluster::ClusterClient;

use crate::{Follow, eventually, flag, names};

/// `viewer` may read without a password, `guarded` needs one.
fn server() -> Option<RedisServer> {
    RedisServer::options()
        .config("user viewer on nopass %R~* &* +@read +@connection")
        .config("user guarded on >s3cr3t/@:%#? ~* &* +@all")
        .config("user default on nopass ~* &* +@all")
        .tls()
        .start()
}

#[tokio::test]
async fn a_user_without_a_password_is_that_user() {
    let Some(server) = server() else { return };
    let address = server.url().replace("redis://", "");
    RedisFeatureFlagStore::from_url(&server.url())
        .unwrap()
        .put(&flag("F", true), Precondition::Any.into())
        .await
        .unwrap();
    for store in [
        RedisFeatureFlagStore::from_url(&format!("redis://viewer@{address}")).unwrap(),
        RedisFeatureFlagStore::from_url(&format!("redis://viewer:@{address}?protocol=resp2")).unwrap(),
        RedisFeatureFlagStore::new(Client::open(format!("redis://viewer@{address}")).unwrap()),
    ] {
        assert!(store.get("F").await.unwrap().is_some());
        assert!(server.command(&["CLIENT", "LIST"]).text().contains("user=viewer"));
        let mut follow = Follow::of(&store);
        assert_eq!(names(&follow.reset().await.0), ["F"]);
        let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(error.nothing_written());
    }
    for url in [format!("redis://guarded@{address}"), format!("redis://missing@{address}")] {
        let error = RedisFeatureFlagStore::from_url(&url).unwrap().get("F").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_cluster_client_that_would_drop_its_user_is_refused() {
    let Some(cluster) = RedisCluster::start() else { return };
    for node in cluster.nodes() {
        node.command(&["ACL", "SETUSER", "viewer", "on", "nopass", "~*", "&*", "+@all", "-@write"]);
    }
    let urls: Vec<_> = cluster.urls().iter().map(|url| url.replace("//", "//viewer@")).collect();
    let error = RedisFeatureFlagStore::new(ClusterClient::new(urls.clone()).unwrap()).list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("a user and no password"), "{error}");
    let hosts = urls.iter().map(|url| url.rsplit('@').next().unwrap()).collect::<Vec<_>>().join(",");
    for url in [format!("redis-cluster://viewer@{hosts}"), urls[0].clone()] {
        let store = RedisFeatureFlagStore::from_url(&url).unwrap();
        assert!(store.get("F").await.unwrap().is_none());
        let error = store.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{url}: {error:?}");
    }
}

#[tokio::test]
async fn passwords_of_any_characters() {
    let Some(server) = server() else { return };
    let address = server.url().replace("redis://", "");
    let store =
        RedisFeatureFlagStore::from_url(&format!("redis://guarded:s3cr3t%2F%40%3A%25%23%3F@{address}/2")).unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let wrong = RedisFeatureFlagStore::from_url(&format!("redis://guarded:wr0ng@{address}")).unwrap();
    let error = wrong.get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wr0ng"));
}

#[tokio::test]
async fn sentinels_by_url() {
    let Some(mut set) = RedisSentinel::start() else { return };
    let hosts = set.urls().iter().map(|url| url.replace("redis://", "")).collect::<Vec<_>>().join(",");
    let viewer = ["ACL", "SETUSER", "viewer", "on", "nopass", "%R~*", "&*", "+@all", "-@write"];
    assert_eq!(set.first_primary().command(&viewer), Reply::Text("OK".to_owned()));
    let open = |user: &str| {
        RedisFeatureFlagStore::from_url(&format!("redis-sentinel://{user}{hosts}/{}/1", set.service())).unwrap()
    };
    let store = open("");
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(names(&open("viewer@").list().await.unwrap()), ["F"]);
    let error = open("viewer@").put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    // A Sentinel in the place of a server.
    let error = RedisFeatureFlagStore::from_url(&set.urls()[0]).unwrap().list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("redis-sentinel://"), "{error:?}");
}

#[tokio::test]
async fn sockets_and_certificates_by_url() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a b.sock");
    let options = RedisServer::options().config(format!("unixsocket \"{}\"", socket.display())).tls();
    let Some(server) = options.config("tls-auth-clients yes").start() else { return };
    let shown = socket.display().to_string().replace(' ', "%20");
    let store = RedisFeatureFlagStore::from_url(&format!("redis+unix://{shown}?db=3&base_key=a")).unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);

    let (url, ca) = server.tls();
    let own = server.client_certificate();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ca, cert, key) = (file("ca.pem", ca), file("cert.pem", &own.0), file("key.pem", &own.1));
    let open = |query: &str| RedisFeatureFlagStore::from_url(&format!("{url}/3?base_key=a{query}")).unwrap();
    let store = open(&format!("&ca={ca}&cert={cert}&key={key}"));
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
    for query in [format!("&ca={ca}"), String::new()] {
        assert_eq!(open(&query).list().await.unwrap_err().kind(), ErrorKind::Unavailable, "{query}");
    }
    let error = RedisFeatureFlagStore::from_url(&format!("{url}?ca=/no/such/file")).unwrap_err();
    assert!(error.to_string().contains("/no/such/file"), "{error}");
    // The next connection reads renewed certificates.
    file("key.pem", "broken");
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually("the new file is read", async || store.list().await.is_err()).await;
    file("key.pem", &own.1);
    eventually("it connects again", async || store.list().await.is_ok()).await;
}
