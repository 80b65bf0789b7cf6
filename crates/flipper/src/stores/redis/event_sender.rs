use std::io;

use redis::RedisError;

pub(super) use crate::stores::event_sender::EventSender;
use crate::stores::event_sender::Unwatched;

pub(super) enum End {
    Unwatched,
    Driver(RedisError),
}

impl From<RedisError> for End {
    fn from(error: RedisError) -> Self {
        Self::Driver(error)
    }
}

impl From<Unwatched> for End {
    fn from(_: Unwatched) -> Self {
        Self::Unwatched
    }
}

pub(super) fn lost(why: &'static str) -> End {
    End::Driver(io::Error::new(io::ErrorKind::ConnectionReset, why).into())
}
