//! The macros' rules for names are those of the library.

#[path = "../../flipper-macros/src/name_rules.rs"]
mod name_rules;

/// At run time it panics, where the compiler would report an error.
fn is_constant_name(name: &'static str) -> bool {
    std::panic::catch_unwind(|| flipper::__private::flag_name(name)).is_ok()
}

#[test]
fn rules_are_those_of_the_library() {
    let mut names = vec![String::new(), "a".repeat(255), "a".repeat(256), "é".repeat(127), "é".repeat(128)];
    names.extend((0..=0x2100).filter_map(char::from_u32).map(|c| format!("a{c}b")));
    names.extend((0..=0x2100).filter_map(char::from_u32).map(String::from));
    for name in names {
        let allowed = flipper::store::validate_new_name(&name).is_ok();
        assert_eq!(name_rules::check(&name).is_ok(), allowed, "{name:?}");
        assert_eq!(is_constant_name(name.clone().leak()), allowed, "{name:?}");
    }
}
