//! A literal is checked here, a constant by the compiler.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result};

/// In bytes. A test compares these rules with `flipper::store::validate_new_name`.
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

    /// Compiles only if the name is valid; of type `&'static str`.
    pub(crate) fn expression(&self, flipper: &TokenStream) -> TokenStream {
        match self {
            Self::Literal(name) => quote!(#name),
            Self::Constant(name) => quote!(const { #flipper::__private::flag_name(#name) }),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// At run time it panics, where the compiler would report an error.
    fn is_constant_name(name: &'static str) -> bool {
        std::panic::catch_unwind(|| flipper::__private::flag_name(name)).is_ok()
    }

    #[test]
    fn rules_are_those_of_the_library() {
        let mut names = vec![String::new(), "a".repeat(255), "a".repeat(256), "é".repeat(127), "é".repeat(128)];
        names.extend((0..=0x2100).filter_map(char::from_u32).map(|c| format!("a{c}b")));
        names.extend((0..=0x2100).filter_map(char::from_u32).map(String::from));
        for name in names {
            let allowed = flipper::store::validate_new_name(&name).is_ok();
            assert_eq!(check(&name).is_ok(), allowed, "{name:?}");
            assert_eq!(is_constant_name(name.clone().leak()), allowed, "{name:?}");
        }
    }
}
