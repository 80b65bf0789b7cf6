//! A service with actix-web: the attribute on a handler, a route behind a flag, and a scope for each request.
//!
//! ```sh
//! cargo run --package flipper-examples --bin actix_handlers -- sqlite:flags.db 127.0.0.1:3000
//! curl -H 'x-user: 7' localhost:3000/checkout
//! ```
//!
//! actix-web has another kind of middleware than `tower`; a few lines create a scope there.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::env;
use std::error::Error;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{Guard, GuardContext};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, ReqData, ServiceConfig};
use actix_web::{App, HttpMessage, HttpServer, get, web};
use flipper::{Context, FeatureFlag, FeatureFlagClient, Scope};

flipper::flags! {
    #[derive(Clone)]
    struct Flags {
        /// Louder horses.
        improved_horse_sounds,
        /// Pages that are not public yet.
        beta,
        /// The checkout that is rolled out user by user.
        new_checkout,
    }
}

/// A route with this guard exists while the flag is on; otherwise the next match answers, or 404.
struct WhileOn(FeatureFlag);

impl Guard for WhileOn {
    fn check(&self, _: &GuardContext<'_>) -> bool {
        self.0.is_enabled()
    }
}

fn routes(flags: Flags) -> impl FnOnce(&mut ServiceConfig) {
    move |service| {
        service
            .service(sound)
            .service(checkout)
            .route("/beta", web::get().guard(WhileOn(flags.beta.clone())).to(async || "welcome to the beta\n"))
            .app_data(Data::new(flags));
    }
}

/// Adds a scope to the request, with the attributes for its flags.
async fn scope(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(features) = request.app_data::<Data<FeatureFlagClient>>() {
        let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
        let context = Context::new().with("path", request.path());
        let context = match user.and_then(|user| user.parse::<u64>().ok()) {
            Some(user) => context.with("user_id", user),
            None => context,
        };
        request.extensions_mut().insert(features.scope(context));
    }
    next.call(request).await
}

#[get("/sound")]
#[flipper::is_enabled(flags.improved_horse_sounds, redirect = old_sound)]
async fn sound(flags: Data<Flags>) -> &'static str {
    "whinny\n"
}

async fn old_sound(_: Data<Flags>) -> &'static str {
    "neigh\n"
}

#[get("/checkout")]
async fn checkout(flags: Data<Flags>, scope: ReqData<Scope>) -> String {
    // Every check in the request gets the same answer.
    let page = if scope.is_enabled(&flags.new_checkout) { "new checkout" } else { "old checkout" };
    let reason = scope.evaluate(&flags.new_checkout).reason;
    format!("{page}: {reason}\n")
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "sqlite:flags.db".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());

    let features = flipper::connect(&url).await?;
    Flags::register(&features).await?;

    let server = HttpServer::new(move || {
        let flags = Flags::new(&features);
        App::new().app_data(Data::new(features.clone())).wrap(from_fn(scope)).configure(routes(flags))
    })
    .workers(2)
    .bind(&address)?;
    for address in server.addrs() {
        println!("listening on {address}");
    }
    server.run().await?;
    Ok(())
}
