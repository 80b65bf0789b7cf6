#[path = "../../../../../flipper-thrift/src/hub/doubt.rs"]
pub(super) mod doubt;
#[path = "../../../../../flipper-thrift/src/hub/state.rs"]
pub(super) mod state;
