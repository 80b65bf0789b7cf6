use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::errors::{Named, closed};
use super::follower::Follower;
use super::followers::{Followers, Request};
use super::link::File;
use crate::background;
use crate::error::{Error, Result};
use crate::state::Watch;
use crate::stores::feed::{QUEUE, Source, feed};

pub(super) fn watch(file: Arc<File>, poll_every: Option<Duration>, followers: Arc<Followers>) -> Watch<'static> {
    let (name, closing) = (Named(&file.place.path).to_string(), followers.clone());
    let ended = move || match closing.closed.load(Ordering::Acquire) {
        true => closed(),
        false => Error::unavailable("the thread that reads the database ended"),
    };
    feed(name, ended, move |lost| start(&file, poll_every, &followers, lost))
}

struct End(Sender<Request>);

impl Drop for End {
    fn drop(&mut self) {
        // The thread may have ended.
        let _ = self.0.send(Request::Close);
    }
}

/// The polling thread reads all flags before, to have them at once; but the flipper thread must not wait for a disk.
fn start(file: &Arc<File>, poll_every: Option<Duration>, followers: &Arc<Followers>, lost: bool) -> Result<Source> {
    let (sender, requests) = mpsc::channel();
    let registered = followers.register(sender.clone());
    // After registering: `close` either ends this follower or was seen here.
    if followers.closed.load(Ordering::Acquire) {
        return Err(closed());
    }
    let mut follower = Follower::new(file.clone(), poll_every, (sender.clone(), requests), lost, registered);
    let begun = !background::is_this_thread();
    let first = if begun { follower.step(false) } else { Vec::new() };
    let (events_in, events) = tokio::sync::mpsc::channel(QUEUE);
    let run = move || follower.run(begun, &events_in);
    let thread = thread::Builder::new().name("flipper-sqlite".to_owned()).spawn(run);
    thread.map_err(|error| Error::unavailable("no thread can be started").with_source(error))?;
    Ok(Source { first: first.into_iter(), events, _end: Box::new(End(sender)) })
}
