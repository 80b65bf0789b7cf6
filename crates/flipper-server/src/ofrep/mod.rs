//! `/ofrep/v1`: OpenFeature's remote evaluation protocol.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

pub(crate) fn routes(_app: Arc<App>) -> Router {
    Router::new()
}
