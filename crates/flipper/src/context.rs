//! The attributes of a check, on the stack or owned.

mod macros;
pub(crate) mod operand;
mod owned;
mod value;

#[doc(hidden)]
pub use macros::{strip_raw, value};
pub use owned::Context;
pub use value::{Value, ValueType};

mod sealed {
    pub trait Sealed {}
}

/// The attributes of one check, in order: arrays, slices and vectors of `(&str, Value)` (what [`context!`](crate::context!) makes),
/// [`Context`], and references to them; sealed.
///
/// Without attributes conditions are skipped, and the bucketer decides. A repeated name counts twice, in conditions and hashes; [`Context`]
/// keeps the last one.
///
/// ```
/// use flipper::{Context, context};
/// use flipper::context::Attributes;
///
/// fn names(attributes: &(impl Attributes + ?Sized)) -> Vec<&str> {
///     (0..attributes.len()).map(|index| attributes.attribute(index).0).collect()
/// }
///
/// assert_eq!(names(&context! { user_id: 7, plan: "pro" }), ["user_id", "plan"]);
/// assert_eq!(names(&Context::new().with("user_id", 7)), ["user_id"]);
/// assert!(context! {}.is_empty());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no context for a check",
    label = "not a list of attributes",
    note = "make one with `flipper::context! {{ user_id: 7 }}`, or use a `flipper::Context`"
)]
pub trait Attributes: sealed::Sealed {
    /// How many attributes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name and value at this index, from 0.
    ///
    /// # Panics
    ///
    /// If `index` is not less than [`len`](Self::len).
    fn attribute(&self, index: usize) -> (&str, Value<'_>);

    /// The value at this index, if it is a string. Most checks compare one.
    #[doc(hidden)]
    #[inline]
    fn text_at(&self, index: usize) -> Option<&str> {
        if let Value::Str(text) = self.attribute(index).1 { Some(text) } else { None }
    }

    /// The value at this index, if it is a plain integer.
    #[doc(hidden)]
    #[inline]
    fn int_at(&self, index: usize) -> Option<i64> {
        if let Value::Int(value) = self.attribute(index).1 { Some(value) } else { None }
    }
}

impl sealed::Sealed for [(&str, Value<'_>)] {}

impl Attributes for [(&str, Value<'_>)] {
    #[inline]
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    #[inline]
    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        self[index]
    }
}

impl<const N: usize> sealed::Sealed for [(&str, Value<'_>); N] {}

impl<const N: usize> Attributes for [(&str, Value<'_>); N] {
    fn len(&self) -> usize {
        N
    }

    #[inline]
    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        self[index]
    }
}

impl sealed::Sealed for Vec<(&str, Value<'_>)> {}

impl Attributes for Vec<(&str, Value<'_>)> {
    #[inline]
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    #[inline]
    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        self[index]
    }
}

impl<T: Attributes + ?Sized> sealed::Sealed for &T {}

impl<T: Attributes + ?Sized> Attributes for &T {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        (**self).attribute(index)
    }
}
