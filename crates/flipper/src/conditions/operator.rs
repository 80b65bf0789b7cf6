use std::fmt;

/// How a check compares the attribute (left) with the condition's value (right).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// They are equal.
    Eq,
    /// They are not equal.
    Ne,
    /// The attribute is greater.
    Gt,
    /// The attribute is greater or equal.
    Gte,
    /// The attribute is less.
    Lt,
    /// The attribute is less or equal.
    Lte,
    /// The attribute is in the value: an element of the list, a part of the string, a key of the object.
    In,
    /// The attribute is not in the value.
    NotIn,
}

impl Operator {
    /// The stored symbol; equality has none.
    ///
    /// ```
    /// use flipper::evaluation::Operator;
    ///
    /// assert_eq!(Operator::NotIn.symbol(), Some("not_in"));
    /// assert_eq!(Operator::Eq.symbol(), None);
    /// ```
    #[must_use]
    pub fn symbol(self) -> Option<&'static str> {
        match self {
            Self::Eq => None,
            Self::Ne => Some("ne"),
            Self::Gt => Some("gt"),
            Self::Gte => Some("gte"),
            Self::Lt => Some("lt"),
            Self::Lte => Some("lte"),
            Self::In => Some("in"),
            Self::NotIn => Some("not_in"),
        }
    }

    pub(crate) fn from_symbol(symbol: &str) -> Option<Self> {
        [Self::Ne, Self::Gt, Self::Gte, Self::Lt, Self::Lte, Self::In, Self::NotIn]
            .into_iter()
            .find(|operator| operator.symbol() == Some(symbol))
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol().unwrap_or("eq"))
    }
}
