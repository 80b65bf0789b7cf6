use super::Value;

/// The attributes of a check, an array of `(&str, Value)` on the stack.
///
/// ```
/// use flipper::context;
/// use flipper::context::Attributes;
///
/// let plan = String::from("pro");
/// let context = context! {
///     user_id: 7,
///     plan: &plan,
///     "user-id": 7,
///     r#type: "x",
///     tags: ["a", "b"],
/// };
/// assert_eq!(context.len(), 5);
/// assert_eq!(context.attribute(3).0, "type");
/// ```
///
/// A name is an identifier (`r#type` means `type`) or a string. A value is a list in brackets, or converts into a
/// [`Value`](crate::context::Value). From about a hundred on, use [`Context`](crate::Context).
#[macro_export]
macro_rules! context {
    () => {{
        let nothing: [(&'static str, $crate::context::Value<'static>); 0] = [];
        nothing
    }};
    ($($attributes:tt)+) => {
        $crate::__context!(@pairs [] $($attributes)+)
    };
}

/// Steps of [`context!`](crate::context!). With `Value::List { 0: … }`, not `Value::List(…)`, the borrowed list lives long enough.
#[doc(hidden)]
#[macro_export]
macro_rules! __context {
    (@pairs [$($done:tt)*]) => { [$($done)*] };
    (@pairs [$($done:tt)*] $name:tt : [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::__context!(@pairs [$($done)* ($crate::__context!(@name $name), $crate::__context!(@list [] $($item)*)),] $($($rest)*)?)
    };
    (@pairs [$($done:tt)*] $name:tt : $value:expr $(, $($rest:tt)*)?) => {
        $crate::__context!(@pairs [$($done)* ($crate::__context!(@name $name), $crate::context::value($value)),] $($($rest)*)?)
    };
    (@list [$($done:tt)*]) => { $crate::context::Value::List { 0: &[$($done)*] } };
    (@list [$($done:tt)*] [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::__context!(@list [$($done)* $crate::__context!(@list [] $($item)*),] $($($rest)*)?)
    };
    (@list [$($done:tt)*] $value:expr $(, $($rest:tt)*)?) => {
        $crate::__context!(@list [$($done)* $crate::context::value($value),] $($($rest)*)?)
    };
    (@name $name:ident) => {{
        const NAME: &str = $crate::context::strip_raw(::core::stringify!($name));
        NAME
    }};
    (@name $name:literal) => {{
        const NAME: &str = $name;
        NAME
    }};
}

/// Removes `r#`, which `stringify!` keeps.
#[doc(hidden)]
#[must_use]
pub const fn strip_raw(name: &str) -> &str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// What [`context!`](crate::context!) accepts as a value.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute's value",
    label = "not a number, a `bool`, or a reference to a string or to `Json`",
    note = "attributes are borrowed: if this is a `String`, write `&` in front of it"
)]
pub trait IntoValue<'a> {
    fn into_value(self) -> Value<'a>;
}

#[diagnostic::do_not_recommend]
impl<'a, T: Into<Value<'a>>> IntoValue<'a> for T {
    #[inline]
    fn into_value(self) -> Value<'a> {
        self.into()
    }
}

#[doc(hidden)]
#[inline]
pub fn value<'a>(value: impl IntoValue<'a>) -> Value<'a> {
    value.into_value()
}

#[cfg(test)]
mod tests {
    use crate::context::{Attributes, Value};

    fn text(context: &dyn Attributes) -> String {
        let pairs: Vec<String> = (0..context.len())
            .map(|index| {
                let (name, value) = context.attribute(index);
                format!("{name}={value:?}")
            })
            .collect();
        pairs.join(" ")
    }

    #[test]
    fn names_and_values() {
        let count = 3_usize;
        let context = context! { a: 1, "b-c": "x", r#type: true, d: 1.5, e: count + 1, f: None::<i64>, g: u64::MAX };
        assert_eq!(
            text(&context),
            "a=Int(1) b-c=Str(\"x\") type=Bool(true) d=Float(1.5) e=Int(4) f=Null g=UInt(18446744073709551615)"
        );
    }

    #[test]
    fn lists_nest_and_live_in_a_let() {
        let item = String::from("y");
        let context = context! { a: [], b: [1, [2, &item],], c: [-1] };
        assert_eq!(text(&context), "a=List([]) b=List([Int(1), List([Int(2), Str(\"y\")])]) c=List([Int(-1)])");
    }

    #[test]
    fn empty_context_needs_no_type() {
        let context = context! {};
        assert!(context.is_empty());
        assert_eq!(text(&context), "");
    }

    #[test]
    fn slices_and_references_are_attributes() {
        let context = context! { a: 1 };
        let slice: &[(&str, Value<'_>)] = &context;
        assert_eq!(text(&slice), "a=Int(1)");
    }
}
