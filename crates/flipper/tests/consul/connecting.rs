use std::sync::OnceLock;
use std::time::Duration;

use flipper::store::{Check, Finding, LocalFeatureFlagStore, Precondition};
use flipper::stores::ConsulConsistency;
use flipper::{ConsulClient, ConsulFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault, MASTER_TOKEN};
use flipper_testkit::{PATIENCE, wait_until, within};

use crate::{Connect as _, Mirror, agent, bare, flag, random_base, stale, state, store, wait_for};

const TOKEN: &str = "aaaaaaaa-0000-0000-0000-000000000001";

#[tokio::test]
async fn the_key_is_the_base_key_and_the_name() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let record = flag("F", true);
    let store = store(&agent, &base).await;
    let version = store.put(&record, Precondition::Absent.into()).await.unwrap();
    assert_eq!(agent.get(&format!("{base}/F")).unwrap(), record.to_json());
    let index = version.as_ordered().unwrap();
    let there = agent.ask("GET", &format!("/v1/kv/{base}/F?pretty"), b"").body;
    assert!(there.contains(&format!("\"ModifyIndex\": {index}")), "{there}");
    assert!(store.capabilities().shared_with_python);
    assert_eq!(store.to_string(), format!("Mirrored(Consul({base}))"));
}

#[tokio::test]
async fn by_url() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let url = format!("consul://{}/{base}/features", agent.address());
    let [one, other] = [flipper::connect(&url).await.unwrap(), flipper::connect(&url).await.unwrap()];
    one.create("F").enabled(true).await.unwrap();
    assert!(one.is_enabled("F"));
    wait_until("the other mirror has it", || other.is_enabled("F"));
    assert!(agent.get(&format!("{base}/features/F")).is_some());
    let store = ConsulFeatureFlagStore::from_url(&url).unwrap().connect().await.unwrap();
    assert_eq!(state(&store, "F"), Some(true));
    for wrong in ["consul:", "consul:h", "consul://h/a//b", "consul://h/f?token=x"] {
        assert_eq!(flipper::open(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn tls_with_a_private_authority_and_a_client_certificate() {
    let Some(agent) = ConsulAgent::options().tls().start() else { return };
    let client = || ConsulClient::builder().address(agent.tls_address());
    let with_certificate = |client: flipper::stores::ConsulClientBuilder| {
        client.client_cert(agent.file("client.crt")).client_key(agent.file("client.key"))
    };
    let connect = async |client: flipper::stores::ConsulClientBuilder| {
        ConsulFeatureFlagStore::new(client.build()?).connect().await
    };
    let refused = async |client: flipper::stores::ConsulClientBuilder| {
        let store = ConsulFeatureFlagStore::new(client.build().unwrap());
        let error = store.connect_within(Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        error.to_string().to_lowercase()
    };
    let store = connect(with_certificate(client().ca_file(agent.file("ca.crt")))).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.put("features/F", flag("F", false).to_json().as_bytes());
    wait_for(&store, "F", Some(false));
    // A name that is in the certificate for an address that is not, and no verification at all.
    let elsewhere = agent.tls_address().replace("localhost", "127.0.0.2");
    let client_to = |address: &str| with_certificate(ConsulClient::builder().address(address));
    let elsewhere = || client_to(&elsewhere).ca_file(agent.file("ca.crt"));
    assert_eq!(state(&connect(elsewhere().tls_server_name("localhost")).await.unwrap(), "F"), Some(false));
    let error = refused(elsewhere()).await;
    assert!(error.contains("certificate"), "{error}");
    let local = agent.tls_address().replace("https://localhost", "127.0.0.1");
    let named = client_to(&local).tls(true).ca_file(agent.file("ca.crt")).tls_server_name("localhost");
    assert_eq!(state(&connect(named).await.unwrap(), "F"), Some(false));
    assert_eq!(state(&connect(client_to(&agent.tls_address()).tls_verify(false)).await.unwrap(), "F"), Some(false));
    // No certificate authority for the server, for the client, or for both.
    for unvouched in [with_certificate(client()), client().ca_file(agent.file("ca.crt")), client()] {
        let error = refused(unvouched).await;
        assert!(error.contains("certificate"), "{error}");
    }
    let key_alone = client().client_key(agent.file("client.key")).build().unwrap_err();
    assert_eq!(key_alone.kind(), ErrorKind::InvalidInput);
    let error = client().ca_file(agent.file("client.key")).build().unwrap_err();
    assert!(error.to_string().contains("client.key"), "{error}");
}

#[tokio::test]
async fn a_unix_socket() {
    let Some(agent) = ConsulAgent::options().socket().start() else { return };
    let address = format!("unix://{}", agent.file("socket").display());
    let store = bare(&address).connect().await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.delete("features/F");
    wait_for(&store, "F", None);
}

/// Every request has the parameters; Consul 1.8 has no namespaces or partitions, so a proxy answers.
#[tokio::test]
async fn namespace_partition_datacenter_and_token() {
    let nothing = Fault::Answer(404, "X-Consul-Index: 1\r\n".to_owned(), String::new());
    let proxy = ConsulProxy::start(1, nothing);
    let client = ConsulClient::builder()
        .address(proxy.address())
        .token("s3cr3t")
        .basic_auth("user:pa55")
        .datacenter("dc 1")
        .namespace("team")
        .partition("part");
    let store = ConsulFeatureFlagStore::new(client.build().unwrap()).connect().await.unwrap();
    let _ = store.get("F").await;
    let entry = r#"{"KV": {"Key": "features/F", "Value": null, "ModifyIndex": 7}}"#;
    let done = format!(r#"{{"Results": [{entry}, {entry}], "Errors": null}}"#);
    let asked = proxy.requests().len();
    proxy.fault(Fault::Answer(200, "X-Consul-Index: 7\r\n".to_owned(), done));
    wait_until("it knows that the connections are broken", || proxy.requests().len() > asked);
    let version = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(version.as_ordered(), Some(7));
    let requests = proxy.requests();
    assert!(requests.len() >= 3);
    for head in requests.iter().filter(|head| !head.contains("/v1/agent/self")) {
        let line = head.lines().next().unwrap();
        assert!(line.contains("dc=dc%201&ns=team&partition=part"), "{line}");
        assert!(!line.contains("s3cr3t") && !line.contains("pa55"), "{line}");
        let head = head.to_lowercase();
        assert!(
            head.contains("x-consul-token: s3cr3t") && head.contains("authorization: basic dxnlcjpwytu1"),
            "{head}"
        );
    }
    let bodies = proxy.bodies();
    let written = bodies.iter().find(|body| body.contains("\"cas\"")).unwrap();
    assert_eq!(written.matches(r#""Namespace":"team","Partition":"part""#).count(), 2, "{written}");
    assert!(!format!("{store:?} {:?}", store.status()).contains("s3cr3t"));
}

#[tokio::test]
async fn an_existing_datacenter() {
    let Some(agent) = agent() else { return };
    let client = |name: &str| ConsulClient::builder().address(agent.address()).datacenter(name).build().unwrap();
    let base = random_base();
    let store = ConsulFeatureFlagStore::new(client("dc1")).base_key(&base).unwrap().connect().await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let nowhere = ConsulFeatureFlagStore::new(client("dc2")).connect_within(Duration::from_millis(300));
    assert_eq!(nowhere.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn consistency() {
    let Some(agent) = agent() else { return };
    for (consistency, word, everywhere) in
        [(ConsulConsistency::Stale, "&stale", false), (ConsulConsistency::Consistent, "&consistent", true)]
    {
        let proxy = ConsulProxy::start(agent.port(), Fault::None);
        let client = ConsulClient::builder().address(proxy.address()).consistency(consistency).build().unwrap();
        let store = ConsulFeatureFlagStore::new(client).base_key(random_base()).unwrap().connect().await.unwrap();
        store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
        assert!(store.get("F").await.unwrap().is_some());
        store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
        assert_eq!(state(&store, "F"), Some(false));
        wait_until("it waits", || proxy.requests().iter().any(|head| head.contains("&index=")));
        for head in proxy.requests().iter().filter(|head| head.starts_with("GET")) {
            let line = head.lines().next().unwrap();
            assert_eq!(line.contains(word), everywhere || line.contains("&index="), "{line}");
            // Every query that does not wait is consistent, except the one that checks the rights to the base key.
            let waits = line.contains("&index=") || line.contains("/? ");
            assert!(waits || line.contains("&consistent"), "{line}");
        }
    }
}

#[tokio::test]
async fn identity_and_inspection() {
    let Some(agent) = ConsulAgent::options().acl().start() else { return };
    agent.policy("read", r#"key_prefix "features/" { policy = "read" }"#);
    agent.token(TOKEN, "read");
    agent.put("features/F", flag("F", true).to_json().as_bytes());
    agent.put("features/BROKEN", b"no flag");
    let remote = |token: &str, base: &str| {
        let client = ConsulClient::builder().address(agent.address()).token(token).datacenter("dc1").build().unwrap();
        ConsulFeatureFlagStore::new(client).base_key(base).unwrap()
    };
    let store = remote(TOKEN, "features");
    let place = format!("consul://{}/features?dc=dc1", agent.address());
    assert_eq!((store.identity().place(), store.identity().epoch()), (place.as_str(), None));
    let found = |checks: Vec<Check>| move |what: &str| checks.iter().find(|check| check.what == what).cloned().unwrap();
    let privileged = found(remote(MASTER_TOKEN, "features").inspect().await);
    for (what, text) in [
        ("reachable", "ms"),
        ("version", "Consul "),
        ("kind", "a server of datacenter dc1, one server in all"),
        ("rights", "may read and write"),
        ("clock", "within 5 s"),
        ("transport", "within this host"),
        ("identity", &place),
    ] {
        let check = privileged(what);
        assert!(check.text.contains(text) && check.finding == Finding::Fine, "{check:?}");
    }
    assert_eq!(privileged("flags").finding, Finding::Problem);
    assert!(privileged("flags").text.starts_with("2, of which 1"), "{:?}", privileged("flags"));
    let reader = found(store.inspect().await);
    assert_eq!((reader("rights").text.as_str(), reader("rights").finding), ("may read, not write", Finding::Fine));
    assert!(reader("version").text.contains("not known"));
    assert_eq!(found(remote(TOKEN, "other").inspect().await)("rights").finding, Finding::Fault);
    assert!(agent.get("features/").is_none(), "nothing was written");
    agent.pause();
    let client = ConsulClient::builder().address(agent.address()).timeout(Duration::from_millis(200)).build().unwrap();
    let away = ConsulFeatureFlagStore::new(client);
    assert_eq!(found(away.inspect().await)("reachable").finding, Finding::Fault);
}

#[test]
fn a_static_store_outlives_runtimes() {
    static STORE: OnceLock<Mirror> = OnceLock::new();
    let Some(agent) = agent() else { return };
    let base = random_base();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let opened = runtime().block_on(store(&agent, &base));
    let store = STORE.get_or_init(|| opened);
    for round in 0..5 {
        let enabled = round % 2 == 0;
        runtime().block_on(store.put(&flag("F", enabled), Precondition::Any.into())).unwrap();
        assert_eq!(state(store, "F"), Some(enabled));
        futures_executor::block_on(async {
            assert_eq!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled(), enabled);
        });
        agent.put(&format!("{base}/F"), flag("F", !enabled).to_json().as_bytes());
        wait_for(store, "F", Some(!enabled));
    }
}

#[tokio::test]
async fn no_agent_at_the_start() {
    let error = within(PATIENCE, || bare("127.0.0.1:1").connect_within(Duration::from_secs(1)).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
    let features = FeatureFlagClient::new(bare("127.0.0.1:1"));
    assert!(!features.is_enabled("F") && !features.status().is_live());
    let error = features.create("F").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
    let page = Fault::Answer(404, String::new(), "<html>not found</html>".to_owned());
    let proxy = ConsulProxy::start(1, page);
    let error = bare(&proxy.address()).connect_within(Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("not from a Consul agent"), "{error}");
}

#[tokio::test]
async fn an_agent_that_comes_later() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    agent.put(&format!("{base}/F"), flag("F", true).to_json().as_bytes());
    let proxy = ConsulProxy::start(agent.port(), Fault::Answer(500, String::new(), "No cluster leader".to_owned()));
    let late = tokio::spawn(bare(&proxy.address()).base_key(&base).unwrap().connect());
    let store = Mirror::new(bare(&proxy.address()).base_key(&base).unwrap());
    wait_until("both have tried", || proxy.requests().len() >= 2);
    assert!(stale(&store).is_some());
    proxy.fault(Fault::None);
    store.ready().await.unwrap();
    assert_eq!(state(&store, "F"), Some(true));
    assert_eq!(state(&late.await.unwrap().unwrap(), "F"), Some(true));
}

#[tokio::test]
async fn a_snapshot_file_for_a_start_without_an_agent() {
    let Some(mut agent) = ConsulAgent::start() else { return };
    let (folder, base) = (tempfile::tempdir().unwrap(), random_base());
    let address = agent.address();
    let open = || {
        let store = bare(&address).base_key(&base).unwrap();
        Mirror::builder(store).snapshot_file(folder.path().join("flags.snapshot")).build()
    };
    let first = open();
    first.ready().await.unwrap();
    first.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    first.close().await.unwrap();
    agent.kill();
    let second = open();
    second.ready().await.unwrap();
    assert_eq!(state(&second, "F"), Some(true));
    assert!(stale(&second).unwrap().contains("refused"), "{:?}", stale(&second));
}
