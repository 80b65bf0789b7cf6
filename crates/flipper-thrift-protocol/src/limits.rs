//! How much a message may be.

use thrift::TConfiguration;

/// How much a message from the other side may be. Beyond that it is refused before memory is set aside for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, framed or not.
    pub message: usize,
    /// Bytes of a string.
    pub string: usize,
    /// Elements of a list, set or map.
    pub container: usize,
}

impl Limits {
    /// How deep structs may nest; the service's own go six deep.
    const DEPTH: usize = 32;

    pub(crate) fn configuration(&self) -> TConfiguration {
        let builder = TConfiguration::builder()
            .max_message_size(Some(self.message))
            .max_frame_size(Some(self.message))
            .max_string_size(Some(self.string.min(self.message)))
            .max_container_size(Some(self.container))
            .max_recursion_depth(Some(Self::DEPTH));
        // The one error there is, a frame larger than a message, cannot be.
        builder.build().unwrap_or_default()
    }
}
