use super::*;

pub(super) const DATA: &str = r#"{
  "flags": {
    "checkout": {"key": "checkout", "on": true, "version": 3, "variations": [true, false], "offVariation": 1,
      "prerequisites": [{"key": "colours", "variation": 0}],
      "targets": [{"values": ["anna"], "variation": 0}],
      "contextTargets": [{"contextKind": "org", "values": ["acme"], "variation": 1}, {"contextKind": "user", "values": [], "variation": 0}],
      "rules": [
        {"id": "1", "variation": 0, "clauses": [
          {"attribute": "email", "op": "endsWith", "values": ["@corp.com"], "negate": false},
          {"attribute": "country", "op": "in", "values": ["de", "fr"], "negate": true}]},
        {"id": "2", "clauses": [{"attribute": "", "op": "segmentMatch", "values": ["beta"]}],
         "rollout": {"contextKind": "org", "variations": [{"variation": 0, "weight": 25000}, {"variation": 1, "weight": 75000}], "bucketBy": "/billing/id"}}],
      "fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 5000}, {"variation": 1, "weight": 95000}]}}},
    "colours": {"key": "colours", "on": true, "variations": ["red", "blue"], "offVariation": 1,
      "rules": [{"variation": 1, "clauses": [{"attribute": "version", "op": "semVerLessThan", "values": ["2"], "negate": true}]}],
      "fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 60000}, {"variation": 1, "weight": 40000}]}}},
    "off": {"key": "off", "on": false, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 0}},
    "on-when-off": {"key": "on-when-off", "on": false, "variations": [true, false], "offVariation": 0, "fallthrough": {"variation": 1}},
    "dates": {"key": "dates", "on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 1}, "rules": [
      {"variation": 0, "clauses": [{"attribute": "joined", "op": "before", "values": [1700000000000]}, {"contextKind": "org", "attribute": "size", "op": "lessThan", "values": [10], "negate": true}]}]},
    "two-splits": {"key": "two-splits", "on": true, "variations": [1, 2], "offVariation": 0,
      "rules": [{"clauses": [{"attribute": "a", "op": "in", "values": [1]}], "rollout": {"variations": [{"variation": 0, "weight": 50000}, {"variation": 1, "weight": 50000}]}}],
      "fallthrough": {"rollout": {"variations": [{"variation": 0, "weight": 100000}, {"variation": 1, "weight": 0}]}}},
    "big": {"key": "big", "on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 1},
      "rules": [{"variation": 0, "clauses": [{"attribute": "", "op": "segmentMatch", "values": ["big"], "negate": true}]}]},
    "kinds": {"key": "kinds", "on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 1},
      "rules": [{"variation": 0, "clauses": [{"attribute": "kind", "op": "in", "values": ["org"]}]}]}
  },
  "segments": {
    "beta": {"key": "beta", "included": ["anna"], "excluded": ["bert"], "includedContexts": [{"contextKind": "org", "values": ["acme"]}],
      "rules": [{"clauses": [{"attribute": "plan", "op": "matches", "values": ["^pro"]}]}]},
    "empty": {"key": "empty", "included": []},
    "big": {"key": "big", "unbounded": true}
  }
}"#;

