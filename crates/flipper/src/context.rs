//! stub
pub type Attribute<'a> = (&'a str, i64);
pub trait Attributes {}
impl<const N: usize> Attributes for [Attribute<'_>; N] {}
#[macro_export]
macro_rules! context {
    ($($t:tt)*) => {
        [("user_id", 7i64)]
    };
}
