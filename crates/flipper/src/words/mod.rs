//! Flags in words, as the command prints them and as the web page shows and takes them.

mod circles;
mod describe;
mod difference;
mod parts;
mod settled;
mod share;
mod text;

pub use circles::{circles, needs_of};
pub use describe::{Ramp, callers, choice, fields, hashed, ramp, rollout, share_of, targeting, unknown};
pub use difference::{Changed, difference};
pub use parts::{
    brief, chosen_by, is_on_now, last_rule, links, moved, next_turn, rule, rules, segment, turns, variant, variants,
    weight,
};
pub use settled::{is_settled, settled_since};
pub use share::{percentage, share, with_share};
pub use text::{attribute, date, json_or_text, json_type, lost_in_paths, now, percent, plain, value};
