use super::*;

pub(super) const EXPORT: &str = r#"{"version": 1, "features": {
  "search": {"boolean": null, "groups": ["admins"], "actors": ["User;1"], "percentage_of_actors": "10", "percentage_of_time": null},
  "plausible": {"boolean": "true", "groups": ["admins"], "actors": [], "percentage_of_actors": null, "percentage_of_time": null},
  "analytics": {"boolean": null, "groups": [], "actors": [], "percentage_of_actors": null, "percentage_of_time": null},
  "checkout": {"boolean": null, "groups": [], "actors": ["User;1", "User;100"], "percentage_of_actors": "25", "percentage_of_time": null},
  "chance": {"boolean": null, "groups": [], "actors": ["User;1"], "percentage_of_actors": null, "percentage_of_time": "15"},
  "both": {"boolean": null, "groups": [], "actors": [], "percentage_of_actors": "10", "percentage_of_time": "15"},
  "expression": {"boolean": null, "groups": [], "actors": [], "expression": {"Any": [
    {"Equal": [{"Property": ["plan"]}, "basic"]},
    {"All": [{"GreaterThanOrEqualTo": [{"Property": ["age"]}, 21]}, {"PercentageOfActors": [{"Property": ["flipper_id"]}, 40]}]}]}},
  "negative": {"boolean": null, "groups": [], "actors": [], "expression": {"All": [
    {"NotEqual": [{"Property": ["plan"]}, "basic"]}, {"LessThan": [5, {"Property": ["n"]}]}, {"Property": ["beta"]}]}},
  "timed": {"boolean": null, "groups": [], "actors": [], "expression": {"GreaterThan": [{"Now": []}, {"Time": ["2026-01-01T00:00:00Z"]}]}}
}}"#;

#[test]
fn an_export() {
    let read = json(Tool::FlipperRuby, EXPORT);
    for (name, expected) in [
        ("plausible", &[][..]),
        ("analytics", &["disabled"]),
        ("checkout", &[r#"if flipper_id in ["User;1", "User;100"]: on"#, "on for 25% by flipper_id"]),
        ("chance", &[r#"if flipper_id = "User;1": on"#, "at random: 15%"]),
        ("expression", &[r#"if plan = "basic": on"#, "if age >= 21: on for 40% by flipper_id", "off"]),
        ("negative", &[r#"if not plan = "basic" and n > 5 and beta exists and not beta = false: on"#, "off"]),
    ] {
        assert_eq!(read.shown(name), expected, "{name}");
    }
    assert_eq!(
        read.left_out(),
        [
            r#"search: group "admins": a group is code in Ruby; a condition of attributes can replace it"#,
            "both: its gradual rollouts: there are several, which choose callers independently of each other",
            "timed: expression GreaterThan: it does not compare a property with a value",
        ]
    );
}

#[test]
fn an_unknown_gate_leaves_the_feature_out() {
    let text = r#"{"version": 1, "features": {"F": {"boolean": "true", "blocked_actors": ["1"]}}}"#;
    assert_eq!(json(Tool::FlipperRuby, text).left_out(), ["F: blocked_actors: a field that is not known here"]);
}

#[test]
fn no_group_is_asked_where_a_percentage_is_100() {
    let text = r#"{"version": 1, "features": {
      "actors": {"groups": ["admins"], "actors": [], "percentage_of_actors": "100"},
      "time": {"groups": ["admins"], "actors": [], "percentage_of_actors": "10", "percentage_of_time": "100"},
      "most": {"groups": ["admins"], "actors": [], "percentage_of_actors": "99.9"}}}"#;
    let read = json(Tool::FlipperRuby, text);
    assert_eq!(read.shown("actors"), ["if flipper_id exists: on", "off"]);
    assert_eq!(read.shown("time"), [""; 0]);
    assert_eq!(read.left_out().len(), 1, "{:?}", read.left_out());
}

#[test]
fn a_number_is_the_actor_of_its_text() {
    let text = r#"{"version": 1, "features": {"F": {"actors": ["7", "07"]}, "one": {"boolean": "1"}}}"#;
    let read = json(Tool::FlipperRuby, text);
    assert_eq!(read.shown("F"), [r#"if flipper_id in ["7", 7, "07"]: on"#, "off"]);
    assert_eq!(read.shown("one"), [""; 0]);
}

#[test]
fn a_gate_of_another_type_leaves_the_feature_out() {
    let text = r##"{"version": 1, "features": {
      "set": {"actors": "#<Set: {\"User;1\"}>", "percentage_of_actors": "10"}, "number": {"actors": [7]}, "group": {"groups": "admins"}}}"##;
    assert_eq!(
        json(Tool::FlipperRuby, text).left_out(),
        [
            r##"set: actors: "#<Set: {\"User;1\"}>" is no list of texts"##,
            "number: actors: [7] is no list of texts",
            r#"group: groups: "admins" is no list of texts"#,
        ]
    );
}
