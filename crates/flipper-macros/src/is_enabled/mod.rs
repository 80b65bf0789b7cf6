mod arguments;
mod awaited_box;
mod function;
mod parameters;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Result};

use self::arguments::{Arguments, Off, Subject};
use self::function::Function;
use self::parameters::Parameters;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    // The item is kept, so that its callers do not fail too.
    try_expand(arguments, item.clone()).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

fn try_expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut function: Function = syn::parse2(item)?;
    let arguments: Arguments = syn::parse2(arguments)?;
    if let Some(constness) = &function.signature.constness {
        return Err(Error::new_spanned(
            constness,
            "a `const fn` may run at compile time, where no flag can be checked: remove the `const`",
        ));
    }
    if let Off::Redirect(path) = &arguments.off
        && function.signature.receiver().is_some()
        && path.path.segments.len() == 2
        && path.path.segments[0].ident == "Self"
        && path.path.segments[1].ident == function.signature.ident
    {
        return Err(Error::new_spanned(path, "this is the function itself, which would recurse forever"));
    }

    if let Some(boxed) = awaited_box::find(&function) {
        let parameters = Parameters::of_block(&function.signature, boxed.statements());
        let body = boxed.statements().iter().map(ToTokens::to_token_stream).collect();
        function.body = boxed.with_body(if_enabled(&arguments, &parameters, true, &body));
    } else {
        let is_async = function.signature.asyncness.is_some();
        let parameters = match arguments.off {
            Off::Redirect(_) => Parameters::of_signature(&mut function.signature)?,
            Off::Otherwise(_) | Off::Default => Parameters::default(),
        };
        let parts = parameters.by_move();
        let body = &function.body;
        function.body = if_enabled(&arguments, &parameters, is_async, &quote!(#parts #body));
    }
    Ok(function.into_token_stream())
}

fn if_enabled(arguments: &Arguments, parameters: &Parameters, is_async: bool, body: &TokenStream) -> TokenStream {
    let flipper = &arguments.flipper;
    let check = check(arguments);
    let off = match &arguments.off {
        Off::Redirect(path) => {
            let span = Span::mixed_site().located_at(path.span());
            let passed = parameters.passed_on();
            // Through a variable: otherwise the compiler suggests a call in the attribute.
            let call = quote_spanned!(span=> { let redirect = #path; redirect(#(#passed),*) });
            if is_async {
                let redirected = located(quote!(#flipper::__private::redirected), span);
                quote_spanned!(span=> #redirected(#call).await)
            } else {
                call
            }
        }
        Off::Otherwise(expression) => {
            let parts = parameters.by_move_if_used_in(expression);
            quote!(#parts #expression)
        }
        Off::Default => quote!(#flipper::__private::returned_when_off()),
    };
    let parts = parameters.by_reference_if_used_in(&check);
    if parts.is_empty() {
        return quote!(if #check { #body } else { #off });
    }
    // Clippy warns about a block as the condition of an `if`.
    let enabled = Ident::new("enabled", Span::mixed_site());
    quote! {
        let #enabled = { #parts #check };
        if #enabled { #body } else { #off }
    }
}

fn located(tokens: TokenStream, at: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect()
}

fn check(arguments: &Arguments) -> TokenStream {
    let Arguments { subject, context, flipper, .. } = arguments;
    let context = context.as_ref().map(|context| quote!(&(#context)));
    let method = if context.is_some() { "is_enabled_with" } else { "is_enabled" };
    match subject {
        Subject::Client { client, name } => {
            let method = Ident::new(method, Span::call_site().located_at(client.span()));
            let name = name.expression(flipper);
            let context = context.into_iter();
            quote!(#client.#method(#name #(, #context)*))
        }
        Subject::Handle(handle) => {
            let method = Ident::new(method, Span::call_site());
            let span = Span::mixed_site().located_at(handle.span());
            let handle = quote_spanned!(span=> #flipper::__private::handle(&#handle));
            quote!(#handle.#method(#context))
        }
    }
}
