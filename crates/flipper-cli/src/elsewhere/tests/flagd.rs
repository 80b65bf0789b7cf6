use super::*;

pub(super) const DEFINITIONS: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "plain": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
    "off": {"state": "DISABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
    "checkout": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [
        {"$ref": "isStaff"}, "on",
        {"and": [{">=": [{"var": "age"}, 18]}, {"!": {"in": [{"var": "country"}, ["de", "fr"]]}}]},
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["on", 25], ["off", 75]]},
        null]}},
    "younger": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on",
      "targeting": {"if": [{"<": [{"var": "age"}, 18]}, "off"]}},
    "colour": {"state": "ENABLED", "variants": {"red": "f00", "blue": "00f", "grey": "888"}, "defaultVariant": "grey",
      "targeting": {"if": [{"sem_ver": [{"var": "version"}, "^", "2.1"]}, {"fractional": [["red", 50], ["blue", 50]]}]}},
    "boolean": {"state": "ENABLED", "variants": {"true": true, "false": false}, "defaultVariant": "false",
      "targeting": {"or": [{"==": [{"var": "tier"}, "3"]}, {"starts_with": [{"var": "host"}, "eu-"]}, {"var": "beta"}]}},
    "timed": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [{">": [{"var": "$flagd.timestamp"}, 1700000000]}, "on"]}},
    "computed": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"var": "which"}},
    "unknown": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": {"if": [true, "of"]}},
    "summed": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [{"some": [{"var": "list"}, true]}, "on"]}}
  },
  "$evaluators": {"isStaff": {"ends_with": [{"var": "email"}, "@corp.com"]}, "a": {"$ref": "a"}}
}"#;

#[test]
fn definitions() {
    let read = json(Tool::Flagd, DEFINITIONS);
    for (name, expected) in [
        ("plain", &[][..]),
        ("off", &["disabled"]),
        (
            "checkout",
            &[
                r#"if email ends with "@corp.com": on"#,
                r#"if age >= 18 and not country in ["de", "fr"]: on for 25% by email"#,
                "off",
            ],
        ),
        // There a missing attribute is 0.
        ("younger", &["if not age exists or age < 18: off", "on"]),
        (
            "colour",
            &[
                r#"if version >= semver "2.0.0-0" and version < semver "3.0.0-0" and targetingKey exists: on"#,
                "variant grey",
                "variants: red 50%, blue 50%, grey 0% by targetingKey",
            ],
        ),
        (
            "boolean",
            &[
                r#"if tier in ["3", 3] or host starts with "eu-" or (beta exists and not beta in [false, "", []]): on"#,
                "off",
            ],
        ),
    ] {
        assert_eq!(read.shown(name), expected, "{name}");
    }
    assert_eq!(
        read.left_out(),
        [
            "timed: attribute $flagd.timestamp: flagd fills it in by itself",
            r#"computed: its targeting: the variant is computed by "var""#,
            r#"unknown: its values: "of" is not one of them"#,
            r#"summed: operation "some": conditions here have nothing like it"#,
        ]
    );
}

