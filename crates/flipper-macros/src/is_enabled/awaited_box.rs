//! What `#[async_trait]` makes of an `async fn`, which it does before this attribute is expanded: a function whose body is
//! `Box::pin(async move { … })`. The flag is then asked inside, as in any `async fn`.

use proc_macro2::TokenStream;
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{Expr, ExprAsync, ExprCall, Stmt};

use super::function::Function;

pub(super) struct AwaitedBox {
    before: Vec<Stmt>,
    /// `Box::pin()`, without its argument.
    call: ExprCall,
    block: ExprAsync,
}

/// The box, if the function is one that `#[async_trait]` has made: no other has a lifetime of that name.
pub(super) fn find(function: &Function) -> Option<AwaitedBox> {
    if !function.signature.generics.lifetimes().any(|lifetime| lifetime.lifetime.ident == "async_trait") {
        return None;
    }
    let body = &function.body;
    let mut before = syn::parse2::<syn::Block>(quote!({ #body })).ok()?.stmts;
    let Some(Stmt::Expr(Expr::Call(mut call), None)) = before.pop() else { return None };
    let Some(Expr::Async(block)) = call.args.pop() else { return None };
    Some(AwaitedBox { before, call, block })
}

impl AwaitedBox {
    pub(super) fn statements(&self) -> &[Stmt] {
        &self.block.block.stmts
    }

    /// The tokens of the function with another body in the box.
    pub(super) fn with_body(mut self, body: TokenStream) -> TokenStream {
        self.block.block.stmts = vec![Stmt::Expr(Expr::Verbatim(body), None)];
        self.call.args.push(Expr::Async(self.block));
        let mut tokens = TokenStream::new();
        tokens.append_all(self.before);
        self.call.to_tokens(&mut tokens);
        tokens
    }
}
