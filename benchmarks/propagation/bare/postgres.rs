//! `UPDATE` and `NOTIFY` in a transaction, a `SELECT` by the process that listens: with the bare driver.

use std::future::poll_fn;

use flipper_testkit::Role;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::{is_on, text};
use crate::way::{FLAG, Write, runtime, saw};

/// With its notifications.
async fn connect(url: &str) -> (Client, UnboundedReceiver<()>) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message {
                let _ = sender.send(());
            }
        }
    });
    (client, receiver)
}

pub(super) fn writer(url: &str) -> Write {
    let runtime = runtime();
    let (client, _) = runtime.block_on(connect(url));
    let table = "CREATE TABLE wire (name varchar(40) PRIMARY KEY, item bytea NOT NULL)";
    let insert = "INSERT INTO wire VALUES ($1, $2)";
    runtime.block_on(async {
        client.batch_execute(table).await.unwrap();
        let item = text(false).into_bytes();
        client.execute_typed(insert, &[(&FLAG, Type::TEXT), (&item, Type::BYTEA)]).await.unwrap();
    });
    let update = "UPDATE wire SET item = $2 WHERE name = $1";
    Box::new(move |is_on| {
        runtime.block_on(async {
            let item = text(is_on).into_bytes();
            client.batch_execute("BEGIN").await.unwrap();
            client.execute_typed(update, &[(&FLAG, Type::TEXT), (&item, Type::BYTEA)]).await.unwrap();
            client.batch_execute("NOTIFY wire; COMMIT").await.unwrap();
        });
    })
}

pub(super) fn follow(url: &str, role: &Role) {
    runtime().block_on(async {
        let (client, mut notifications) = connect(url).await;
        client.batch_execute("LISTEN wire").await.unwrap();
        role.say("ready");
        while notifications.recv().await.is_some() {
            let select = "SELECT item FROM wire WHERE name = $1";
            let rows = client.query_typed(select, &[(&FLAG, Type::TEXT)]).await.unwrap();
            let item: &[u8] = rows[0].get(0);
            saw(role, is_on(std::str::from_utf8(item).unwrap()));
        }
    });
}
