pub(crate) use flipper::__words::{choice, description, fields, hashed, rollout, share_of, targeting, unknown};
