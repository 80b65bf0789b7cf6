use super::*;

mod random;

pub(super) const YAML: &str = r#"
checkout:
  variations: {enabled: true, disabled: false}
  bucketingKey: companyId
  targeting:
    - name: staff
      query: email ew "@corp.com" and not (country in ["de", "fr"])
      variation: enabled
    - name: pro
      query: (plan eq "Pro" or plan ne "free") and age >= 18
      percentage: {enabled: 25, disabled: 75}
    - query: plan eq "old"
      variation: enabled
      disable: true
  defaultRule: {variation: disabled}
  metadata: {description: the new checkout}
colour:
  variations: {red: f00, blue: 00f}
  defaultRule: {percentage: {red: 60, blue: 40}}
growing:
  variations: {"yes": true, "no": false}
  defaultRule:
    progressiveRollout:
      initial: {variation: "no", percentage: 0, date: 2030-01-01T00:00:00Z}
      end: {variation: "yes", percentage: 100, date: 2030-01-11T00:00:00Z}
jumping:
  variations: {"yes": true, "no": false}
  defaultRule:
    progressiveRollout:
      initial: {variation: "no", percentage: 20, date: 2030-01-01T00:00:00Z}
      end: {variation: "yes", percentage: 80, date: 2030-01-11T00:00:00Z}
experiment:
  variations: {"yes": true, "no": false}
  defaultRule: {percentage: {"yes": 50, "no": 50}}
  experimentation: {start: 2030-01-01T00:00:00Z, end: 2030-02-01T00:00:00+01:00}
off:
  disable: true
  variations: {"yes": true, "no": false}
  defaultRule: {variation: "yes"}
scheduled:
  variations: {"yes": true, "no": false}
  defaultRule: {variation: "no"}
  scheduledRollout: [{date: 2030-01-01T00:00:00Z, defaultRule: {variation: "yes"}}]
"#;

#[test]
fn a_file_of_yaml() {
    let read = read_as(Tool::Goff, YAML, Format::Yaml, None);
    for (name, expected) in [
        (
            "checkout",
            &[
                "if not companyId > \"\": off",
                r#"staff: if email ends with ignoring case "@corp.com" and not country in ["de", "fr"]: on"#,
                r#"pro: if (plan matches "^(?i-u)Pro$" or (plan >= "" and not plan matches "^(?i-u)free$")) and age >= 18: on for 25% by companyId"#,
                "off",
            ][..],
        ),
        ("colour", &["if not targetingKey > \"\": off", "on", "variants: red 60%, blue 40% by targetingKey"]),
        ("growing", &["if not targetingKey > \"\": off", "on for 0% to 100% by targetingKey"]),
        (
            "experiment",
            &[
                "schedule: on from 2030-01-01T00:00:00Z, off from 2030-01-31T23:00:00Z",
                "if not targetingKey > \"\": off",
                "on for 50% by targetingKey",
            ],
        ),
        ("off", &["disabled"]),
    ] {
        let shown = read.shown(name);
        let shown: Vec<_> =
            shown.iter().map(|line| line.split(" from 2030-01-01T00:00:00Z over").next().unwrap_or(line)).collect();
        assert_eq!(shown, expected, "{name}");
    }
    assert_eq!(read.record("checkout").client_data()["description"].as_str(), Some("the new checkout"));
    assert_eq!(
        read.left_out(),
        [
            "jumping: progressiveRollout: only one from 0 to 100 percent can be said, since these jump at their start and end",
            "scheduled: scheduledRollout: its steps replace parts of the flag at their times",
        ]
    );
}

#[test]
fn json_and_toml_are_the_same() {
    let json = r#"{"F": {"variations": {"a": true, "b": false}, "defaultRule": {"variation": "b"}, "targeting": [{"query": "key eq \"7\"", "variation": "a"}],
        "experimentation": {"end": "2030-01-01T00:00:00Z"}}}"#;
    let toml = "[F.variations]\na = true\nb = false\n[F.defaultRule]\nvariation = 'b'\n[[F.targeting]]\nquery = 'key eq \"7\"'\nvariation = 'a'\n\
        [F.experimentation]\nend = 2030-01-01T00:00:00Z\n";
    for (text, format) in [(json, Format::Json), (toml, Format::Toml)] {
        let read = read_as(Tool::Goff, text, format, None);
        let expected = ["schedule: off from 2030-01-01T00:00:00Z", r#"if targetingKey = "7": on"#, "off"];
        assert_eq!(read.shown("F"), expected, "{format:?}");
    }
}

