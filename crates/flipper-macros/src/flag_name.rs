//! The name of a flag: checked here where it is a literal, by the compiler where it is a constant.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result};

/// The most bytes a name may take; `flipper::validate_name` has the same rules, and a test compares the two.
const MAX: usize = 255;

pub(crate) enum FlagName {
    Literal(LitStr),
    Constant(Expr),
}

impl FlagName {
    pub(crate) fn new(expression: Expr) -> Result<Self> {
        match expression {
            Expr::Group(group) => Self::new(*group.expr),
            Expr::Paren(paren) => Self::new(*paren.expr),
            Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => {
                check(&name.value()).map_err(|message| Error::new(name.span(), message))?;
                Ok(Self::Literal(name))
            }
            Expr::Lit(other) => {
                Err(Error::new_spanned(other, "a flag's name is a string: write it in quotes, as in `\"MY_FEATURE\"`"))
            }
            constant => Ok(Self::Constant(constant)),
        }
    }

    /// An expression of type `&'static str`, which does not compile if the name is none.
    pub(crate) fn expression(&self, flipper: &TokenStream) -> TokenStream {
        match self {
            Self::Literal(name) => quote!(#name),
            Self::Constant(name) => quote!(const { #flipper::__private::flag_name(#name) }),
        }
    }
}

/// What is wrong with the name, and what to do.
pub(crate) fn check(name: &str) -> std::result::Result<(), String> {
    if name.is_empty() {
        return Err("a flag's name cannot be empty: give it 1 to 255 bytes, as in `\"MY_FEATURE\"`".to_owned());
    }
    if name.len() > MAX {
        return Err(format!("this flag's name has {} bytes: shorten it to at most {MAX}", name.len()));
    }
    match name.chars().find(|c| *c == '/' || c.is_control()) {
        Some('/') => Err("a flag's name cannot have a `/`: write `_`, `-` or `.` instead".to_owned()),
        Some(c) => Err(format!("a flag's name cannot have control characters: take out {c:?}")),
        None => Ok(()),
    }
}
