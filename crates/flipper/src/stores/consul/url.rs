use super::ConsulFeatureFlagStore;
use super::client::{ConsulClientBuilder, ConsulConsistency};
use super::history::default_limits;
use crate::error::{Error, Result};
use crate::stores::kinds::CONSUL;
use crate::stores::url_parts::{Parts, duration, set};

const FORM: &str = "a Consul store's URL is `consul://HOST[:PORT][/BASE/KEY][?dc=…&ns=…&partition=…&tls=true&consistency=stale&wait=30s&history=off]`";
const WAIT: &str = "the parameter `wait` of a Consul store's URL is a time such as `30s`, `500ms` or `1m`";
const LOGIN: &str = "a Consul store's URL holds no user, password or token: set CONSUL_HTTP_TOKEN instead";
const PORT: u16 = 8500;

/// The environment has the defaults, and always the token.
pub(super) fn parse(text: &str) -> Result<ConsulFeatureFlagStore> {
    parse_in(text, ConsulClientBuilder::from_env()?)
}

fn parse_in(text: &str, mut client: ConsulClientBuilder) -> Result<ConsulFeatureFlagStore> {
    let mut parts = Parts::parse(text, CONSUL.schemes, FORM)?;
    parts.refuse_login(LOGIN)?;
    if parts.has_host() {
        client = client.host(parts.host(PORT)?.to_address());
    }
    let parameters = &mut parts.parameters;
    client = set(client, parameters.take("dc"), ConsulClientBuilder::datacenter);
    client = set(client, parameters.take("ns"), ConsulClientBuilder::namespace);
    client = set(client, parameters.take("partition"), ConsulClientBuilder::partition);
    match parameters.take_one_of("tls", &[("true", true), ("false", false)])? {
        Some(true) => client = client.tls(true),
        Some(false) => client = client.plain(),
        None => {}
    }
    let consistencies = [
        ("default", ConsulConsistency::Default),
        ("consistent", ConsulConsistency::Consistent),
        ("stale", ConsulConsistency::Stale),
    ];
    let consistency = parameters.take_one_of("consistency", &consistencies)?;
    client = set(client, consistency, ConsulClientBuilder::consistency);
    let history_limits = parameters.take_history(default_limits())?;
    let wait = parameters.take("wait");
    let wait = wait.map(|time| duration(&time).ok_or_else(|| Error::invalid_input(WAIT))).transpose()?;
    let base_key = parts.base_key()?;
    parts.parameters.refuse_rest(CONSUL.parameters)?;
    let mut store = set(ConsulFeatureFlagStore::new(client.build()?), wait, ConsulFeatureFlagStore::wait);
    store.history_limits = history_limits;
    match base_key {
        Some(base_key) => store.base_key(base_key),
        None => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn urls() {
        let shown = |url: &str| format!("{:?}", parse(url).unwrap());
        for (url, parts) in [
            ("consul://localhost", ["http://localhost:8500", "\"features\""]),
            ("consul://[::1]:1/shop/features/", ["http://[::1]:1", "\"shop/features\""]),
            ("consul://c.example/caf%C3%A9?tls=true&consistency=stale", ["https://c.example:8500", "\"café\""]),
            ("consul:///other?tls=false", ["http://127.0.0.1:8500", "\"other\""]),
            ("consul://h?wait=30s", ["http://h:8500", "wait: 30s"]),
            ("consul://h?wait=500ms", ["http://h:8500", "wait: 500ms"]),
            ("consul://h?base_key=shop/features", ["http://h:8500", "\"shop/features\""]),
        ] {
            let shown = shown(url);
            assert!(parts.iter().all(|part| shown.contains(part)), "{url}: {shown}");
        }
        let kept = |url: &str| parse(url).unwrap().history_limits.map(|limits| limits.kept_entries());
        assert_eq!(kept("consul://h?history_days=7"), Some(1000));
        assert_eq!(kept("consul://h?history_entries=5"), Some(5));
        assert_eq!(kept("consul://h?history=off"), None);
    }

    #[test]
    fn messages_hold_no_secret() {
        for url in [
            "consul:s3cr3t",
            "consul://u:s3cr3t@h/features",
            "consul://h/features?token=s3cr3t",
            "consul://h:s3cr3t/features",
            "consul://h/features?tls=s3cr3t",
            "consul://h/features?wait=s3cr3t",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    /// To a server that never answers.
    async fn sent(url: &str, variables: &[(&str, String)]) -> Result<Vec<u8>> {
        use std::io::Read;

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read_to_end(&mut all);
            all
        });
        let with = |text: &str| text.replace("HOST", &address);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, with(value))).collect();
        let client = ConsulClientBuilder::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })?
        .timeout(Duration::from_millis(300));
        let store = parse_in(&with(url), client)?;
        assert!(crate::FeatureFlagStore::list(&store).await.is_err());
        drop(store);
        Ok(reader.join().unwrap())
    }

    #[tokio::test]
    async fn a_token_is_not_sent_in_the_clear_where_the_environment_asks_for_tls() {
        const TOKEN: &str = "5ecre7-70ken";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, TOKEN).unwrap();
        let authorities = tempfile::tempdir().unwrap();
        let ca = authorities.path().join("ca.crt");
        std::fs::write(&ca, flipper_testkit::write_certificates(folder.path())).unwrap();
        let (file, ca) = (file.display().to_string(), ca.display().to_string());
        let asks = [
            ("CONSUL_HTTP_ADDR", "https://HOST"),
            ("CONSUL_HTTP_ADDR", "HTTPS://elsewhere.example:8501"),
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_HTTP_SSL_VERIFY", "false"),
            ("CONSUL_CACERT", &ca),
            ("CONSUL_CAPATH", &authorities.path().display().to_string()),
            ("CONSUL_TLS_SERVER_NAME", "consul.example"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        for secret in [
            ("CONSUL_HTTP_TOKEN", TOKEN.to_owned()),
            ("CONSUL_HTTP_TOKEN_FILE", file),
            ("CONSUL_HTTP_AUTH", format!("user:{TOKEN}")),
        ] {
            for ask in asks.clone() {
                let environment = [secret.clone(), ask];
                let sent = sent("consul://HOST/features", &environment).await.unwrap();
                assert_eq!(sent.first(), Some(&22), "{environment:?}: {}", String::from_utf8_lossy(&sent));
            }
            let asked = [secret.clone(), ("CONSUL_HTTP_ADDR", "https://HOST".to_owned())];
            for (url, first) in [
                ("consul:///features", 22),
                ("consul://HOST/features?tls=false", b'G'),
                ("consul:///features?tls=false", b'G'),
            ] {
                assert_eq!(sent(url, &asked).await.unwrap().first(), Some(&first), "{url}");
            }
            // Without TLS settings, only the loopback host gets the token.
            assert_eq!(
                sent("consul://HOST/features", std::slice::from_ref(&secret)).await.unwrap().first(),
                Some(&b'G')
            );
            for (url, address) in [
                ("consul://consul.example/features", ""),
                ("consul:///features", "consul.example:8500"),
                ("consul:///features", "http://10.1.2.3:8500"),
            ] {
                let there = ("CONSUL_HTTP_ADDR", address.to_owned());
                let parsed = |url: &str| {
                    let variables = [secret.clone(), there.clone()];
                    let variable =
                        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
                    parse_in(url, ConsulClientBuilder::from_variables(variable).unwrap())
                };
                let error = parsed(url).unwrap_err();
                assert!(
                    error.to_string().contains("in the clear") && !format!("{error:?}").contains(TOKEN),
                    "{error:?}"
                );
                assert!(parsed(&format!("{url}?tls=false")).is_ok());
            }
        }
    }
}
