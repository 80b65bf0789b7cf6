//! `#[async_trait]` runs first and turns the body into `Box::pin(async move { … })`. The flag is checked inside, as in any `async fn`.

use proc_macro2::TokenStream;
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{Expr, ExprAsync, ExprCall, Stmt};

use super::function::Function;

pub(super) struct AwaitedBox {
    before: Vec<Stmt>,
    call: ExprCall,
    block: ExprAsync,
}

/// Only `#[async_trait]` creates a lifetime of that name.
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

    pub(super) fn with_body(mut self, body: TokenStream) -> TokenStream {
        self.block.block.stmts = vec![Stmt::Expr(Expr::Verbatim(body), None)];
        self.call.args.push(Expr::Async(self.block));
        let mut tokens = TokenStream::new();
        tokens.append_all(self.before);
        self.call.to_tokens(&mut tokens);
        tokens
    }
}
