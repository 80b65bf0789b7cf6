//! The files of `docs/` as pages. Not part of the API.

/// A page. Its examples are tests if the condition holds. Of two definitions of a link the first counts: these lead to pages.
macro_rules! page {
    ($name:ident: $file:literal if $($condition:tt)+) => {
        #[doc = "[architecture]: crate::_guide::architecture"]
        #[doc = "[benchmarks]: crate::_guide::benchmarks"]
        #[doc = "[benchmarks-redis]: crate::_guide::benchmarks_redis"]
        #[doc = "[cli]: crate::_guide::cli"]
        #[doc = "[coming-from]: crate::_guide::coming_from"]
        #[doc = "[evaluation]: crate::_guide::evaluation"]
        #[doc = "[http-api]: crate::_guide::http_api"]
        #[doc = "[in-application]: crate::_guide::in_application"]
        #[doc = "[ofrep]: crate::_guide::ofrep"]
        #[doc = "[page]: crate::_guide::page"]
        #[doc = "[reliability]: crate::_guide::reliability"]
        #[doc = "[rules]: crate::_guide::rules"]
        #[doc = "[scale]: crate::_guide::scale"]
        #[doc = "[serve]: crate::_guide::serve"]
        #[doc = "[stores]: crate::_guide::stores"]
        #[doc = "[thrift]: crate::_guide::thrift"]
        #[doc = ""]
        #[cfg_attr($($condition)+, doc = include_str!(concat!("../docs/", $file)))]
        pub mod $name {}
    };
}

page!(custom_store: "custom-store.md" if any(not(doctest), feature = "conformance"));
page!(evaluation: "evaluation.md" if all());
page!(rules: "rules.md" if any(not(doctest), feature = "macros"));
page!(stores: "stores.md" if all());
page!(using_flags: "using-flags.md" if any(not(doctest), feature = "macros"));

// Other crates test their examples.
page!(cli: "cli.md" if not(doctest));
page!(http_api: "http-api.md" if not(doctest));
page!(in_application: "in-application.md" if not(doctest));
page!(ofrep: "ofrep.md" if not(doctest));
page!(page: "page.md" if not(doctest));
page!(reliability: "reliability.md" if not(doctest));
page!(scale: "scale.md" if not(doctest));
page!(serve: "serve.md" if not(doctest));
page!(thrift: "thrift.md" if not(doctest));

// Without examples.
page!(architecture: "architecture.md" if not(doctest));
page!(coming_from: "coming-from.md" if not(doctest));
page!(benchmarks: "benchmarks.md" if not(doctest));
page!(benchmarks_consul: "benchmarks-consul.md" if not(doctest));
page!(benchmarks_evaluation: "benchmarks-evaluation.md" if not(doctest));
page!(benchmarks_http: "benchmarks-http.md" if not(doctest));
page!(benchmarks_postgres: "benchmarks-postgres.md" if not(doctest));
page!(benchmarks_redis: "benchmarks-redis.md" if not(doctest));
page!(benchmarks_s3: "benchmarks-s3.md" if not(doctest));

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
