//! A literal is checked here, a constant by the compiler.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result};

use crate::name_rules::check;

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
