use super::*;

pub(super) const CLIENT: &str = r#"{
  "version": 2,
  "features": [
    {"name": "checkout", "description": "the new checkout", "enabled": true, "strategies": [
      {"name": "flexibleRollout", "parameters": {"rollout": "25", "stickiness": "userId", "groupId": "checkout"},
       "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro", "7"]}], "segments": [1]}]},
    {"name": "default-stickiness", "enabled": true, "strategies": [
      {"name": "flexibleRollout", "parameters": {"rollout": "50", "stickiness": "default", "groupId": "g"}}]},
    {"name": "two-shares", "enabled": true, "strategies": [
      {"name": "flexibleRollout", "parameters": {"rollout": "10", "stickiness": "userId", "groupId": "g"}},
      {"name": "flexibleRollout", "parameters": {"rollout": "60", "stickiness": "userId", "groupId": "g"},
       "constraints": [{"contextName": "region", "operator": "NOT_IN", "values": ["eu"]}]},
      {"name": "userWithId", "parameters": {"userIds": "anna, bert"}}]},
    {"name": "other-groups", "enabled": true, "strategies": [
      {"name": "flexibleRollout", "parameters": {"rollout": "10", "stickiness": "userId", "groupId": "a"}},
      {"name": "flexibleRollout", "parameters": {"rollout": "60", "stickiness": "userId", "groupId": "b"}}]},
    {"name": "random", "enabled": true, "strategies": [
      {"name": "remoteAddress", "parameters": {"IPs": "10.0.0.0/8, nowhere, 1.2.3.4"}},
      {"name": "gradualRolloutRandom", "parameters": {"percentage": "5"},
       "constraints": [{"contextName": "age", "operator": "NUM_GTE", "value": "18", "inverted": true}]}]},
    {"name": "all-sessions", "enabled": true, "strategies": [
      {"name": "gradualRolloutSessionId", "parameters": {"percentage": "100", "groupId": "g"}}]},
    {"name": "off", "enabled": false, "strategies": [{"name": "default"}]},
    {"name": "disabled-strategy", "enabled": true, "strategies": [{"name": "default", "disabled": true}]},
    {"name": "machine", "enabled": true, "strategies": [
      {"name": "applicationHostname", "parameters": {"hostNames": "a"}}]},
    {"name": "own", "enabled": true, "strategies": [{"name": "TenantStrategy", "parameters": {}}]},
    {"name": "child", "enabled": true, "strategies": [{"name": "default"}],
     "dependencies": [{"feature": "colours", "variants": ["red"]}, {"feature": "checkout"}]},
    {"name": "opposite", "enabled": true, "strategies": [{"name": "default"}],
     "dependencies": [{"feature": "off", "enabled": false}]},
    {"name": "colours", "enabled": true, "strategies": [{"name": "default"}], "variants": [
      {"name": "red", "weight": 500, "stickiness": "userId", "payload": {"type": "string", "value": "f00"},
       "overrides": [{"contextName": "userId", "values": ["anna"]}]},
      {"name": "blue", "weight": 250, "stickiness": "userId", "payload": {"type": "string", "value": "00f"}},
      {"name": "green", "weight": 250, "stickiness": "userId", "payload": {"type": "string", "value": "0f0"}}]},
    {"name": "strategy-variants", "enabled": true, "strategies": [
      {"name": "default", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro"]}],
       "variants": [{"name": "a", "weight": 1, "payload": {"type": "number", "value": "1"}}]},
      {"name": "flexibleRollout", "parameters": {"rollout": "30", "stickiness": "userId"},
       "variants": [{"name": "b", "weight": 2, "payload": {"type": "number", "value": "2"}},
                    {"name": "c", "weight": 1, "payload": {"type": "number", "value": "3"}}]}]},
    {"name": "a/b", "enabled": true, "strategies": []}
  ],
  "segments": [
    {"id": 1, "name": "staff", "constraints": [
      {"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@corp.com"], "caseInsensitive": true},
      {"contextName": "version", "operator": "SEMVER_LT", "value": "2.0.0", "inverted": true}]}
  ]
}"#;

