//! `/flags`: the flags in a browser. Everything works by links and forms; a script keeps the page current.

mod around;
mod assets;
mod change;
mod conflict;
mod create;
mod csrf;
mod draft;
mod edit;
mod entry;
mod filter;
mod flag;
mod form;
mod history;
mod layout;
mod link;
mod list;
mod login;
mod options;
mod preview;
mod reason;
mod rollout;
mod segment;
mod segments;
mod session;
mod status;
mod targeting;
mod undo;
mod viewer;
mod views;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use self::options::Page;
pub(crate) use self::session::Encrypted;
use crate::app::App;
use crate::changes;
use crate::request::Around;

/// What all requests of the page share.
pub(crate) struct State {
    app: Arc<App>,
    page: Page,
    csrf: csrf::Csrf,
    sessions: session::Sessions,
}

/// The routes of the page beside others: requests of those do not pass its layers.
pub(crate) fn beside(routes: Router, app: &Arc<App>) -> Router {
    let Some(page) = app.page.clone() else { return routes };
    let state =
        Arc::new(State { app: app.clone(), page, csrf: csrf::Csrf::new(), sessions: session::Sessions::default() });
    // Without an account: they show no flag.
    let open = Router::new()
        .route(link::LOGIN, get(login::show).post(login::log_in))
        .route("/flags/-/assets/{hash}/{name}", get(assets::get))
        .with_state(state.clone());
    let guarded = Router::new()
        .route(link::LIST, get(list::show))
        .route("/flags/", get(list::show))
        .route("/flags/{*name}", get(flag::show))
        .route(link::FLAG, get(flag::show_named))
        .route(link::CHANGE, get(change::nothing).post(change::change))
        .route(link::NEW, get(create::show).post(create::create))
        .route(link::HISTORY, get(history::show))
        .route(link::SEGMENTS, get(segments::show))
        .route(link::SEGMENT, get(segment::show).post(segment::change))
        .route(link::STATUS, get(status::show))
        .route(link::LOGOUT, post(login::log_out))
        .with_state(state.clone())
        .merge(Router::new().route(link::CHANGES, get(changes::changes)).with_state(app.clone()));
    let open = Around::new(app.clone(), None).routes(open);
    let guarded = Around::new(app.clone(), Some(app.access.clone().own_pages(app.ofrep.origin()))).routes(guarded);
    routes.merge(around::around(&state, open.merge(guarded)))
}
