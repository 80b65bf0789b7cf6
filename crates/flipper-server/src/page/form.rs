//! Forms, read whole and within limits.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::State;
use super::viewer::Viewer;
use crate::problem::Problem;

/// Client data is there twice, as it was and as it should be, and most of its characters may take three bytes.
const TIMES: usize = 8;

/// Of one form. The largest of the page has about twenty.
const FIELDS: usize = 64;

pub(super) const CSRF: &str = "csrf";

pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// `most`: of the body, in bytes.
    pub(super) async fn read(state: &State, headers: &HeaderMap, body: Body, most: usize) -> Result<Self, Problem> {
        let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if given.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
            let detail = format!("the body is {given:?}, and has to be a form");
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "This takes forms of the page",
                detail,
            ));
        }
        let read = tokio::time::timeout(state.app.limits.body_time, Limited::new(body, most).collect());
        let bytes = match read.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Problem::too_large(most)),
            Ok(Err(error)) => return Err(Problem::bad_request(format!("the form ended early: {error}"))),
            Err(_) => return Err(Problem::timeout("the form did not come in time")),
        };
        let mut fields = form_urlencoded::parse(&bytes).into_owned();
        let form = Self(fields.by_ref().take(FIELDS).collect());
        match fields.next() {
            None => Ok(form),
            Some(_) => Err(Problem::bad_request(format!("the form has more than {FIELDS} fields"))),
        }
    }

    /// A form that this server made for this viewer.
    pub(super) async fn own(state: &State, viewer: &Viewer, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let most = state.app.limits.body.saturating_mul(TIMES);
        let form = Self::read(state, headers, body, most).await?;
        match viewer.is_own_form(state, form.text(CSRF)) {
            true => Ok(form),
            false => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "old_form",
                "This form is too old",
                "the server has started again since it made this form, or another login took its place; nothing was changed",
            )
            .hint("go back, load the page again, and repeat the change")),
        }
    }

    /// Empty if the field is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All fields but the hidden text, to ask again.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(name, _)| *name != CSRF)
    }
}
