mod choice;
mod config;
mod location;
mod open;
mod shown;

pub(crate) use choice::{Choice, label};
pub(crate) use config::xdg;
pub(crate) use location::{Kind, Location, forms, without_secrets};
pub(crate) use open::{Purpose, Replicated, Store, is_segment};
