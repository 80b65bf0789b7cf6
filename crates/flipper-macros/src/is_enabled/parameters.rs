//! The redirect needs the whole argument, which a pattern takes apart. Most patterns, such as `Path((id, name))`, are also expressions that
//! rebuild it. For the others the argument gets a name, and the body a `let` with the pattern.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Error, FieldPat, FnArg, Member, Pat, Result, Signature, Stmt, Type, parse_quote};

#[derive(Default)]
pub(super) struct Parameters {
    passed_on: Vec<TokenStream>,
    apart: Vec<TakenApart>,
}

struct TakenApart {
    argument: Ident,
    pattern: Pat,
    bindings: Vec<Ident>,
    is_reference: bool,
}

impl Parameters {
    pub(super) fn of_signature(signature: &mut Signature) -> Result<Self> {
        let mut parameters = Self::default();
        for (place, input) in signature.inputs.iter_mut().enumerate() {
            let typed = match input {
                FnArg::Receiver(receiver) => {
                    let this = &receiver.self_token;
                    parameters.passed_on.push(quote!(#this));
                    continue;
                }
                FnArg::Typed(typed) => typed,
            };
            if let Some(condition) = typed.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")) {
                return Err(Error::new_spanned(
                    condition,
                    "an argument with `cfg` cannot be passed on: write `otherwise = …` in place of `redirect = …`",
                ));
            }
            if let Some(whole) = whole(&typed.pat, has_reference(&typed.ty)) {
                parameters.passed_on.push(whole);
                continue;
            }
            let argument = argument_name(&typed.pat, place);
            parameters.passed_on.push(quote!(#argument));
            let pattern = std::mem::replace(&mut *typed.pat, parse_quote!(#argument));
            parameters.apart.push(TakenApart::new(argument, pattern, &typed.ty));
        }
        Ok(parameters)
    }

    /// `#[async_trait]` makes patterns `let`s at the top of the boxed block.
    pub(super) fn of_block(signature: &Signature, statements: &[Stmt]) -> Self {
        let mut passed_on = Vec::new();
        let mut apart = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(receiver) => passed_on.push(receiver.self_token.to_token_stream()),
                FnArg::Typed(typed) => {
                    let Pat::Ident(argument) = &*typed.pat else { continue };
                    let argument = &argument.ident;
                    passed_on.push(quote!(#argument));
                    let pattern = statements.iter().find_map(|statement| pattern_of(statement, argument));
                    apart.extend(pattern.map(|pattern| TakenApart::new(argument.clone(), pattern, &typed.ty)));
                }
            }
        }
        Self { passed_on, apart }
    }

    pub(super) fn passed_on(&self) -> &[TokenStream] {
        &self.passed_on
    }

    pub(super) fn by_move(&self) -> TokenStream {
        // An argument without bindings is still dropped when the function ends.
        self.apart.iter().filter(|apart| !apart.bindings.is_empty()).map(TakenApart::by_move).collect()
    }

    pub(super) fn by_move_if_used_in(&self, user: &impl ToTokens) -> TokenStream {
        let user = user.to_token_stream();
        let used = self.apart.iter().filter(|apart| apart.is_used_in(&user));
        used.map(|apart| apart.unused_allowed(&apart.by_move())).collect()
    }

    /// Leaves the arguments whole.
    pub(super) fn by_reference_if_used_in(&self, user: &TokenStream) -> TokenStream {
        let used = self.apart.iter().filter(|apart| apart.is_used_in(user));
        used.map(|apart| apart.unused_allowed(&apart.by_reference())).collect()
    }
}

impl TakenApart {
    fn new(argument: Ident, mut pattern: Pat, ty: &Type) -> Self {
        let mut bindings = Vec::new();
        collect_bindings(&mut pattern, &mut bindings);
        Self { argument, pattern, bindings, is_reference: matches!(ty, Type::Reference(_)) }
    }

    fn is_used_in(&self, tokens: &TokenStream) -> bool {
        !self.bindings.is_empty() && mentions(tokens.clone(), &self.bindings)
    }

    fn by_move(&self) -> TokenStream {
        let Self { argument, pattern, .. } = self;
        // For names like `_volume`, which clippy rejects here.
        let allowed = matches!(pattern, Pat::Ident(_)).then(|| quote!(#[allow(clippy::no_effect_underscore_binding)]));
        quote!(#allowed let #pattern = #argument;)
    }

    fn by_reference(&self) -> TokenStream {
        let Self { argument, pattern, is_reference, .. } = self;
        // Matching a reference does not move the argument.
        if *is_reference {
            return quote!(let #pattern = #argument;);
        }
        let mut pattern = pattern.clone();
        bind_plainly(&mut pattern);
        quote!(let #pattern = &#argument;)
    }

    fn unused_allowed(&self, binding: &TokenStream) -> TokenStream {
        quote!(#[allow(unused_variables, unused_mut)] #binding)
    }
}

/// Shown by documentation. Its span keeps it distinct from other variables.
fn argument_name(pattern: &Pat, place: usize) -> Ident {
    let name = match pattern {
        Pat::Ident(named) => named.ident.to_string().trim_start_matches('_').to_owned(),
        _ => String::new(),
    };
    match syn::parse_str::<Ident>(&name) {
        Ok(_) => Ident::new(&name, Span::mixed_site()),
        Err(_) => format_ident!("argument_{place}", span = Span::mixed_site()),
    }
}

/// The expression that rebuilds the argument, if the pattern is one.
fn whole(pattern: &Pat, has_reference: bool) -> Option<TokenStream> {
    match pattern {
        // Clippy warns about the use of `_volume`.
        Pat::Ident(named) if named.ident.to_string().starts_with('_') => None,
        Pat::Ident(named) if named.by_ref.is_none() && named.subpat.is_none() => Some(named.ident.to_token_stream()),
        Pat::Paren(paren) => whole(&paren.pat, has_reference),
        // Matching through a reference binds references, which do not rebuild the argument.
        _ if has_reference => None,
        Pat::Path(path) => Some(path.to_token_stream()),
        Pat::Tuple(tuple) => {
            let elements = all_whole(&tuple.elems)?;
            Some(quote!((#(#elements,)*)))
        }
        Pat::Slice(slice) => {
            let elements = all_whole(&slice.elems)?;
            Some(quote!([#(#elements),*]))
        }
        Pat::TupleStruct(of) if of.qself.is_none() => {
            let path = &of.path;
            let elements = all_whole(&of.elems)?;
            Some(quote!(#path(#(#elements),*)))
        }
        Pat::Struct(of) if of.qself.is_none() && of.rest.is_none() => {
            let path = &of.path;
            let field = |field: &FieldPat| {
                let Member::Named(name) = &field.member else { return None };
                let value = whole(&field.pat, false)?;
                Some(quote!(#name: #value))
            };
            let fields = of.fields.iter().map(field).collect::<Option<Vec<_>>>()?;
            Some(quote!(#path { #(#fields),* }))
        }
        _ => None,
    }
}

fn all_whole<'a>(patterns: impl IntoIterator<Item = &'a Pat>) -> Option<Vec<TokenStream>> {
    patterns.into_iter().map(|pattern| whole(pattern, false)).collect()
}

fn has_reference(ty: &Type) -> bool {
    fn within(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Punct(punct) => punct.as_char() == '&',
            TokenTree::Group(group) => within(group.stream()),
            _ => false,
        })
    }
    within(ty.to_token_stream())
}

/// Of `let PATTERN = argument;` or `let PATTERN = { let argument = argument; argument };`.
fn pattern_of(statement: &Stmt, argument: &Ident) -> Option<Pat> {
    let Stmt::Local(local) = statement else { return None };
    if matches!(local.pat, Pat::Ident(_) | Pat::Type(_)) {
        return None;
    }
    let value = &local.init.as_ref()?.expr;
    mentions(value.to_token_stream(), std::slice::from_ref(argument)).then(|| local.pat.clone())
}

/// Format strings count.
fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            names.iter().any(|name| text.contains(&format!("{{{name}")))
        }
        TokenTree::Punct(_) => false,
    })
}

fn collect_bindings(pattern: &mut Pat, bindings: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(ident) => bindings.push(ident.ident.clone()),
        Pat::Reference(reference) => collect_bindings(&mut reference.pat, bindings),
        _ => {}
    }
    parts(pattern).into_iter().for_each(|part| collect_bindings(part, bindings));
}

/// A pattern against a reference cannot have them.
fn bind_plainly(pattern: &mut Pat) {
    if let Pat::Ident(ident) = pattern {
        ident.by_ref = None;
        ident.mutability = None;
    }
    parts(pattern).into_iter().for_each(bind_plainly);
}

/// Without those behind a `&`.
fn parts(pattern: &mut Pat) -> Vec<&mut Pat> {
    match pattern {
        Pat::Ident(ident) => ident.subpat.iter_mut().map(|(_, inner)| &mut **inner).collect(),
        Pat::Paren(paren) => vec![&mut paren.pat],
        Pat::Or(or) => or.cases.iter_mut().collect(),
        Pat::Slice(slice) => slice.elems.iter_mut().collect(),
        Pat::Struct(of) => of.fields.iter_mut().map(|field| &mut *field.pat).collect(),
        Pat::Tuple(tuple) => tuple.elems.iter_mut().collect(),
        Pat::TupleStruct(of) => of.elems.iter_mut().collect(),
        _ => Vec::new(),
    }
}
