//! A proxy that reads from one server, and sends to the primary what a standby refuses: `LISTEN` and `NOTIFY`. It can drop prepared statements.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flipper::FeatureFlagStore;
use flipper::store::{Precondition, Updates, WatchEvent};
use flipper_testkit::postgres::PostgresServer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{Follow, flag, store};

async fn proxy(reads: &PostgresServer, primary: &PostgresServer) -> String {
    proxy_that_drops(reads, primary, Arc::default()).await
}

/// When it is set: the statements of the next session that uses one.
async fn proxy_that_drops(reads: &PostgresServer, primary: &PostgresServer, drops: Arc<AtomicBool>) -> String {
    let (port, primary) = (reads.port(), primary.url());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = reads.url().replace(&port.to_string(), &listener.local_addr().unwrap().port().to_string());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, port, primary.clone(), drops.clone()));
        }
    });
    format!("{url}?sslmode=disable")
}

async fn serve(client: TcpStream, reads: u16, primary: String, drops: Arc<AtomicBool>) -> io::Result<()> {
    let (mut asked, mut answered) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(("127.0.0.1", reads)).await?.into_split();
    let (answer, mut answers) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(message) = answers.recv().await {
            answered.write_all(&message).await?;
        }
        answered.shutdown().await
    });
    let (primary, mut connection) = tokio_postgres::connect(&primary, NoTls).await.map_err(io::Error::other)?;
    let notify = answer.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(found) = message {
                let text = format!("{}\0{}\0", found.channel(), found.payload());
                let _ = notify.send(message_of(b'A', &[&found.process_id().to_be_bytes(), text.as_bytes()].concat()));
            }
        }
    });
    let (forward, ours) = (answer.clone(), Arc::new(AtomicUsize::new(0)));
    let not_forwarded = ours.clone();
    tokio::spawn(async move {
        while let Ok(message) = next(&mut from_server).await {
            let is_ours = not_forwarded.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if is_ours.is_err() {
                let _ = forward.send(message);
            }
        }
        // As a proxy that ends the client's connection with the server's.
        let _ = forward.send(Vec::new());
    });
    // The first has no type.
    let mut length = [0; 4];
    asked.read_exact(&mut length).await?;
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    asked.read_exact(&mut rest).await?;
    to_server.write_all(&[&length[..], &rest].concat()).await?;
    loop {
        let message = next(&mut asked).await?;
        // A portal without a name, of a statement with one.
        if message[0] == b'B' && message[5] == 0 && message[6] != 0 && drops.swap(false, Ordering::SeqCst) {
            // Its answer has two messages, and comes first, as the client waits.
            ours.store(2, Ordering::SeqCst);
            to_server.write_all(&message_of(b'Q', b"DEALLOCATE ALL\0")).await?;
        }
        let text = String::from_utf8_lossy(&message[5..]).into_owned();
        let parts: &[(u8, &[u8])] = if message[0] == b'Q' && text.contains("LISTEN ") {
            primary.batch_execute(text.trim_end_matches('\0')).await.map_err(io::Error::other)?;
            &[(b'C', b"LISTEN\0"), (b'Z', b"I")]
        } else if message[0] == b'P' && text.contains("pg_notify") {
            let bound = String::from_utf8_lossy(&next(&mut asked).await?).into_owned();
            let channel = &bound[bound.find("flipper_probe_").unwrap()..][..30];
            while next(&mut asked).await?[0] != b'S' {}
            primary.batch_execute(&format!("NOTIFY {channel}")).await.map_err(io::Error::other)?;
            &[(b'1', b""), (b'2', b""), (b't', &[0, 0]), (b'n', b""), (b'C', b"SELECT 0\0"), (b'Z', b"I")]
        } else {
            to_server.write_all(&message).await?;
            &[]
        };
        for (kind, body) in parts {
            let _ = answer.send(message_of(*kind, body));
        }
    }
}

async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[1..].try_into().unwrap()) as usize;
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..]).await?;
    Ok(message)
}

fn message_of(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}

#[tokio::test]
async fn notifications_of_the_primary_are_no_proof_where_a_standby_is_read() {
    let Some(mut primary) = PostgresServer::start() else { return };
    let writer = store(&primary.url(), "flags");
    writer.install_feed(true).await.unwrap();
    let standby = primary.standby();
    // The proxy forwards what proves it.
    Follow::of(&store(&proxy(&primary, &primary).await, "flags")).pushed().await;
    let reader = store(&proxy(&standby, &primary).await, "flags");
    let mut follow = Follow::of(&reader);
    follow.polled().await;
    writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow
        .find(|event| {
            assert!(!matches!(event, WatchEvent::Following(Updates::Push)));
            matches!(event, WatchEvent::Changed { .. }).then_some(())
        })
        .await;
    primary.kill();
    let error = follow.lost().await;
    assert!(error.chain().contains("has lost its primary"), "{error:?}");
}

/// As `DEALLOCATE ALL` of a proxy does.
#[tokio::test]
async fn prepared_statements_that_something_drops() {
    let Some(server) = PostgresServer::start() else { return };
    let writer = store(&server.url(), "flags");
    writer.install_feed(true).await.unwrap();
    let drops = Arc::<AtomicBool>::default();
    let reader = store(&proxy_that_drops(&server, &server, drops.clone()).await, "flags");
    let mut follow = Follow::of(&reader);
    follow.pushed().await;
    drops.store(true, Ordering::SeqCst);
    while drops.load(Ordering::SeqCst) {
        follow.next().await;
    }
    // A new session.
    follow.pushed().await;
    writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    // As a change is read.
    drops.store(true, Ordering::SeqCst);
    writer.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    assert!(!drops.load(Ordering::SeqCst));
}
