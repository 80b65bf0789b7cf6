//! Conditions as people write and read them: `horses > 9000`, `plan in pro,team`.

mod parse;
mod show;
mod tokens;

pub(crate) use parse::parse;
pub(crate) use show::{check, show};
