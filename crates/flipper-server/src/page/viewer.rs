use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use flipper::FeatureFlagClient;
use http::HeaderName;
use http::request::Parts;

use super::{State, session};
use crate::access::{Access, Role, Session};
use crate::api::Caller;
use crate::app::App;
use crate::problem::Problem;

/// Sent by the script, which needs an answer and no page.
const SCRIPT: HeaderName = HeaderName::from_static("flipper-script");

/// Who looks at the page.
pub(super) struct Viewer {
    caller: Caller,
    /// As the log names the caller.
    pub(super) who: Option<String>,
    /// As the history names the caller.
    actor: Option<String>,
    pub(super) is_logged_in: bool,
    pub(super) is_admin: bool,
    pub(super) is_script: bool,
    /// Whose forms are taken.
    bound: String,
}

impl FromRequestParts<Arc<State>> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, Infallible> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let access = parts.extensions.get::<Access>();
        let who = access.filter(|access| access.is_known()).map(ToString::to_string);
        let actor = access.and_then(Access::actor);
        let is_logged_in = parts.extensions.get::<Session>().is_some();
        let is_admin = access.is_some_and(|access| access.role == Role::Admin && access.is_unlimited());
        let bound = format!("{} {}", session_of(parts, is_logged_in), who.as_deref().unwrap_or_default());
        let is_script = parts.headers.contains_key(SCRIPT);
        Ok(Self { caller, who, actor, is_logged_in, is_admin, is_script, bound })
    }
}

fn session_of(parts: &Parts, is_logged_in: bool) -> &str {
    session::cookie(&parts.headers, &parts.uri).filter(|_| is_logged_in).unwrap_or_default()
}

impl Viewer {
    pub(super) fn must_read(&self) -> Result<(), Problem> {
        self.caller.must_have(Role::Read)
    }

    pub(super) fn must(&self, role: Role, name: &str) -> Result<(), Problem> {
        self.caller.must(role, name)
    }

    pub(super) fn reads(&self, name: &str) -> bool {
        self.caller.allows(Role::Read, name)
    }

    pub(super) fn writes(&self, name: &str) -> bool {
        self.caller.allows(Role::Write, name)
    }

    pub(super) fn circles(&self, app: &App) -> Vec<String> {
        app.circles.of(app.store.table(), &self.caller)
    }

    /// All flags that it may see at all.
    pub(super) fn is_unlimited(&self) -> bool {
        self.caller.is_unlimited()
    }

    /// Some flags at least.
    pub(super) fn writes_any(&self) -> bool {
        self.caller.must_have(Role::Write).is_ok()
    }

    /// Writes by this viewer.
    pub(super) fn features(&self, state: &State) -> FeatureFlagClient {
        let features = state.app.features.with_source("page");
        match &self.actor {
            Some(actor) => features.as_actor(actor),
            None => features,
        }
    }

    pub(super) fn csrf(&self, state: &State) -> String {
        state.csrf.token(&self.bound)
    }

    pub(super) fn is_own_form(&self, state: &State, token: &str) -> bool {
        state.csrf.is_valid(token, &self.bound)
    }
}
