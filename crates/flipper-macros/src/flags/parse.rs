use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Error, Expr, ExprAssign, ExprLit, Lit, LitStr, Result, Token, Type, Visibility, braced, parse_quote,
    token,
};

use crate::flag_name::FlagName;
use crate::name_rules;

const USAGE: &str = "as in `flipper::flags! { pub struct Flags { new_checkout: \"NEW_CHECKOUT\" = true, } }`";

pub(super) struct Flags {
    pub(super) attributes: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) name: Ident,
    pub(super) flags: Vec<Flag>,
}

pub(super) struct Flag {
    pub(super) attributes: Vec<Attribute>,
    /// `None`: that of the struct.
    pub(super) visibility: Option<Visibility>,
    pub(super) field: Ident,
    pub(super) name: FlagName,
    /// Of the variants' values, if the flag has a type.
    pub(super) variants: Option<Type>,
    pub(super) default: Expr,
}

impl Parse for Flags {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !input.peek(Token![struct]) {
            return Err(Error::new(input.span(), format!("expected a struct with a field for each flag, {USAGE}")));
        }
        input.parse::<Token![struct]>()?;
        let name: Ident = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(input.error(format!("expected the flags in braces, without type parameters, {USAGE}")));
        }
        let content;
        braced!(content in input);
        if !input.is_empty() {
            return Err(
                input.error("one struct is all that `flags!` takes: write another `flipper::flags!` for the next")
            );
        }
        if content.is_empty() {
            return Err(Error::new_spanned(name, format!("this struct has no flag: give it one, {USAGE}")));
        }
        let mut flags: Vec<Flag> = Vec::new();
        while !content.is_empty() {
            flags.push(content.parse()?);
            if !content.is_empty() && !content.peek(Token![,]) {
                return Err(content.error(format!("expected `,` before the next flag, {USAGE}")));
            }
            content.parse::<Option<Token![,]>>()?;
        }
        refuse_twice(&flags)?;
        Ok(Self { attributes, visibility, name, flags })
    }
}

/// Among literals. The compiler compares constants, and flags under `cfg`, which may exclude each other.
fn refuse_twice(flags: &[Flag]) -> Result<()> {
    let (mut fields, mut names) = (HashSet::new(), HashSet::new());
    for flag in flags.iter().filter(|flag| flag.cfg().next().is_none()) {
        if !fields.insert(&flag.field) {
            return Err(Error::new_spanned(&flag.field, format!("two flags are called `{}`: rename one", flag.field)));
        }
        if let FlagName::Literal(name) = &flag.name
            && !names.insert(name.value())
        {
            let message = format!("two fields are the flag {:?}: take out one, or give it another name", name.value());
            return Err(Error::new_spanned(name, message));
        }
    }
    Ok(())
}

impl Parse for Flag {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = match input.parse()? {
            Visibility::Inherited => None,
            visible => Some(visible),
        };
        if input.peek(LitStr) {
            return Err(input.error(format!("a flag begins with the name of its field, {USAGE}")));
        }
        let field = input.call(Ident::parse_any)?;
        let (mut name, mut default) = (None, None);
        if input.parse::<Option<Token![:]>>()?.is_some() {
            // The parser takes `"NAME" = true` as one expression.
            match input.parse()? {
                Expr::Assign(ExprAssign { left, right, .. }) => (name, default) = (Some(*left), Some(*right)),
                alone => name = Some(alone),
            }
        } else if input.parse::<Option<Token![=]>>()?.is_some() {
            default = Some(input.parse()?);
        }
        let variants = match input.parse::<Option<Token![->]>>()? {
            Some(arrow) => {
                if let Some(default) = default {
                    return Err(Error::new_spanned(
                        default,
                        format!("the default comes after the type: `{field} -> TYPE = DEFAULT`"),
                    ));
                }
                let of: Type = input.parse()?;
                if input.parse::<Option<Token![=]>>()?.is_none() {
                    let message = format!("a flag with a type needs a default: write `{field} -> TYPE = DEFAULT`");
                    return Err(Error::new_spanned(arrow, message));
                }
                Some((of, input.parse::<Expr>()?))
            }
            None => None,
        };
        let name = match name {
            Some(name) => flag_name(&field, name)?,
            None => field_name(&field)?,
        };
        let (variants, default) = match variants {
            Some((of, default)) => (Some(of), default),
            None => (None, default.map_or_else(|| Ok(parse_quote!(false)), checked_default)?),
        };
        Ok(Self { attributes, visibility, field, name, variants, default })
    }
}

fn flag_name(field: &Ident, name: Expr) -> Result<FlagName> {
    match &name {
        Expr::Lit(ExprLit { lit: Lit::Bool(default), .. }) => Err(Error::new_spanned(
            &name,
            format!("after `:` comes the flag's name; a default comes after `=`: write `{field} = {}`", default.value),
        )),
        Expr::Path(path) if path.path.is_ident("bool") || path.path.is_ident("FeatureFlag") => Err(Error::new_spanned(
            &name,
            format!("a flag has no type: write `{field},` or, with the flag's name, `{field}: \"MY_FEATURE\",`"),
        )),
        _ => FlagName::new(name),
    }
}

fn field_name(field: &Ident) -> Result<FlagName> {
    let name = field.unraw().to_string().to_uppercase();
    name_rules::check(&name).map_err(|message| Error::new_spanned(field, message))?;
    Ok(FlagName::Literal(LitStr::new(&name, field.span())))
}

fn checked_default(default: Expr) -> Result<Expr> {
    match &default {
        Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => Ok(default),
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => Err(Error::new_spanned(
            default,
            "after `=` comes the default, `true` or `false`; the flag's name comes after `:`",
        )),
        Expr::Lit(_) => Err(Error::new_spanned(default, "a default is `true` or `false`")),
        _ => Ok(default),
    }
}

impl Flag {
    pub(super) fn cfg(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
    }

    pub(super) fn doc(&self) -> TokenStream {
        let name = match &self.name {
            FlagName::Literal(name) => format!("The flag `{}`", name.value()),
            FlagName::Constant(name) => format!("The flag whose name is `{}`", name.to_token_stream()),
        };
        let state = match &self.default {
            _ if self.variants.is_some() => ", with variants",
            Expr::Lit(ExprLit { lit: Lit::Bool(default), .. }) if default.value => ", on where it does not exist",
            Expr::Lit(_) => "",
            _ => ", which has a default",
        };
        let line = format!("{name}{state}.");
        let has_docs = self.attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        let blank = has_docs.then(|| quote!(#[doc = ""]));
        quote!(#blank #[doc = #line])
    }
}