#[test]
fn each_operation() {
    for (operation, expected) in [
        (r#"{"!=": [{"var": "a"}, "b"]}"#, r#"if not a = "b": on"#),
        (r#"{"===": [{"var": "a"}, 7]}"#, "if a = 7: on"),
        (r#"{"==": [{"var": "a"}, null]}"#, "if not a exists: on"),
        (r#"{"==": [{"var": ["a", "b"]}, "b"]}"#, r#"if not a exists or a = "b": on"#),
        (r#"{"<": [1, {"var": "a"}, 5]}"#, "if a > 1 and (not a exists or a < 5): on"),
        (r#"{"in": ["b", {"var": "a"}]}"#, r#"if a contains "b": on"#),
        (r#"{"in": [{"var": "a"}, "abc"]}"#, r#"if a in the text "abc": on"#),
        (r#"{"!!": {"var": "a"}}"#, r#"if a exists and not a in [false, "", []]: on"#),
        (r#"{"if": [{"var": "a"}, true, false]}"#, r#"if a exists and not a in [false, "", []]: on"#),
        (r#"{"sem_ver": [{"var": "a"}, "~", "v1.2"]}"#, r#"if a >= semver "1.2.0-0" and a < semver "1.3.0-0": on"#),
        (r#"{"sem_ver": [{"var": "a"}, "=>", "1.2.3"]}"#, r#"sem_ver: the operator "=>" is unknown"#),
        (r#"{"==": [{"var": "a"}, {"var": "b"}]}"#, "a comparison: it does not compare an attribute with a value"),
        (
            r#"{">": [{"+": [1, 2]}, {"var": "b"}]}"#,
            r#"its targeting: it compares with a computed value, {"+": [1, 2]}"#,
        ),
        (r#"{"$ref": "a"}"#, "its targeting: it nests deeper than 60"),
        (r#"{"$ref": "b"}"#, r#"$ref "b": there is no evaluator of this name"#),
    ] {
        let text = format!(
            r#"{{"flags": {{"F": {{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "off", "targeting": {{"if": [{operation}, "on"]}}}}}}, "$evaluators": {{"a": {{"$ref": "a"}}}}}}"#
        );
        let read = json(Tool::Flagd, &text);
        let shown = match read.left_out().first() {
            Some(left_out) => left_out.trim_start_matches("F: ").to_owned(),
            None => read.shown("F")[0].clone(),
        };
        assert_eq!(shown, expected, "{operation}");
    }
}

#[test]
fn no_reference_grows_without_end() {
    let flag = |targeting: &str| {
        format!(r#"{{"variants": {{"on": true, "off": false}}, "defaultVariant": "off", "targeting": {targeting}}}"#)
    };
    // Each names the one before twice.
    let mut evaluators = r#""e0": {"==": [{"var": "a"}, 1]}, "d0": "on""#.to_owned();
    for level in 1..40 {
        let before = level - 1;
        evaluators.push_str(&format!(
            r#", "e{level}": {{"or": [{{"$ref": "e{before}"}}, {{"$ref": "e{before}"}}]}},
               "d{level}": {{"if": [{{"var": "a"}}, {{"$ref": "d{before}"}}, {{"$ref": "d{before}"}}]}}"#
        ));
    }
    let text = format!(
        r#"{{"flags": {{"OR": {}, "IF": {}, "SMALL": {}}}, "$evaluators": {{{evaluators}}}}}"#,
        flag(r#"{"if": [{"$ref": "e39"}, "on"]}"#),
        flag(r#"{"$ref": "d39"}"#),
        flag(r#"{"if": [{"$ref": "e3"}, "on"]}"#)
    );
    let read = json(Tool::Flagd, &text);
    let long: Vec<_> = (0..100_000).collect();
    let list = format!(r#"{{"in": [{{"var": "a"}}, {long:?}]}}"#);
    let many = vec![r#"{"$ref": "list"}"#; 20].join(",");
    let lists = format!(
        r#"{{"flags": {{"F": {}}}, "$evaluators": {{"list": {list}}}}}"#,
        flag(&format!(r#"{{"if": [{{"or": [{many}]}}, "on"]}}"#))
    );
    assert!(json(Tool::Flagd, &lists).left_out()[0].starts_with("F: its targeting: it has more"));
    let why = "its targeting: it has more than 10000 parts if references are followed";
    assert_eq!(read.left_out(), [format!("OR: {why}"), format!("IF: {why}")]);
    assert_eq!(read.records.len(), 1);
}

#[test]
fn what_is_not_true_for_another_type_is_not_false_either() {
    for (operation, expected) in [
        (r#"{"!": {"<": [{"var": "a"}, 18]}}"#, "if a >= 18: on"),
        (r#"{"!": {">": [{"var": "a"}, 18]}}"#, "if not a exists or a <= 18: on"),
        (r#"{"!": {"<": [1, {"var": "a"}, 5]}}"#, "if not a exists or a <= 1 or a >= 5: on"),
        (
            r#"{"!": {"starts_with": [{"var": "a"}, "b"]}}"#,
            r#"if not a exists or (a >= "" and not a starts with "b"): on"#,
        ),
        (
            r#"{"!": {"or": [{"<": [{"var": "a"}, 1]}, {"var": "b"}]}}"#,
            "if a >= 1 and not (b exists and not b in [false, \"\", []]): on",
        ),
    ] {
        let text = format!(
            r#"{{"flags": {{"F": {{"variants": {{"on": true, "off": false}}, "defaultVariant": "off", "targeting": {{"if": [{operation}, "on"]}}}}}}}}"#
        );
        assert_eq!(json(Tool::Flagd, &text).shown("F")[0], expected, "{operation}");
    }
}

#[test]
fn without_the_key_of_a_share_the_default_is_served() {
    let shown = |default: &str, fractional: &str| {
        let text = format!(
            r#"{{"flags": {{"F": {{"variants": {{"on": true, "off": false}}, "defaultVariant": "{default}", "targeting": {{"fractional": {fractional}}}}}}}}}"#
        );
        json(Tool::Flagd, &text).shown("F")
    };
    assert_eq!(shown("off", r#"[["on", 100]]"#), ["if targetingKey exists: on", "off"]);
    assert_eq!(shown("on", r#"[{"var": "org"}, ["on", 10], ["off", 90]]"#), ["if org exists: on for 10% by org", "on"]);
    assert_eq!(shown("off", r#"[{"cat": [{"var": "org"}, "x"]}, ["on", 1]]"#), [] as [&str; 0]);
}

#[test]
fn an_unknown_field_of_a_flag_leaves_it_out() {
    let text =
        r#"{"flags": {"F": {"variants": {"on": true}, "defaultVariant": "on", "until": 5, "metadata": {"a": 1}}}}"#;
    assert_eq!(json(Tool::Flagd, text).left_out(), ["F: until: a field that is not known here"]);
}