#[test]
fn each_operator() {
    let shown = |query: &str| match super::super::query::parse(query) {
        Ok(super::super::cond::Cond::When(when)) => when.to_string(),
        Ok(constant) => format!("{constant:?}"),
        Err(why) => format!("error: {why}"),
    };
    for (query, expected) in [
        (r#"a eq "1.2""#, r#"a = "1.2""#),
        // An attribute is cut to an integer, towards 0.
        ("a == 1", "a >= 1 and a < 2"),
        ("a ne 0", "a <= -1 or a >= 1"),
        ("a gt 1", "a >= 2"),
        ("a gt -1", "a > -1"),
        ("a le 1", "a < 2"),
        ("a le -1", "a <= -1"),
        ("a le 1.0", "a <= 1"),
        ("a NE 1.5", "a < 1.5 or a > 1.5"),
        ("a eq true", "a = true"),
        ("a ne true", "a = false"),
        ("a eq null", "not a exists"),
        ("a.b pr", "a.b exists"),
        ("a lt 2.1.0", r#"a < semver "2.1.0""#),
        ("a in [1,2, 3]", "a in [1, 2, 3]"),
        (r#"a co "B""#, r#"a contains ignoring case "B""#),
        (r#"a eq "né""#, r#"a matches "^[nN][éÉ]$""#),
        (r#"a eq "ς""#, r#"a matches "^ς$""#),
        (r#"a eq "ß.""#, r#"a matches "^ß\\.$""#),
        (r#"a eq "<b>""#, r#"a matches "^(?i-u)<b>$""#),
        (r#"a eq "x.y""#, r#"a matches "^(?i-u)x\\.y$""#),
        // From the left, without precedence.
        ("a eq 1.0 or b eq 2.0 and c eq 3.0", "(a = 1 or b = 2) and c = 3"),
        ("not (a eq 1.0)", "not a = 1"),
        (r#"a gt "b""#, "error: texts are not compared by size here without regard to case"),
        ("not a eq 1", "error: `not` needs brackets"),
        ("(a eq 1", "error: a bracket is not closed"),
        ("a eq b", r#"error: "b" is no value; a text needs quotes"#),
        ("a pr OR b pr", r#"error: GO Feature Flag ignores "OR", and all after it: it reads lower case after a space"#),
        ("a is 1", r#"error: the operator "is" is unknown"#),
        (r#"a eq "b"#, "error: a text is not closed"),
        ("a eq", r#"error: "eq" is followed by no value"#),
        ("", "error: an attribute is expected, not None"),
        // It is an empty text where it is missing.
        ("key pr", "Always"),
        ("key eq null", "Never"),
        (r#"key in ["", "b"]"#, r#"not targetingKey exists or targetingKey in ["", "b"]"#),
    ] {
        assert_eq!(shown(query), expected, "{query}");
    }
    let deep = format!("{}a eq 1{}", "(".repeat(40), ")".repeat(40));
    assert_eq!(shown(&deep), "error: brackets nest deeper than 30");
}

/// It skips what it cannot read: another part of the query, or all the rest of it.
#[test]
fn what_it_does_not_read_is_refused() {
    for query in [
        "a pr AND b pr",
        "a pr and  b pr",
        "a  pr",
        "a pr\nand b pr",
        "(a pr)and b pr",
        "Not (a pr)",
        "a PR",
        "a Eq 1",
        "a eq 01",
        "a eq +1",
        "a eq 1e3",
        "a eq TRUE",
        "a gt 1700000000000",
        "a lt 1700000000000.0",
        "a in [3000000000]",
        "a in [3000000000.0]",
        "a in []",
        "a in [-1]",
        "a in [true]",
        "a in [1, 2.5]",
        r#"a in [1, "a"]"#,
        r#"a in [ "a"]"#,
        r#"a in ["a" ,"b"]"#,
        r#"a in ["\u0061"]"#,
        "_a pr",
        "in pr",
        "a.0 pr",
        "é pr",
    ] {
        let parsed = super::super::query::parse(query);
        assert!(parsed.is_err(), "{query}: {parsed:?}");
    }
}

#[test]
fn json_logic_has_no_operations_of_flagd() {
    for (query, expected) in [
        (r#"{"!": [{"starts_with": [{"var": "a"}, "b"]}]}"#, "conditions here have nothing like it"),
        (r#"{"sem_ver": [{"var": "a"}, ">", "1.0.0"]}"#, "conditions here have nothing like it"),
        (r#"{"in": [{"var": "a"}, "abc"]}"#, "it does not search an attribute"),
        (r#"{"in": [{"var": "a"}, ["b", 1]]}"#, "it does not search an attribute"),
        (r#"{">": [{"var": "a"}, 1700000000000]}"#, "more than 32 bits"),
        (r#"{"in": [{"var": "a"}, [1, 3000000000]]}"#, "more than 32 bits"),
        (r#"{"!=": [{"var": "key"}, "b"]}"#, r#"if not targetingKey = "b": on"#),
        (r#"{"<=": [{"var": "a"}, 0]}"#, "if a <= 0: on"),
        (r#"{"<=": [{"var": "a"}, 1]}"#, "if not a exists or a <= 1: on"),
        (r#"{"==": [{"var": "key"}, ""]}"#, r#"if not targetingKey exists or targetingKey = "": on"#),
    ] {
        assert!(shown(query).contains(expected), "{query}: {}", shown(query));
    }
}

/// There a comparison with another type is false, and `not` of it true: github.com/nikunjy/rules, `parser/jsonquery_visitor_impl.go`.
#[test]
fn what_cannot_be_compared_holds_under_not() {
    let read =
        flag(r#""targeting": [{"query": "not (a lt 18)", "variation": "yes"}], "defaultRule": {"variation": "no"}"#);
    let store = flipper::MemoryFeatureFlagStore::new();
    let features = flipper::FeatureFlagClient::new(store);
    let put = features.put(read.record("F"), flipper::store::Precondition::Any);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(put).unwrap();
    for (a, expected) in [(Json::from(17), false), (Json::from(18), true), (Json::from("17"), true), (Json::Null, true)]
    {
        let caller = flipper::Context::from([("a", a.clone())].into_iter().collect::<Object>());
        assert_eq!(features.is_enabled_with("F", &caller), expected, "{a}");
    }
}

/// The first rule of a flag with this query, or why it has none.
fn shown(query: &str) -> String {
    let query = Json::from(query);
    let read = flag(&format!(
        r#""targeting": [{{"query": {query}, "variation": "yes"}}], "defaultRule": {{"variation": "no"}}"#
    ));
    read.left_out().first().cloned().unwrap_or_else(|| read.shown("F").first().cloned().unwrap_or_default())
}

fn flag(more: &str) -> Read {
    let text = format!(r#"{{"F": {{"variations": {{"yes": true, "no": false}}, {more}}}}}"#);
    json(Tool::Goff, &text)
}

#[test]
fn the_end_of_a_rollout_is_not_always_all() {
    let ended = |initial: u8, end: u8, date: &str| {
        flag(&format!(
            r#""defaultRule": {{"progressiveRollout": {{"initial": {{"variation": "no", "percentage": {initial}, "date": "2020-01-01T00:00:00Z"}},
                "end": {{"variation": "yes", "percentage": {end}, "date": "{date}"}}}}}}"#
        ))
    };
    assert_eq!(ended(20, 100, "2020-02-01T00:00:00Z").shown("F"), [r#"if not targetingKey > "": off"#, "on"]);
    for (end, date) in [(20, "2020-02-01T00:00:00Z"), (100, "2019-01-01T00:00:00Z")] {
        assert_eq!(ended(0, end, date).left_out().len(), 1, "{end} {date}");
    }
}

#[test]
fn an_unknown_field_of_a_flag_leaves_it_out() {
    let read = flag(r#""defaultRule": {"variation": "yes"}, "needs": ["G"], "version": "2", "trackEvents": true"#);
    assert_eq!(read.left_out(), ["F: needs: a field that is not known here"]);
}

#[test]
fn without_the_key_nothing_is_served_if_a_share_needs_it() {
    let whole = r#""bucketingKey": "org", "targeting": [{"query": "a eq 1", "variation": "yes"}], "defaultRule": {"percentage": {"yes": 100}}"#;
    assert_eq!(flag(whole).shown("F"), ["if not org > \"\": off", "if a >= 1 and a < 2: on", "on"]);
    let disabled = r#""targeting": [{"percentage": {"yes": 5}, "disable": true}], "defaultRule": {"variation": "yes"}"#;
    assert_eq!(flag(disabled).shown("F"), ["if not targetingKey > \"\": off", "on"]);
    // A key of its own must be there always, and may be empty if no rule needs it.
    let without = r#""bucketingKey": "org", "defaultRule": {"variation": "yes"}"#;
    assert_eq!(flag(without).shown("F"), ["if not org >= \"\": off", "on"]);
}

#[test]
fn anonymous_is_false_unless_it_is_given() {
    for (query, expected) in [
        ("anonymous eq true", "if anonymous = true: on"),
        ("anonymous ne true", "if not anonymous exists or anonymous = false: on"),
        ("not (anonymous pr)", "off"),
    ] {
        assert_eq!(shown(query), expected, "{query}");
    }
    assert!(shown("anonymous eq null").contains("something other than a boolean"));
    assert!(shown(r#"{"!": {"var": "anonymous"}}"#).contains("fills in by itself"));
}

#[test]
fn no_query_grows_without_end() {
    let mut query = r#"{"==": [{"var": "a"}, 1]}"#.to_owned();
    for _ in 0..40 {
        query = format!(r#"{{"if": [{query}, true, false]}}"#);
    }
    let query = Json::from(query);
    let read = flag(&format!(
        r#""targeting": [{{"query": {query}, "variation": "yes"}}], "defaultRule": {{"variation": "no"}}"#
    ));
    assert_eq!(read.left_out(), ["F: its targeting: it has more than 10000 parts if references are followed"]);
}
