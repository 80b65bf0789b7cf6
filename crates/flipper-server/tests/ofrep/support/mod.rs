mod client;
mod http;
mod server;

pub(crate) use client::{Client, Web, node_script, python};
pub(crate) use http::Http;
pub(crate) use server::Server;
