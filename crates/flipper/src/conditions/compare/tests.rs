use std::io::Read;

use super::*;
use crate::json::Json;

/// 70 values in pairs under all operators, as in Python 3.11: 1, 0, or E for a `TypeError`.
#[test]
fn all_pairs_are_pythons() {
    let packed = include_bytes!("../../../tests/golden/compare.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let mut count = 0;
    for line in text.lines() {
        let case = Json::parse(line).unwrap();
        let [left, right, expected] = case.as_array().unwrap() else { panic!("{line}") };
        use Operator::{Eq, Gt, Gte, In, Lt, Lte, Ne, NotIn};
        let got: String = [Eq, Ne, Gt, Gte, Lt, Lte, In, NotIn]
            .map(|operator| match holds(left.into(), operator, right.into()) {
                Ok(true) => '1',
                Ok(false) => '0',
                Err(_) => 'E',
            })
            .iter()
            .collect();
        assert_eq!(Some(&*got), expected.as_str(), "{line}");
        count += 1;
    }
    assert_eq!(count, 70 * 70);
}
