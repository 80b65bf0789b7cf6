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
