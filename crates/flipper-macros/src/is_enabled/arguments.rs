use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, ExprParen, ExprPath, Lit, Path, Result, Token, token};

use crate::flag_name::FlagName;

const USAGE: &str = "as in `#[flipper::is_enabled(features, \"MY_FEATURE\", redirect = old_function)]`";

pub(super) struct Arguments {
    pub(super) subject: Subject,
    pub(super) off: Off,
    pub(super) context: Option<Expr>,
    pub(super) flipper: TokenStream,
}

pub(super) enum Subject {
    Client { client: Expr, name: FlagName },
    Handle(Expr),
}

pub(super) enum Off {
    Redirect(ExprPath),
    Otherwise(Expr),
    Default,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(missing());
        }
        let mut positional = Vec::new();
        let mut keys = Keys::default();
        while !input.is_empty() {
            if is_key(input) {
                keys.parse_one(input)?;
            } else if keys.is_empty() {
                positional.push(parse_positional(input)?);
            } else {
                return Err(input.error(
                    "the client and the flag's name come first; after them each argument has its key, as in `redirect = old_function`",
                ));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let subject = subject(positional)?;
        let Keys { redirect, otherwise, context, flipper } = keys;
        let off = match (redirect, otherwise) {
            (Some(_), Some((key, _))) => {
                return Err(Error::new_spanned(
                    key,
                    "`redirect` and `otherwise` both define what happens while the flag is off: remove one",
                ));
            }
            (Some((_, path)), None) => Off::Redirect(path),
            (None, Some((_, expression))) => Off::Otherwise(expression),
            (None, None) => Off::Default,
        };
        let flipper = flipper.map_or_else(|| quote!(::flipper), |(_, path)| quote!(#path));
        Ok(Self { subject, off, context: context.map(|(_, context)| context), flipper })
    }
}

fn subject(positional: Vec<Expr>) -> Result<Subject> {
    let mut positional = positional.into_iter();
    let Some(first) = positional.next() else {
        return Err(missing());
    };
    let second = positional.next();
    if let Some(third) = positional.next() {
        return Err(Error::new_spanned(
            third,
            "a third argument needs its key: `redirect = PATH`, `otherwise = EXPRESSION` or `context = EXPRESSION`",
        ));
    }
    match (is_literal(&first), second) {
        (true, None) => {
            Err(Error::new_spanned(first, format!("the client is missing: give it before the name, {USAGE}")))
        }
        (true, Some(_)) => {
            Err(Error::new_spanned(first, format!("the client comes first, then the flag's name, {USAGE}")))
        }
        (false, Some(name)) => Ok(Subject::Client { client: receiver(first), name: FlagName::new(name)? }),
        (false, None) => Ok(Subject::Handle(receiver(first))),
    }
}

fn missing() -> Error {
    Error::new(Span::call_site(), format!("the client and the flag's name are missing: give them first, {USAGE}"))
}

fn is_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Group(group) => is_literal(&group.expr),
        Expr::Lit(_) => true,
        _ => false,
    }
}

/// Where a method call needs them.
fn receiver(expression: Expr) -> Expr {
    match expression {
        Expr::Call(_)
        | Expr::Field(_)
        | Expr::Group(_)
        | Expr::Index(_)
        | Expr::Macro(_)
        | Expr::MethodCall(_)
        | Expr::Paren(_)
        | Expr::Path(_) => expression,
        other => {
            Expr::Paren(ExprParen { attrs: Vec::new(), paren_token: token::Paren(other.span()), expr: Box::new(other) })
        }
    }
}

fn is_key(input: ParseStream<'_>) -> bool {
    let key = input.peek(syn::Ident::peek_any);
    key && ((input.peek2(Token![=]) && !input.peek2(Token![==]) && !input.peek2(Token![=>]))
        || (input.peek2(Token![:]) && !input.peek2(Token![::])))
}

fn parse_positional(input: ParseStream<'_>) -> Result<Expr> {
    let expression: Expr = input.parse()?;
    if !input.is_empty() && !input.peek(Token![,]) {
        return Err(input.error(format!("expected `,`: commas separate the arguments, {USAGE}")));
    }
    Ok(expression)
}

#[derive(Default)]
struct Keys {
    redirect: Option<(Ident, ExprPath)>,
    otherwise: Option<(Ident, Expr)>,
    context: Option<(Ident, Expr)>,
    flipper: Option<(Ident, Path)>,
}

impl Keys {
    fn is_empty(&self) -> bool {
        self.redirect.is_none() && self.otherwise.is_none() && self.context.is_none() && self.flipper.is_none()
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let key = Ident::parse_any(input)?;
        if input.peek(Token![:]) {
            return Err(input.error(format!("`=` separates a key from its value: write `{key} = …`")));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new_spanned(&key, format!("`{key}` has no value: write `{key} = …`")));
        }
        match key.to_string().as_str() {
            "redirect" => set(&mut self.redirect, key, redirect(input.parse()?)?),
            "otherwise" => set(&mut self.otherwise, key, input.parse()?),
            "context" => set(&mut self.context, key, context(input)?),
            "crate" => set(&mut self.flipper, key, input.call(Path::parse_mod_style)?),
            other => Err(Error::new_spanned(
                &key,
                format!("unknown key `{other}`: there are `redirect`, `otherwise`, `context` and `crate`"),
            )),
        }
    }
}

fn set<T>(place: &mut Option<(Ident, T)>, key: Ident, value: T) -> Result<()> {
    if place.is_some() {
        return Err(Error::new_spanned(&key, format!("duplicate key `{key}`: remove one")));
    }
    *place = Some((key, value));
    Ok(())
}

fn redirect(expression: Expr) -> Result<ExprPath> {
    let advice = match &expression {
        Expr::Group(group) => return redirect((*group.expr).clone()),
        Expr::Path(path) => return Ok(path.clone()),
        Expr::Call(_) | Expr::MethodCall(_) => {
            "`redirect` is the function's path alone, as in `redirect = old_function`: it receives the same arguments"
        }
        Expr::Field(_) => "`redirect` is a function's path: for a method write `redirect = Self::old_method`",
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => {
            "`redirect` is a function's path: write it without quotes, as in `redirect = old_function`"
        }
        _ => {
            "`redirect` is a function's path, as in `redirect = old_function`; for another expression there is `otherwise = …`"
        }
    };
    Err(Error::new_spanned(expression, advice))
}

fn context(input: ParseStream<'_>) -> Result<Expr> {
    let braces = input.peek(token::Brace).then(|| input.span());
    input.parse().map_err(|error| match braces {
        Some(span) => Error::new(span, "attributes are made by a macro: write `context = flipper::context! { … }`"),
        None => error,
    })
}