#[test]
fn what_the_client_api_serves() {
    let read = json(Tool::Unleash, CLIENT);
    for (name, expected) in [
        ("checkout", &[r#"if plan in ["pro", "7", 7] and in segment staff: on for 25% by userId"#, "off"][..]),
        (
            "segments/staff",
            &[
                r#"segment: email ends with ignoring case "@corp.com" and (not version exists or version >= semver "2.0.0")"#,
            ],
        ),
        ("default-stickiness", &["if userId exists: on for 50% by userId", "on for 50% by sessionId"]),
        (
            "two-shares",
            &[
                r#"if userId in ["anna", "bert"]: on"#,
                r#"if not region = "eu": on for 60% by userId"#,
                "on for 10% by userId",
            ],
        ),
        (
            "random",
            &[
                r#"if remoteAddress in network ["10.0.0.0/8", "1.2.3.4"]: on"#,
                "if not (not age exists or age < 18): off",
                "at random: 5%",
            ],
        ),
        ("all-sessions", &["if sessionId exists: on", "off"]),
        ("off", &["disabled"]),
        ("disabled-strategy", &["off"]),
        ("child", &["needs colours = red", "needs checkout"]),
        ("colours", &[r#"if userId = "anna": variant red"#, "on", "variants: red 50%, blue 25%, green 25% by userId"]),
        (
            "strategy-variants",
            &[
                r#"if plan = "pro": variant a"#,
                "on for 30% by userId",
                "variants: b 66.667%, c 33.333%, a 0% by userId",
            ],
        ),
    ] {
        assert_eq!(read.shown(name), expected, "{name}");
    }
    assert_eq!(read.record("checkout").client_data()["description"].as_str(), Some("the new checkout"));
    assert_eq!(
        read.left_out(),
        [
            "other-groups: its gradual rollouts: there are several, which choose callers independently of each other",
            "machine: strategy applicationHostname: it is about the machine of the program, which is no attribute",
            "own: strategy TenantStrategy: it is a strategy of its own, whose code decides",
            "opposite: its dependency on off: the other flag must be off, and a prerequisite must be on",
            "a/b: its name: a name is 1 to 255 bytes long, without `/` and control characters",
        ]
    );
    assert_eq!(
        read.notes(),
        ["default-stickiness: callers without userId and sessionId find it off; there they are chosen at random",]
    );
    assert!(read.elsewhere.lines().iter().any(|line| line.starts_with("shares stay shares")));
}

pub(super) const EXPORT: &str = r#"{
  "features": [{"name": "search", "type": "release", "project": "default"}, {"name": "plain"}],
  "featureStrategies": [
    {"id": "1", "featureName": "search", "environment": "production", "name": "flexibleRollout",
     "parameters": {"groupId": "search", "rollout": "50", "stickiness": "userId"}, "constraints": [], "segments": []},
    {"id": "2", "featureName": "search", "environment": "development", "name": "default"},
    {"id": "3", "featureName": "plain", "environment": "production", "name": "default", "segments": [4]}],
  "featureEnvironments": [
    {"featureName": "search", "environment": "production", "enabled": true, "variants": []},
    {"featureName": "search", "environment": "development", "enabled": true},
    {"featureName": "plain", "environment": "production", "enabled": true}],
  "segments": [{"id": 4, "name": "big"}],
  "dependencies": [{"feature": "search", "dependencies": [{"feature": "plain"}]}]
}"#;

#[test]
fn an_export_has_environments() {
    let error = |environment| find(EXPORT, Format::Json, Tool::Unleash, environment, 0).err().unwrap();
    assert_eq!(error(None), "it has several environments (development, production); --environment chooses one");
    assert_eq!(error(Some("test")), "it has no environment \"test\", only development, production");

    let read = read_as(Tool::Unleash, EXPORT, Format::Json, Some("production"));
    // What needs a flag that is left out is left out too.
    assert_eq!(
        read.left_out(),
        [
            "segments/big: its constraints: the export has the segment's name alone; the client API serves them",
            "search: it needs flag plain: it cannot be imported, or they need each other in a circle",
            "plain: segment 4: its constraints: the export has the segment's name alone; the client API serves them",
        ]
    );
    let read = read_as(Tool::Unleash, EXPORT, Format::Json, Some("development"));
    assert_eq!(read.shown("search"), ["needs plain"]);
    assert_eq!(read.shown("plain"), ["disabled"]);
}

#[test]
fn each_operator() {
    for (constraint, expected) in [
        (r#""operator": "IN", "values": []"#, "off"),
        (r#""operator": "NOT_IN", "values": ["b"], "inverted": true"#, r#"if a = "b": on"#),
        (
            r#""operator": "STR_CONTAINS", "values": ["b", "c"], "inverted": true"#,
            r#"if not a exists or (a >= "" and not a contains ["b", "c"]): on"#,
        ),
        (r#""operator": "NUM_EQ", "value": "12.0""#, "if a = 12: on"),
        (r#""operator": "NUM_EQ", "value": "12", "inverted": true"#, "if not a exists or a < 12 or a > 12: on"),
        (r#""operator": "NUM_GT", "value": "x""#, "off"),
        (r#""operator": "NUM_GT", "value": "x", "inverted": true"#, r#"constraint NUM_GT: "x" is no number"#),
        (r#""operator": "SEMVER_EQ", "value": "v1.0.0""#, "off"),
        (r#""operator": "SEMVER_GTE", "value": "1.0.0-rc.1""#, r#"if a >= semver "1.0.0-rc.1": on"#),
        (r#""operator": "REGEX", "value": "^b", "caseInsensitive": true"#, r#"if a matches "(?i)^b": on"#),
        (
            r#""operator": "REGEX", "value": "\\bs\\d", "caseInsensitive": true, "inverted": true"#,
            r#"if not a exists or (a >= "" and not a matches "(?i)(?-u:\\b)s[0-9]" and not a matches "[\\x{17F}\\x{212A}]"): on"#,
        ),
        (r#""operator": "REGEX", "value": "[\\w[]\\<""#, r#"if a matches "[[0-9A-Za-z_]\\[]<": on"#),
        (r#""operator": "REGEX", "value": "[a&&b]""#, "constraint REGEX: it has && within brackets"),
        (
            r#""operator": "IN_CIDR", "values": ["10.0.0.0/8"], "inverted": true"#,
            r#"if not a exists or (a >= "" and not a in network "10.0.0.0/8"): on"#,
        ),
        (
            r#""operator": "NOT_IN", "values": ["true", "1.5", "7", "x"]"#,
            r#"if not a in ["true", true, "1.5", 1.5, "7", 7, "x"]: on"#,
        ),
        (r#""operator": "IN", "values": ["true", "7"]"#, r#"if a in ["true", "7", 7]: on"#),
        (r#""operator": "REGEX", "value": "(?=b)""#, "off"),
        (r#""operator": "IN_CIDR", "values": ["10.0.0.0/8", "x"]"#, r#"if a in network "10.0.0.0/8": on"#),
        (
            r#""operator": "DATE_AFTER", "value": "2026-01-01T00:00:00Z""#,
            "constraint DATE_AFTER: it is about a, and always compares the time of the check",
        ),
        (r#""operator": "LATER", "value": "1""#, "constraint LATER: the operator is unknown"),
    ] {
        let text = format!(
            r#"{{"features": [{{"name": "F", "enabled": true, "strategies": [{{"name": "default", "constraints": [{{"contextName": "a", {constraint}}}]}}]}}]}}"#
        );
        let read = json(Tool::Unleash, &text);
        let shown = match read.left_out().first() {
            Some(left_out) => left_out.trim_start_matches("F: ").to_owned(),
            None => read.shown("F")[0].clone(),
        };
        assert_eq!(shown, expected, "{constraint}");
    }
}

#[test]
fn segments_of_one_name_stay_apart() {
    let segment = |id: u32, value: &str| {
        format!(
            r#"{{"id": {id}, "name": "s", "constraints": [{{"contextName": "a", "operator": "IN", "values": ["{value}"]}}]}}"#
        )
    };
    let flag = |name: &str, id: u32| {
        format!(r#"{{"name": "{name}", "enabled": true, "strategies": [{{"name": "default", "segments": [{id}]}}]}}"#)
    };
    let text = format!(
        r#"{{"features": [{}, {}, {}], "segments": [{}, {}]}}"#,
        flag("A", 1),
        flag("B", 2),
        flag("C", 3),
        segment(1, "x"),
        segment(2, "y")
    );
    let read = json(Tool::Unleash, &text);
    assert_eq!(read.shown("A"), ["if in segment s: on", "off"]);
    assert_eq!(read.shown("B"), ["if in segment segment-2: on", "off"]);
    assert_eq!(read.shown("segments/segment-2"), [r#"segment: a = "y""#]);
    // Without its segment a strategy is on for no caller.
    assert_eq!(read.shown("C"), ["off"]);
}

#[test]
fn notes_of_a_segment_that_is_left_out_are_dropped() {
    let text = r#"{"features": [], "segments": [{"id": 1, "name": "s", "constraints": [
        {"contextName": "currentTime", "operator": "DATE_AFTER", "value": "2026-01-01T00:00:00Z"},
        {"contextName": "a", "operator": "LATER"}]}]}"#;
    let read = json(Tool::Unleash, text);
    assert_eq!(read.left_out(), ["segments/s: constraint LATER: the operator is unknown"]);
    assert_eq!(read.elsewhere.lines().last().unwrap(), "1 segment of the file was not imported as there");
    assert_eq!(read.notes(), [] as [&str; 0]);
}

#[test]
fn an_environment_without_the_flag_has_it_off() {
    let text = EXPORT.replace(r#"{"name": "plain"}"#, r#"{"name": "plain"}, {"name": "elsewhere", "enabled": true}"#);
    let read = read_as(Tool::Unleash, &text, Format::Json, Some("production"));
    assert_eq!(read.shown("elsewhere"), ["disabled"]);
    let text = r#"{"features": [{"name": "old", "enabled": true, "until": 1}]}"#;
    assert_eq!(json(Tool::Unleash, text).left_out(), ["old: until: a field that is not known here"]);
}
