use thrift::TConfiguration;

/// Limits of a received message; a larger one is refused before memory is allocated.
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
    /// The service's own structs are six deep.
    const DEPTH: usize = 32;

    pub(crate) fn configuration(&self) -> TConfiguration {
        let builder = TConfiguration::builder()
            .max_message_size(Some(self.message))
            .max_frame_size(Some(self.message))
            .max_string_size(Some(self.string.min(self.message)))
            .max_container_size(Some(self.container))
            .max_recursion_depth(Some(Self::DEPTH));
        // A frame larger than a message, the only error, cannot occur.
        builder.build().unwrap_or_default()
    }
}