#[test]
fn flag_data_of_an_sdk() {
    let read = json(Tool::Launchdarkly, DATA);
    for (name, expected) in [
        (
            "checkout",
            &[
                "needs colours = red",
                r#"if org.key = "acme": off"#,
                r#"if key = "anna": on"#,
                r#"if email ends with "@corp.com" and country >= "" and not country in ["de", "fr"]: on"#,
                "if in segment beta: on for 25% by org.billing.id",
                "on for 5% by key",
            ][..],
        ),
        (
            "segments/beta",
            &[r#"segment: org.key = "acme" or key = "anna" or (not key = "bert" and plan matches "^pro")"#],
        ),
        (
            "colours",
            &[
                r#"if version >= semver "2.0.0" and version exists: variant blue"#,
                "on",
                "variants: red 60%, blue 40% by key, blue when off",
            ],
        ),
        ("off", &["disabled"]),
        ("dates", &[r#"if joined < date "2023-11-14T22:13:20Z" and org.size >= 10 and org.size exists: on"#, "off"]),
    ] {
        assert_eq!(read.shown(name), expected, "{name}");
    }
    let empty = read.record("segments/empty");
    assert_eq!(FlagRecord::from_json(empty.to_json()).unwrap(), *empty);
    assert_eq!(
        read.left_out(),
        [
            "segments/big: the segment: its keys are not in the file, since it is a big segment",
            "on-when-off: its value when off: it is true: the flag is off there, and all callers get true",
            "two-splits: its weights: a flag has one set of them, and this has several",
            "big: it needs segment big: it cannot be imported, or they need each other in a circle",
            "kinds: a clause about the kind of the context: a context here has no kinds",
        ]
    );
}

#[test]
fn a_prerequisite_that_is_served_while_it_is_off() {
    let text = r#"{"flags": {
        "A": {"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 0}},
        "B": {"on": true, "variations": ["x", "y"], "offVariation": 0, "fallthrough": {"variation": 1}, "prerequisites": [{"key": "A", "variation": 0}]},
        "C": {"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 0}, "prerequisites": [{"key": "B", "variation": 0}]},
        "D": {"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 0}, "prerequisites": [{"key": "B", "variation": 1}]}
    }}"#;
    let read = json(Tool::Launchdarkly, text);
    assert_eq!(read.shown("D"), ["needs B = y"]);
    let why = "it must serve what it also serves while it is off, and a prerequisite must be on";
    assert_eq!(read.left_out(), [format!("C: its prerequisite B: {why}")]);
}

#[test]
fn a_file_for_the_file_data_source() {
    let read =
        json(Tool::Launchdarkly, r#"{"flagValues": {"on": true, "off": false, "colour": "red", "limits": {"a": 1}}}"#);
    assert_eq!(read.shown("on"), [] as [&str; 0]);
    assert_eq!(read.shown("off"), ["off"]);
    assert_eq!(read.shown("colour"), ["variants: red 100% by key"]);
    assert_eq!(read.record("limits").variants().unwrap().values[0].value.to_string(), r#"{"a": 1}"#);
    assert!(!read.elsewhere.chooses);
}

#[test]
fn a_malformed_flag_is_left_out() {
    let flag = |more: &str| {
        let text =
            format!(r#"{{"flags": {{"F": {{"on": true, "variations": [true, false], "offVariation": 1, {more}}}}}}}"#);
        json(Tool::Launchdarkly, &text).left_out()
    };
    for (more, expected) in [
        (r#""fallthrough": {"variation": 2}"#, "F: fallthrough: it names no variation of the flag"),
        (r#""fallthrough": {}"#, "F: fallthrough: it names no variation of the flag"),
        (r#""fallthrough": {"variation": 0}, "deleted": true"#, "F: the flag: it is deleted"),
        (
            r#""fallthrough": {"variation": 0}, "prerequisites": [{"key": "G", "variation": 0}]"#,
            "F: its prerequisite G: the file does not have that flag",
        ),
        (
            r#""fallthrough": {"variation": 0}, "rules": [{"variation": 0, "clauses": [{"attribute": "a", "op": "matches", "values": ["(?=b)"]}]}]"#,
            "F: clause matches: a regular expression cannot be read: look-around, including look-ahead and look-behind, is not supported",
        ),
    ] {
        assert_eq!(flag(more), [expected], "{more}");
    }
}

#[test]
fn a_negated_clause_needs_the_type_it_compares() {
    for (clause, expected) in [
        (r#""op": "in", "values": ["x", 1]"#, r#"if (a >= "" or a < 0 or a >= 0) and not a in ["x", 1]: on"#),
        (r#""op": "contains", "values": ["x"]"#, r#"if a exists and a >= "" and not a contains "x": on"#),
        (r#""op": "matches", "values": ["^\\d"]"#, r#"if a >= "" and not a matches "^[0-9]": on"#),
    ] {
        let text = format!(
            r#"{{"flags": {{"F": {{"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {{"variation": 1}},
                "rules": [{{"variation": 0, "clauses": [{{"attribute": "a", "negate": true, {clause}}}]}}]}}}}}}"#
        );
        assert_eq!(json(Tool::Launchdarkly, &text).shown("F")[0], expected, "{clause}");
    }
}

#[test]
fn an_unknown_field_of_a_flag_or_segment_leaves_it_out() {
    let text = r#"{"flags": {"F": {"on": true, "variations": [true], "fallthrough": {"variation": 0}, "until": 1}},
        "segments": {"s": {"included": ["a"], "unless": ["b"]}}}"#;
    let read = json(Tool::Launchdarkly, text);
    assert_eq!(
        read.left_out(),
        ["segments/s: unless: a field that is not known here", "F: until: a field that is not known here"]
    );
    assert_eq!(read.elsewhere.lines().last().unwrap(), "1 flag and 1 segment of the file were not imported as there");
}

#[test]
fn outside_of_a_segment_is_said_only_of_keys() {
    let text = r#"{"flags": {
        "OUTSIDE": {"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 1}, "rules": [
          {"variation": 0, "clauses": [{"attribute": "", "op": "segmentMatch", "values": ["keys", "both"], "negate": true}]}]},
        "LIST": {"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {"variation": 1}, "rules": [
          {"variation": 0, "clauses": [{"attribute": "", "op": "segmentMatch", "values": ["groups"], "negate": true}]}]}},
      "segments": {
        "keys": {"included": ["anna"], "excluded": ["bert"]},
        "both": {"rules": [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["keys"]}]}]},
        "groups": {"rules": [{"clauses": [{"attribute": "groups", "op": "in", "values": ["staff"]}]}]},
        "within": {"rules": [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["groups"], "negate": true}]}]}}}"#;
    let read = json(Tool::Launchdarkly, text);
    assert_eq!(read.shown("OUTSIDE"), ["if not (in segment keys or in segment both): on", "off"]);
    let why = "it is negated, and the segment's conditions hold for fewer callers here, such as none with a list";
    assert_eq!(
        read.left_out(),
        ["segments/within", "LIST"].map(|name| format!("{name}: clause segmentMatch \"groups\": {why}"))
    );
}

/// Each level of segments names both of the next.
#[test]
fn segments_that_many_others_name_are_read_once() {
    let named = |level: usize| match level {
        40 => r#"{"included": ["anna"]}"#.to_owned(),
        _ => {
            let next = level + 1;
            format!(
                r#"{{"rules": [{{"clauses": [{{"attribute": "", "op": "segmentMatch", "values": ["a{next}", "b{next}"]}}]}}]}}"#
            )
        }
    };
    let segments: Vec<_> =
        (0..=40).flat_map(|level| ["a", "b"].map(|name| format!("\"{name}{level}\": {}", named(level)))).collect();
    let text = format!(
        r#"{{"flags": {{"OUTSIDE": {{"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {{"variation": 1}}, "rules": [
          {{"variation": 0, "clauses": [{{"attribute": "", "op": "segmentMatch", "values": ["a0"], "negate": true}}]}}]}}}},
          "segments": {{{}}}}}"#,
        segments.join(", ")
    );
    // Deeper than a check follows.
    let left_out = json(Tool::Launchdarkly, &text).left_out();
    assert!(left_out.iter().any(|line| line.starts_with("OUTSIDE: it needs segment a0: ")), "{left_out:?}");
}
