//! What all tools share.

use super::super::again::as_there;
use super::super::first::weights;
use super::*;

#[test]
fn a_file_of_another_kind_is_refused_with_its_place() {
    for (tool, text, format, expected) in [
        (
            Tool::Unleash,
            "{\"features\":\n [1,]}",
            Format::Json,
            "not JSON: expected a value, found ']' at line 2 column 5",
        ),
        (Tool::Unleash, "{}", Format::Json, "it has no list \"features\""),
        (
            Tool::Launchdarkly,
            "[]",
            Format::Json,
            "it has none of the objects \"flags\", \"flagValues\" and \"segments\"",
        ),
        (Tool::Flagd, "{\"flags\": 1}", Format::Json, "it has no object \"flags\""),
        (Tool::Goff, "a: [", Format::Yaml, "not YAML of flags: "),
        (Tool::Goff, "a: 1", Format::Yaml, "\"a\" is no flag, which has \"variations\" and a \"defaultRule\""),
        (Tool::Goff, "a = \n", Format::Toml, "not TOML: "),
        (Tool::FlipperRuby, "{\"version\": 2}", Format::Json, "its \"version\" is not 1"),
    ] {
        let error = find(text, format, tool, None, 0).err().unwrap();
        assert!(error.starts_with(expected), "{tool:?} {text}: {error}");
        if format != Format::Json {
            assert!(error.contains("line 1") || error.starts_with('"'), "{error}");
        }
    }
    let error = find("{\"flags\": {}}", Format::Json, Tool::Flagd, Some("test"), 0).err().unwrap();
    assert_eq!(error, "it has one environment, and --environment chooses one of several");
}

#[test]
fn what_grows_without_end_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(find(&deep, Format::Json, Tool::Flagd, None, 0).is_err());
    assert!(find(&deep, Format::Yaml, Tool::Goff, None, 0).is_err());
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let of = format!("*a{}", level - 1);
        aliases.push_str(&format!("a{level}: &a{level} [{}]\n", vec![of; 10].join(", ")));
    }
    assert!(find(&aliases, Format::Yaml, Tool::Goff, None, 0).is_err());
}

#[test]
fn weights_of_any_sum() {
    assert_eq!(weights(&[1.0, 1.0, 1.0]).iter().sum::<u32>(), 100_000);
    assert_eq!(weights(&[2.0, 1.0]), [66_667, 33_333]);
    assert_eq!(weights(&[0.0, 5.0]), [0, 100_000]);
    assert_eq!(weights(&[0.0]), [0]);
}

#[test]
fn lossy_imports_as_off_what_cannot_be_said() {
    let text = r#"{"version": 1, "features": {"A": {"groups": ["x"]}, "a/b": {"boolean": "true"}}}"#;
    let found = find(text, Format::Json, Tool::FlipperRuby, None, 0).unwrap();
    let (records, elsewhere) = found.end(Tool::FlipperRuby, true, 0);
    assert_eq!(records.iter().map(|record| (record.name(), record.is_enabled())).collect::<Vec<_>>(), [("A", false)]);
    let how: Vec<_> = elsewhere.lines().iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(how, ["imported as off", "left out", "2 flags of the file were not imported as there"]);
}

#[test]
fn no_flag_takes_the_name_of_a_segment() {
    let text = r#"{"flags": {"segments/a": {"variants": {"on": true}, "defaultVariant": "on"}}}"#;
    let left_out = json(Tool::Flagd, text).left_out();
    let why = "a name is 1 to 255 bytes long, without `/` and control characters";
    assert_eq!(left_out, [format!("segments/a: its name: {why}")]);
}

#[test]
fn circles_are_left_out() {
    let flag = |other: &str| {
        format!(
            r#"{{"on": true, "variations": [true, false], "offVariation": 1, "fallthrough": {{"variation": 0}}, "prerequisites": [{{"key": "{other}", "variation": 0}}]}}"#
        )
    };
    let text = format!(r#"{{"flags": {{"A": {}, "B": {}, "C": {}}}}}"#, flag("B"), flag("A"), flag("A"));
    let read = json(Tool::Launchdarkly, &text);
    assert!(read.records.is_empty());
    assert_eq!(read.left_out().len(), 3);
    assert_eq!(read.left_out()[2], "C: it needs flag A: it cannot be imported, or they need each other in a circle");
}

/// Each value of a file in turn is something else: nothing panics, and what is imported is valid.
#[test]
fn a_value_of_the_wrong_type_is_refused_or_listed() {
    let goff = super::super::document::parse(goff::YAML, Format::Yaml).unwrap().to_string();
    let mut tried = 0;
    for (tool, text, environment) in [
        (Tool::Unleash, unleash::CLIENT, None),
        (Tool::Unleash, unleash::EXPORT, Some("production")),
        (Tool::Launchdarkly, launchdarkly::DATA, None),
        (Tool::Flagd, flagd::DEFINITIONS, None),
        (Tool::Goff, &*goff, None),
        (Tool::FlipperRuby, ruby::EXPORT, None),
    ] {
        let json = Json::parse(text).unwrap();
        each_mutant(&json, &mut |mutant| {
            tried += 1;
            let Ok(found) = find(&mutant.to_string(), Format::Json, tool, environment, 0) else { return };
            let (records, _) = found.end(tool, true, 0);
            for record in records {
                record.validate().unwrap();
                assert_eq!(FlagRecord::from_json(record.to_json()).unwrap(), record);
            }
        });
    }
    assert!(tried > 3_000, "{tried}");
}

fn each_mutant(json: &Json, tried: &mut dyn FnMut(Json)) {
    let others = [Json::Null, Json::from(-1), "x".into(), Json::from(Object::new())];
    others.into_iter().for_each(&mut *tried);
    match json {
        Json::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                each_mutant(item, &mut |mutant| {
                    let mut items = items.clone();
                    items[place] = mutant;
                    tried(Json::Array(items));
                });
            }
        }
        Json::Object(fields) => {
            for (key, value) in fields {
                each_mutant(value, &mut |mutant| {
                    let mut fields = fields.clone();
                    fields.insert(key, mutant);
                    tried(Json::Object(fields));
                });
            }
        }
        _ => {}
    }
}

#[test]
fn a_flag_that_is_there_keeps_its_date_and_the_variants_of_its_callers() {
    let colours = |red: u32| {
        let text = format!(
            r#"{{"flags": {{"F": {{"on": true, "variations": ["red", "blue"], "fallthrough": {{"rollout": {{"variations": [
                {{"variation": 0, "weight": {red}}}, {{"variation": 1, "weight": {}}}]}}}}}}}}}}"#,
            100_000 - red
        );
        json(Tool::Launchdarkly, &text).record("F").clone()
    };
    let mut there = FlagRecord::new("F", 5);
    there.set_enabled(true);
    there.set_variants(colours(50_000).variants().cloned());
    assert_eq!(as_there(&colours(50_000), &there), there);

    let mut changed = there.clone();
    changed.set_variants(colours(60_000).variants().cloned());
    assert_ne!(changed.variants(), colours(60_000).variants());
    assert_eq!(as_there(&colours(60_000), &there), changed);
    assert_eq!(as_there(&colours(60_000), &changed), changed);
}
