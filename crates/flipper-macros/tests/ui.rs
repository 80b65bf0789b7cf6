//! What compiles, and what the compiler says to those who write what does not.
//!
//! The messages are those of the newest stable compiler. `TRYBUILD=overwrite cargo test -p flipper-macros --test ui` writes them
//! anew; read the difference before it is committed: each message must say what to do.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
