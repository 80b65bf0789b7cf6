use std::sync::OnceLock;
use std::time::{Duration, Instant};

use flipper::store::{Precondition, Updates, WatchEvent};
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::{RedisServer, Reply};
use futures_util::StreamExt;
use redis::{Client, TlsCertificates};

use crate::{Follow, flag, names, random_base, store};

#[tokio::test]
async fn the_key_is_the_base_key_and_the_name() {
    let Some(server) = RedisServer::start() else { return };
    let record = flag("é*", true);
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    store.put(&record, Precondition::Absent.into()).await.unwrap();
    assert_eq!(server.command(&["GET", "features/é*"]).text(), record.to_json());
    let store = RedisFeatureFlagStore::from_url(&format!("{}?base_key=a%2Fb", server.url())).unwrap();
    store.put(&record, Precondition::Absent.into()).await.unwrap();
    assert_eq!(server.command(&["GET", "a/b/é*"]).text(), record.to_json());
    assert_eq!(server.command(&["TTL", "a/b/é*"]), Reply::Number(-1));
}

#[tokio::test]
async fn a_database_by_its_number() {
    let Some(server) = RedisServer::start() else { return };
    let base = random_base();
    let [first, second] = ["", "/7"].map(|database| {
        RedisFeatureFlagStore::from_url(&format!("{}{database}", server.url())).unwrap().base_key(&base)
    });
    second.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert!(first.get("F").await.unwrap().is_none());
    assert_eq!(names(&second.list().await.unwrap()), ["F"]);
    let mut follow = Follow::of(&second);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    let error = RedisFeatureFlagStore::from_url(&format!("{}/99", server.url())).unwrap().get("F").await.unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn tls() {
    let Some(server) = RedisServer::options().tls().start() else { return };
    let (url, ca) = server.tls();
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(ca.as_bytes().to_vec()) };
    let store = RedisFeatureFlagStore::new(Client::build_with_tls(&*url, certificates).unwrap());
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    let error = RedisFeatureFlagStore::from_url(&url).unwrap().get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_user_with_as_little_as_needed() {
    let base = random_base();
    let rights = "+get +mget +set +del +type +eval +evalsha +scan +ping +client|tracking";
    let options = RedisServer::options()
        .config(format!("user flags on >s3cr3t ~{base}/* ~.{base}.history {rights} +xadd +xdel +xrange +xrevrange"))
        .config(format!("user alone on >s3cr3t ~{base}/* {rights}"))
        .config(format!("user reader on >s3cr3t %R~{base}/* +@all"))
        .config("user default on nopass ~* &* +@all");
    let Some(server) = options.start() else { return };
    let open = |login: &str| {
        let url = format!("redis://{login}@127.0.0.1:{}/0?base_key={base}", server.port());
        RedisFeatureFlagStore::from_url(&url).unwrap()
    };
    let store = open("flags:s3cr3t");
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
    let mut follow = Follow::of(&store);
    follow.reset().await;
    store.delete("F", Precondition::Any.into()).await.unwrap();
    follow.until("F", None).await;

    let entries = store.history(&flipper::history::HistoryQuery::of("F")).await.unwrap().entries;
    assert_eq!(entries.iter().map(|entry| &*entry.verb).collect::<Vec<_>>(), ["destroy", "create"]);

    // With rights on the flags alone a write would leave no entry.
    let alone = open("alone:s3cr3t");
    let error = alone.put(&flag("G", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(alone.get("G").await.unwrap().is_none());
    alone.without_history().put(&flag("G", true), Precondition::Any.into()).await.unwrap();

    let reader = open("reader:s3cr3t");
    assert!(reader.get("F").await.unwrap().is_none());
    let refused = [
        reader.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err(),
        open("flags:wr0ng").get("F").await.unwrap_err(),
        open("flags:wr0ng").list().await.unwrap_err(),
        open("missing:s3cr3t").put(&flag("F", true), Precondition::Any.into()).await.unwrap_err(),
        open("flags:s3cr3t").base_key("elsewhere").get("F").await.unwrap_err(),
        Follow::of(&open("flags:wr0ng")).lost().await,
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(!error.is_transient());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("wr0ng"), "{shown}");
    }
}

#[tokio::test]
async fn without_a_password_where_one_is_needed() {
    let Some(server) = RedisServer::options().password("s3cr3t").start() else { return };
    let error = store(&server.url()).get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    let url = format!("redis://:s3cr3t@127.0.0.1:{}", server.port());
    store(&url).put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
}

#[test]
fn a_static_store_outlives_runtimes() {
    static STORE: OnceLock<RedisFeatureFlagStore> = OnceLock::new();
    let Some(server) = RedisServer::start() else { return };
    let store = STORE.get_or_init(|| store(&server.url()));
    let mut follow = Follow::of(store);
    for round in 0..5 {
        let enabled = round % 2 == 0;
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            store.put(&flag("F", enabled), Precondition::Any.into()).await.unwrap();
        });
        futures_executor::block_on(async {
            assert_eq!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled(), enabled);
            // Uses no timer of this runtime, which has none.
            while follow.watch.next().await.is_none_or(|event| matches!(event, WatchEvent::Following(_))) {}
        });
    }
}

#[tokio::test]
async fn a_client_by_url_checks_from_memory() {
    let Some(server) = RedisServer::start() else { return };
    let url = format!("{}/3?base_key={}", server.url(), random_base());
    let [one, other] = [0, 1].map(|_| FeatureFlagClient::new(flipper::open(&url).unwrap()));
    one.ready().await.unwrap();
    other.ready().await.unwrap();
    one.create("F").enabled(true).await.unwrap();
    assert!(one.is_enabled("F"));
    flipper_testkit::wait_until("the other mirror has it", || other.is_enabled("F"));
    assert_eq!(other.status().updates, Updates::Push);
    let settled = || {
        let mut last = (0, Instant::now());
        flipper_testkit::wait_until("all is read", || {
            let calls = server.calls("evalsha") + server.calls("get");
            if calls != last.0 {
                last = (calls, Instant::now());
            }
            last.1.elapsed() > Duration::from_millis(300)
        });
        last.0
    };
    for round in 0..10 {
        let before = settled();
        let enabled = round % 2 == 1;
        if enabled {
            one.enable("F").await.unwrap();
        } else {
            one.disable("F").await.unwrap();
        }
        assert_eq!(one.is_enabled("F"), enabled);
        flipper_testkit::wait_until("the other mirror has it", || other.is_enabled("F") == enabled);
        // EVALSHA, its GET, and a GET by each mirror.
        assert_eq!(settled() - before, 4);
    }
}
