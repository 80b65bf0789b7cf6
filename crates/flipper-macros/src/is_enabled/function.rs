//! The function under the attribute. Its body is not parsed: that is faster, and allows syntax that `syn` does not know.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, Signature, Visibility, braced, token};

pub(super) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    pub(super) signature: Signature,
    brace: token::Brace,
    inner_attributes: Vec<Attribute>,
    pub(super) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        expect_function(input)?;
        let signature: Signature = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(Error::new_spanned(
                &signature.ident,
                "this function has no body: put the attribute on the method in the `impl`",
            ));
        }
        let content;
        let brace = braced!(content in input);
        let inner_attributes = content.call(Attribute::parse_inner)?;
        Ok(Self { attributes, visibility, signature, brace, inner_attributes, body: content.parse()? })
    }
}

fn expect_function(input: ParseStream<'_>) -> Result<()> {
    let mut ahead = input.cursor();
    let first = ahead.token_tree();
    loop {
        match ahead.token_tree() {
            Some((TokenTree::Ident(word), _)) if word == "fn" => return Ok(()),
            Some((TokenTree::Ident(word), next))
                if ["const", "async", "unsafe", "safe", "extern", "default"].iter().any(|known| word == known) =>
            {
                ahead = next;
            }
            // The ABI of `extern "C" fn`.
            Some((TokenTree::Literal(_), next)) => ahead = next,
            _ => break,
        }
    }
    let (what, span) = match first {
        Some((TokenTree::Ident(word), _)) => (format!("`{word}`"), word.span()),
        Some((other, _)) => (format!("`{other}`"), other.span()),
        None => ("nothing".to_owned(), input.span()),
    };
    Err(Error::new(
        span,
        format!("`#[flipper::is_enabled(...)]` is for functions and methods, and this is {what}: move it to one"),
    ))
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attributes);
        self.visibility.to_tokens(tokens);
        self.signature.to_tokens(tokens);
        self.brace.surround(tokens, |tokens| {
            tokens.append_all(&self.inner_attributes);
            tokens.append_all(self.body.clone());
        });
    }
}
