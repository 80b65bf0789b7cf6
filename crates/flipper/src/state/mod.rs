//! What stores report of flags: records, versions, changes, status.

mod capabilities;
mod cause;
mod entry;
mod portion;
mod status;
mod stored;
mod version;
mod watch;

pub use self::capabilities::Capabilities;
pub use self::cause::{Cause, WriteOptions, actor_of};
pub(crate) use self::entry::Recent;
pub use self::entry::{Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery};
pub(crate) use self::portion::{Portion, bytes_of};
pub use self::status::{Health, Status, Updates};
pub use self::stored::{Corrupt, Stored};
pub use self::version::{Precondition, Version};
pub use self::watch::{Watch, WatchEvent};
