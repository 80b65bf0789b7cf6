use std::ffi::OsString;

use super::ConsulClientBuilder;
use crate::error::{Error, Result};
use crate::stores::url_parts::set;

pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<ConsulClientBuilder> {
    let text = |name: &str| match variable(name) {
        // Empty ones are ignored by Consul's tools.
        Some(value) if !value.is_empty() => match value.into_string() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Error::invalid_input(format!("environment variable {name} is not UTF-8"))),
        },
        _ => Ok(None),
    };
    let truth = |name: &str| match text(name)?.as_deref() {
        None => Ok(None),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(Some(true)),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(Some(false)),
        // Consul's tools warn and keep the default, which for TLS would send the token in the clear.
        Some(_) => Err(Error::invalid_input(format!("environment variable {name} is neither `true` nor `false`"))),
    };
    let mut builder = ConsulClientBuilder::new();
    type Set = fn(ConsulClientBuilder, String) -> ConsulClientBuilder;
    let settings: [(&str, Set); 11] = [
        ("CONSUL_HTTP_ADDR", ConsulClientBuilder::address),
        ("CONSUL_HTTP_TOKEN", ConsulClientBuilder::token),
        ("CONSUL_HTTP_TOKEN_FILE", ConsulClientBuilder::token_file),
        ("CONSUL_HTTP_AUTH", ConsulClientBuilder::basic_auth),
        ("CONSUL_CACERT", ConsulClientBuilder::ca_file),
        ("CONSUL_CAPATH", ConsulClientBuilder::ca_path),
        ("CONSUL_CLIENT_CERT", ConsulClientBuilder::client_cert),
        ("CONSUL_CLIENT_KEY", ConsulClientBuilder::client_key),
        ("CONSUL_TLS_SERVER_NAME", ConsulClientBuilder::tls_server_name),
        ("CONSUL_NAMESPACE", ConsulClientBuilder::namespace),
        ("CONSUL_PARTITION", ConsulClientBuilder::partition),
    ];
    for (name, setter) in settings {
        builder = set(builder, text(name)?, setter);
    }
    let builder = set(builder, truth("CONSUL_HTTP_SSL")?, ConsulClientBuilder::tls);
    Ok(set(builder, truth("CONSUL_HTTP_SSL_VERIFY")?, ConsulClientBuilder::tls_verify))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<ConsulClientBuilder> {
        read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn as_consuls_tools_read_it() {
        let builder = from(&[
            ("CONSUL_HTTP_ADDR", "consul.example:8501"),
            ("CONSUL_HTTP_TOKEN", "s3cr3t"),
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_HTTP_SSL_VERIFY", "0"),
            ("CONSUL_NAMESPACE", "team"),
            ("CONSUL_CACERT", ""),
        ]);
        let shown = format!("{:?}", builder.unwrap());
        for part in ["consul.example:8501", "team", "no_verify: true", "ca_file: None"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test]
    fn a_truth_value_that_is_none_is_an_error() {
        let error = from(&[("CONSUL_HTTP_SSL", "yes")]).unwrap_err();
        assert!(error.to_string().contains("CONSUL_HTTP_SSL"), "{error}");
    }
}
