//! Whatever Python's `json` reads is read, and written as Python writes it; what it refuses is refused.

use std::process::Command;

use flipper::FlagRecord;
use flipper::json::Json;

#[test]
fn json_is_pythons() {
    let Some(python) = flipper_testkit::python::interpreter() else { return };
    let (seed, count) = (std::env::var("FLIPPER_SEED"), std::env::var("FLIPPER_COUNT"));
    let seed = seed.unwrap_or_else(|_| std::process::id().to_string());
    let count = count.unwrap_or_else(|_| "5000".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/json_values.py");
    let output = Command::new(python).args([script, &seed, &count]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut read, mut refused) = (0, 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (text, written): (String, Option<String>) = serde_json::from_str(line).unwrap();
        let json = Json::parse(&text);
        assert_eq!(json.as_ref().ok().map(ToString::to_string), written, "seed {seed}: {text}");
        let Ok(json) = json else {
            refused += 1;
            continue;
        };
        read += 1;
        assert_eq!(Json::parse(&json.to_string()).unwrap(), json, "seed {seed}: {text}");
        let flag = format!(
            r#"{{"feature_name": "F", "is_enabled": true, "meta": {{"client_data": {{"value": {json}}}, "created_date": 1, "conditions": [], "bucketer": {{"type": "NoOpBucketer"}}, "other": {json}}}, "other": {json}}}"#
        );
        let record = FlagRecord::from_json(&flag).unwrap();
        assert_eq!(record.to_json(), flag, "seed {seed}");
        // For programs, by serde: with null for floats that are not finite, and U+FFFD for lone surrogates.
        serde_json::from_value::<Json>(json.to_serde()).unwrap();
        assert!(serde_json::to_string(&json).is_ok(), "seed {seed}: {text}");
    }
    assert!(read > refused / 10 && refused > 0, "{read} were read and {refused} refused");
}
