use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::ConsulFeatureFlagStore;
use super::client::{Answer, ConsulClient, Request};
use super::errors;
use crate::error::Result;
use crate::identity::Identity;
use crate::store::FeatureFlagStore;

/// The report has about 20 KiB.
const MOST: usize = 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Agent {
    pub(super) datacenter: String,
    #[serde(rename = "NodeID", default)]
    pub(super) node_id: String,
    pub(super) server: bool,
    pub(super) version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    config: Agent,
}

impl ConsulClient {
    /// With ACLs, needs a token with `agent:read`.
    pub(super) async fn agent(&self) -> Result<Agent> {
        let answer = self.ask("/v1/agent/self").await?;
        let about: About = serde_json::from_slice(&answer.body).map_err(errors::unreadable)?;
        Ok(about.config)
    }

    pub(super) async fn ask(&self, path: &str) -> Result<Answer> {
        let answer = self.send(Request::new(Method::GET, path.to_owned(), Bytes::new(), MOST)).await?;
        if answer.status == StatusCode::OK { Ok(answer) } else { Err(errors::of(&answer)) }
    }
}

impl ConsulFeatureFlagStore {
    /// `None` for a client agent, whose server may change, and if it is unknown.
    pub(super) async fn serving(&self) -> Option<Identity> {
        let agent = self.client.agent().await.ok().filter(|agent| agent.server && !agent.node_id.is_empty())?;
        Some(self.identity().with_epoch(agent.node_id))
    }
}
