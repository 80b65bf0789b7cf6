use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier, TSetIdentifier,
    TStructIdentifier,
};
use thrift::{ApplicationError, ApplicationErrorKind, Error, Result};

/// Strings that are not UTF-8 are refused after all arguments of the call are read, so that the connection can continue with the next call.
pub(crate) struct Strings<'a> {
    inner: Box<dyn TInputProtocol + 'a>,
    depth: usize,
    is_bad: bool,
}

impl<'a> Strings<'a> {
    pub(crate) fn new(inner: Box<dyn TInputProtocol + 'a>) -> Self {
        Self { inner, depth: 0, is_bad: false }
    }
}

macro_rules! forward {
    ($($method:ident -> $result:ty;)*) => {$(
        fn $method(&mut self) -> Result<$result> {
            self.inner.$method()
        }
    )*};
}

impl TInputProtocol for Strings<'_> {
    fn read_struct_begin(&mut self) -> Result<Option<TStructIdentifier>> {
        self.depth += 1;
        self.inner.read_struct_begin()
    }

    fn read_struct_end(&mut self) -> Result<()> {
        self.inner.read_struct_end()?;
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 && self.is_bad {
            let message = "a string is not valid utf-8".to_owned();
            return Err(Error::Application(ApplicationError::new(ApplicationErrorKind::ProtocolError, message)));
        }
        Ok(())
    }

    fn read_string(&mut self) -> Result<String> {
        String::from_utf8(self.inner.read_bytes()?).or_else(|_| {
            self.is_bad = true;
            Ok(String::new())
        })
    }

    forward! {
        read_message_begin -> TMessageIdentifier;
        read_message_end -> ();
        read_field_begin -> TFieldIdentifier;
        read_field_end -> ();
        read_bool -> bool;
        read_bytes -> Vec<u8>;
        read_i8 -> i8;
        read_i16 -> i16;
        read_i32 -> i32;
        read_i64 -> i64;
        read_double -> f64;
        read_uuid -> uuid::Uuid;
        read_list_begin -> TListIdentifier;
        read_list_end -> ();
        read_set_begin -> TSetIdentifier;
        read_set_end -> ();
        read_map_begin -> TMapIdentifier;
        read_map_end -> ();
        read_byte -> u8;
    }
}
