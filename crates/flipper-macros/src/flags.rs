mod parse;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use self::parse::{Flag, Flags};

pub(crate) fn expand(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter();
    // `flipper::flags!` passes its crate's path first.
    let flipper = match tokens.next() {
        Some(TokenTree::Group(path)) => path.stream(),
        _ => quote!(::flipper),
    };
    match syn::parse2::<Flags>(tokens.collect()) {
        Ok(flags) => generate(&flags, &flipper),
        Err(error) => error.into_compile_error(),
    }
}

fn generate(flags: &Flags, flipper: &TokenStream) -> TokenStream {
    let Flags { attributes, visibility, name, flags } = flags;
    let derives = (!flags_derive(attributes)).then(|| quote!(#[derive(Clone, Debug)]));
    let fields = flags.iter().map(|flag| field(flag, visibility, flipper));
    let names = flags.iter().map(|flag| {
        let (cfg, name) = (flag.cfg(), flag.name.expression(flipper));
        quote!(#(#cfg)* #name)
    });
    let handles = flags.iter().map(|flag| {
        let Flag { field, default, variants, .. } = flag;
        let (cfg, name) = (flag.cfg(), flag.name.expression(flipper));
        match variants {
            Some(of) => quote!(#(#cfg)* #field: #flipper::__private::variant_flag::<_, #of>(features, #name, #default)),
            None => quote!(#(#cfg)* #field: #flipper::__private::flag(features, #name, #default)),
        }
    });
    let defaults = flags.iter().map(|flag| {
        let (cfg, name) = (flag.cfg(), flag.name.expression(flipper));
        // A new flag has no variants yet, and is off.
        let default = if flag.variants.is_some() { quote!(false) } else { flag.default.to_token_stream() };
        quote!(#(#cfg)* (#name, #default))
    });
    let later = defaults.clone();
    quote! {
        #(#attributes)*
        #derives
        #visibility struct #name { #(#fields,)* }

        impl #name {
            /// The names of all flags, in the order of their fields.
            #[allow(dead_code)]
            #visibility const NAMES: &'static [&'static str] = &[#(#names,)*];

            /// The handles of all flags. Creates no flag; a missing one has its default.
            #[allow(dead_code)]
            #[must_use]
            #visibility fn new<M: #flipper::client::Checks>(features: &#flipper::FeatureFlagClient<M>) -> Self {
                Self { #(#handles,)* }
            }

            /// Creates missing flags, each on or off by its default; existing ones stay as they are.
            ///
            /// # Errors
            ///
            /// Those of [`create`](#flipper::FeatureFlagClient::create), except for an existing flag. The flags before the failed one have
            /// been created, and a new call continues.
            #[allow(dead_code)]
            #visibility async fn register<M: #flipper::client::Checks>(
                features: &#flipper::FeatureFlagClient<M>,
            ) -> #flipper::Result<Self> {
                #flipper::__private::register(features, &[#(#defaults,)*]).await?;
                ::core::result::Result::Ok(Self::new(features))
            }

            /// Like `register`, without waiting: missing flags are created once the store can be reached, however long that takes.
            /// Until then their defaults apply. Errors are logged.
            #[allow(dead_code)]
            #[must_use]
            #visibility fn register_in_background<M: #flipper::client::Checks>(features: &#flipper::FeatureFlagClient<M>) -> Self {
                #flipper::__private::register_in_background(features, &[#(#later,)*]);
                Self::new(features)
            }
        }

        const _: () = #flipper::__private::assert_distinct(#name::NAMES);
    }
}

fn flags_derive(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("derive"))
}

fn field(flag: &Flag, of_struct: &syn::Visibility, flipper: &TokenStream) -> TokenStream {
    let Flag { attributes, field, variants, .. } = flag;
    let handle = match variants {
        Some(of) => quote!(#flipper::client::VariantFlag<#of>),
        None => quote!(#flipper::FeatureFlag),
    };
    let visibility = flag.visibility.as_ref().unwrap_or(of_struct);
    let doc = flag.doc();
    quote! {
        #(#attributes)*
        #doc
        #visibility #field: #handle
    }
}
