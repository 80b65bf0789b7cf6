//! What a follower asks while nothing changes, or while its own process writes, by the server's log of statements.

use std::fs;
use std::time::{Duration, Instant};

use flipper::store::{LocalFeatureFlagStore, Precondition, Updates};
use flipper::{FeatureFlagStore, MirroredFeatureFlagStore, PostgresFeatureFlagStore};
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::wait_until;

use crate::flag;
use crate::writes::tokio_postgres_session;

const FLAGS: usize = 10_000;
/// Longer than the pauses between any two questions that are asked again and again.
const WHILE: Duration = Duration::from_secs(20);

fn statements(server: &PostgresServer) -> Vec<String> {
    let log = fs::read_to_string(server.folder().join("log")).unwrap();
    // Of an unnamed statement there are lines for its parts too.
    let is_run = |line: &&str| line.contains(" ms  execute ") || line.contains(" ms  statement: ");
    log.lines().filter(is_run).filter(|line| line.starts_with("flipper ")).map(str::to_owned).collect()
}

/// It is not planned again, and reads no table.
fn is_cheap(statement: &str) -> bool {
    statement.contains("execute s") && statement.contains("pg_current_snapshot") && !statement.contains(" FROM ")
}

/// Time is under test: on a busy machine there are fewer.
async fn asks_once_a_second(is_fed: bool) {
    let settings =
        PostgresServer::options().set("log_min_duration_statement=0").set("log_line_prefix=%a ").set("autovacuum=off");
    let Some(server) = settings.start() else { return };
    let store = PostgresFeatureFlagStore::from_url(&server.url()).unwrap();
    if is_fed {
        store.install_feed(true).await.unwrap();
    }
    let flags: Vec<_> = (0..FLAGS).map(|number| flag(&format!("F{number:05}"), true)).collect();
    let written = store.put_all(&flags, Precondition::Absent.into()).await;
    assert!(written.iter().all(Result::is_ok));
    let mirror = MirroredFeatureFlagStore::new(store);
    mirror.ready().await.unwrap();
    assert_eq!(mirror.table().list().len(), FLAGS);
    wait_until("it follows", || (mirror.status().updates == Updates::Push) == is_fed);
    let cheap = |asked: &[String]| asked.iter().filter(|statement| is_cheap(statement)).count();
    wait_until("it is at rest", || cheap(&statements(&server)) > 2);
    let compares = |asked: &[String]| asked.iter().filter(|statement| statement.contains("bit_xor")).count();
    let (before, began) = (statements(&server).len(), Instant::now());
    tokio::time::sleep(WHILE).await;
    let asked = statements(&server).split_off(before);
    let (seconds, compared) = (began.elapsed().as_secs_f64(), compares(&asked));
    assert!(mirror.status().is_live() && !asked.is_empty());
    assert!((asked.len() - compared) as f64 <= seconds + 4.0, "{} in {seconds:.1} s: {asked:#?}", asked.len());
    assert!(cheap(&asked) + compared + 6 >= asked.len(), "{asked:#?}");
    assert!(compared <= 4, "{asked:#?}");
    // With the feed each half minute, without it after any transaction.
    server.psql("CREATE TABLE other ()");
    wait_until("rows are compared", || compares(&statements(&server)[before + asked.len()..]) > 0);
}

#[tokio::test]
async fn an_idle_follower_of_the_feed_asks_once_a_second() {
    asks_once_a_second(true).await;
}

#[tokio::test]
async fn an_idle_follower_that_compares_rows_asks_once_a_second() {
    asks_once_a_second(false).await;
}

/// Where transactions end all the time, the question whether one has would be a second one each second.
#[tokio::test]
async fn a_follower_of_the_feed_on_a_busy_server_asks_once_a_second() {
    let settings = PostgresServer::options().set("log_min_duration_statement=0").set("log_line_prefix=%a ");
    let Some(server) = settings.start() else { return };
    let store = PostgresFeatureFlagStore::from_url(&server.url()).unwrap();
    store.install_feed(true).await.unwrap();
    let mirror = MirroredFeatureFlagStore::new(store);
    mirror.ready().await.unwrap();
    wait_until("it follows", || mirror.status().updates == Updates::Push);
    let session = tokio_postgres_session(&server).await;
    let busy = tokio::spawn(async move {
        loop {
            session.batch_execute("SELECT pg_current_xact_id()").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    // What is left of its start: on a busy machine it may prove a second time that notifications arrive.
    let polls = || statements(&server).iter().rev().take_while(|asked| asked.contains("execute s")).count();
    wait_until("it only polls", || polls() > 3);
    let (before, began) = (statements(&server).len(), Instant::now());
    tokio::time::sleep(WHILE / 2).await;
    let asked = statements(&server).split_off(before);
    busy.abort();
    assert!(mirror.status().is_live());
    let cheap = asked.iter().filter(|statement| is_cheap(statement)).count();
    assert!(asked.len() as f64 <= began.elapsed().as_secs_f64() + 3.0 && cheap <= 2, "{asked:#?}");
}

/// It has them in memory: its questions would only compete with those of other processes.
#[tokio::test]
async fn many_writes_of_this_process_are_one_question() {
    let settings = PostgresServer::options().set("log_min_duration_statement=0").set("log_line_prefix=%a ");
    let Some(server) = settings.start() else { return };
    let store = PostgresFeatureFlagStore::from_url(&server.url()).unwrap();
    store.install_feed(true).await.unwrap();
    let mirror = MirroredFeatureFlagStore::new(store);
    mirror.ready().await.unwrap();
    wait_until("it follows", || mirror.status().updates == Updates::Push);
    let (before, began) = (statements(&server).len(), Instant::now());
    for number in 0..300 {
        mirror.put(&flag("A", number % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    let took = began.elapsed();
    let asked = statements(&server).split_off(before);
    let polls = asked.iter().filter(|statement| statement.contains("execute s")).count();
    // Each waits 5 ms for others.
    assert!(polls > 0 && polls as u128 <= took.as_millis() / 5 + 4, "{polls} in {took:?}");
    // Another program's is asked for, and so is the last of ours.
    server.psql("DELETE FROM feature_flags");
    wait_until("it is known", || mirror.table().list().is_empty());
}
