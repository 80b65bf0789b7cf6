//! Conversions to and from the messages of the service.

use std::sync::Arc;

use flipper_thrift_protocol::feature_flag_store::{
    ConditionCheck, ConditionOperator, ErrorCode, FeatureFlagStoreItem, FeatureFlagStoreMeta, FlagState, FlagVersion,
    FlipperException, WatchResult, WritePrecondition,
};

use crate::bucketing::{Bucketer, NO_OP_JSON};
use crate::conditions::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{Change, Delta, Known};
use crate::json::{Json, Object};
use crate::record::FlagRecord;
use crate::state::{Corrupt, Precondition, Stored, Version};

/// In Unix time: the years 1970 to 2199.
const DATES: std::ops::Range<i64> = 0..7_258_118_400;

type TCondition = flipper_thrift_protocol::feature_flag_store::Condition;

/// For Python clients. Parts without a field in the service, such as deny conditions, are left out. What Python would find on for everybody
/// without them is off: a flag with rules, prerequisites or a schedule, and a segment.
pub fn to_item(name: &str, record: &FlagRecord) -> FeatureFlagStoreItem {
    let is_off = record.is_off_for_python() || record.segment().is_some();
    FeatureFlagStoreItem {
        feature_name: Some(name.to_owned()),
        is_enabled: Some(record.is_enabled() && !is_off),
        // Never `None`: the Python client does not check.
        meta: Some(to_meta(record)),
    }
}

/// For Python clients.
pub fn to_meta(record: &FlagRecord) -> FeatureFlagStoreMeta {
    // A shortcut for most flags; the texts are what serializing gives.
    let client_data = match record.client_data() {
        Json::Object(data) if data.is_empty() => "{}".to_owned(),
        data => data.to_string(),
    };
    let bucketer = match record.bucketer() {
        Bucketer::NoOp => NO_OP_JSON.to_owned(),
        bucketer => bucketer.to_json().to_string(),
    };
    FeatureFlagStoreMeta {
        created_date: record.created_date(),
        client_data: Some(client_data),
        conditions: Some(record.conditions().iter().map(to_condition).collect()),
        bucketer: Some(bucketer),
    }
}

fn to_condition(condition: &Condition) -> TCondition {
    let mut groups = TCondition::new();
    for (variable, operator, value) in condition.checks() {
        groups.entry(variable.to_owned()).or_default().push(ConditionCheck {
            variable: Some(variable.to_owned()),
            value: Some(value.to_string()),
            comparison: Some(ConditionOperator { symbol: operator.symbol().map(str::to_owned) }),
        });
    }
    groups
}

/// From a server of Python's IDL.
///
/// # Errors
///
/// `Corrupt`, naming the field, if it is no flag.
pub fn from_item(item: &FeatureFlagStoreItem) -> Result<FlagRecord> {
    let mut meta = Object::new();
    if let Some(sent) = &item.meta {
        let json = |text: &Option<String>, field: &str| {
            text.as_deref()
                .map(|text| Json::parse(text).map_err(|error| bad(ErrorKind::Corrupt, field, error)))
                .transpose()
        };
        if let Some(data) = json(&sent.client_data, "client_data")? {
            meta.insert("client_data", data);
        }
        meta.insert("created_date", sent.created_date.map_or(Json::Null, Json::from));
        if let Some(conditions) = &sent.conditions {
            let conditions = conditions.iter().map(condition_to_json).collect::<Result<Vec<_>>>();
            meta.insert("conditions", conditions.map_err(|error| bad(ErrorKind::Corrupt, "conditions", error))?);
        }
        if let Some(bucketer) = json(&sent.bucketer, "bucketer")? {
            meta.insert("bucketer", bucketer);
        }
    } else {
        meta.insert("created_date", Json::Null);
    }
    let mut flag = Object::new();
    flag.insert("feature_name", item.feature_name.as_deref().unwrap_or_default());
    flag.insert("is_enabled", item.is_enabled.unwrap_or_default());
    flag.insert("meta", meta);
    FlagRecord::from_json(Json::from(flag).to_string())
}

/// As Python's `SetMeta`: a missing field becomes its default. The creation time and unknown parts stay.
///
/// # Errors
///
/// `InvalidInput`, naming the field.
pub fn apply_meta(record: &mut FlagRecord, meta: &FeatureFlagStoreMeta) -> Result<()> {
    check_meant(record, meta)?;
    record.set_client_data(client_data(meta.client_data.as_deref())?);
    let conditions = meta.conditions.iter().flatten().map(|sent| Condition::from_json(&condition_to_json(sent)?));
    let conditions = conditions.collect::<Result<_>>();
    record.set_conditions(conditions.map_err(|error| bad(ErrorKind::InvalidInput, "conditions", error))?);
    let bucketer = meta.bucketer.as_deref().map_or(Ok(Json::Null), Json::parse);
    let bucketer = bucketer.and_then(|json| Bucketer::from_json(&json));
    record.set_bucketer(bucketer.map_err(|error| bad(ErrorKind::InvalidInput, "bucketer", error))?);
    if let Some(created_date) = meta.created_date {
        record.set_created_date(created_date);
    }
    Ok(())
}

/// Refuses values that the client's language garbled, unless the flag already has them.
fn check_meant(record: &FlagRecord, meta: &FeatureFlagStoreMeta) -> Result<()> {
    // JavaScript sends a `Map` as empty, and such a condition matches every caller.
    let is_empty = |condition: &&TCondition| condition.values().all(Vec::is_empty);
    let sent = meta.conditions.iter().flatten().filter(is_empty).count();
    let held = record.conditions().iter().filter(|condition| condition.checks().next().is_none()).count();
    if sent > held {
        return Err(Error::invalid_input("a condition has no checks, and would hold for everybody"));
    }
    // JavaScript sends text as hexadecimal, and some clients send milliseconds.
    match meta.created_date.filter(|date| !DATES.contains(date) && record.created_date() != Some(*date)) {
        Some(date) => Err(Error::invalid_input(format!(
            "created_date {date} is not in the years 1970 to 2199; it is Unix time in seconds, and a number"
        ))),
        None => Ok(()),
    }
}

/// A call's client data; `None` is empty.
///
/// # Errors
///
/// `InvalidInput` if the text is not the JSON of an object.
pub fn client_data(text: Option<&str>) -> Result<Object> {
    match Json::parse(text.unwrap_or("{}")).map_err(|error| bad(ErrorKind::InvalidInput, "client_data", error))? {
        Json::Object(data) => Ok(data),
        Json::Null => Ok(Object::new()),
        other => Err(Error::invalid_input(format!("client_data must be an object, not {}", other.type_name()))),
    }
}

fn condition_to_json(condition: &TCondition) -> Result<Json> {
    let check = |check: &ConditionCheck| -> Result<Json> {
        let missing = |field: &str| Error::invalid_input(format!("check of a condition has no {field}"));
        let mut object = Object::new();
        object.insert("variable", check.variable.as_deref().ok_or_else(|| missing("variable"))?);
        object.insert("value", Json::parse(check.value.as_deref().ok_or_else(|| missing("value"))?)?);
        let symbol = check.comparison.as_ref().and_then(|operator| operator.symbol.as_deref());
        object.insert("operator", symbol.map_or(Json::Null, Json::from));
        Ok(object.into())
    };
    let group = |(variable, checks): (&String, &Vec<ConditionCheck>)| {
        Ok((variable.clone(), Json::Array(checks.iter().map(check).collect::<Result<_>>()?)))
    };
    Ok(Json::Object(condition.iter().map(group).collect::<Result<_>>()?))
}

/// One text: the other side does not get the chain.
fn bad(kind: ErrorKind, field: &str, error: Error) -> Error {
    Error::new(kind).with_message(format!("{field} cannot be read: {}", error.chain())).with_source(error)
}

/// For our own calls.
pub fn to_version(version: &Version) -> FlagVersion {
    // Thrift has no unsigned integers.
    #[expect(clippy::cast_possible_wrap, reason = "the same bits, taken as unsigned on the other side")]
    let ordered = version.as_ordered().map(|number| number as i64);
    FlagVersion { ordered, opaque: version.as_opaque().map(<[u8]>::to_vec) }
}

/// `None` for an empty version.
pub fn from_version(version: &FlagVersion) -> Option<Version> {
    #[expect(clippy::cast_sign_loss, reason = "the same bits, taken as unsigned")]
    let ordered = version.ordered.map(|number| Version::ordered(number as u64));
    ordered.or_else(|| version.opaque.as_ref().map(Version::opaque))
}

/// For our own calls: the flag, or why it is unreadable.
pub fn to_state(stored: &Stored) -> FlagState {
    let absent = absent_state(stored.name.clone(), Some(&stored.version));
    match &stored.record {
        Ok(record) => FlagState { record: Some(record.to_json()), ..absent },
        Err(corrupt) => FlagState { corrupt: Some(corrupt.reason().to_owned()), ..absent },
    }
}

/// No such flag, since this version if known.
pub fn absent_state(name: String, version: Option<&Version>) -> FlagState {
    FlagState {
        feature_name: Some(name),
        version: version.map(to_version),
        record: None,
        corrupt: None,
        unknown: None,
        read_us_ago: None,
    }
}

/// `None` for no such flag.
pub fn from_state(state: FlagState) -> Option<Stored> {
    let name = state.feature_name.unwrap_or_default();
    let version = state.version.as_ref().and_then(from_version).unwrap_or_else(|| Version::opaque([]));
    match (state.record, state.corrupt) {
        (Some(text), _) => Some(Stored::from_json(name, version, text.as_bytes())),
        (None, Some(reason)) => Some(Stored { name, version, record: Err(Corrupt::new(reason)) }),
        (None, None) => None,
    }
}

/// For our own calls.
pub fn to_result(delta: Delta) -> WatchResult {
    WatchResult {
        cursor: delta.cursor,
        reset: delta.reset.then_some(true),
        changes: (!delta.changes.is_empty()).then(|| delta.changes.iter().map(to_change).collect()),
        lost: delta.lost,
        server: delta.server,
        waited_us: Some(signed(delta.elapsed_us)),
        confirmed_ms_ago: Some(signed(delta.confirmed_ms_ago)),
        store: delta.store,
        history: None,
    }
}

/// From our own calls.
pub(super) fn from_result(result: WatchResult) -> Delta {
    Delta {
        server: result.server,
        cursor: result.cursor,
        reset: result.reset.unwrap_or_default(),
        changes: result.changes.unwrap_or_default().into_iter().map(from_change).collect(),
        lost: result.lost,
        elapsed_us: unsigned(result.waited_us).unwrap_or_default(),
        confirmed_ms_ago: unsigned(result.confirmed_ms_ago).unwrap_or_default(),
        store: result.store,
    }
}

fn to_change(change: &Change) -> FlagState {
    let absent = |version: Option<&Version>| absent_state(change.name.clone(), version);
    let state = match &change.known {
        Known::Flag(flag) => to_state(flag),
        Known::Missing(version) => absent(version.as_ref()),
        Known::Unknown => FlagState { unknown: Some(true), ..absent(None) },
    };
    FlagState { read_us_ago: change.read_us_ago.map(signed), ..state }
}

fn from_change(state: FlagState) -> Change {
    let name = state.feature_name.clone().unwrap_or_default();
    let read_us_ago = state.read_us_ago.map(|age| u64::try_from(age).unwrap_or_default());
    let known = if state.unknown.unwrap_or_default() {
        Known::Unknown
    } else {
        let version = state.version.as_ref().and_then(from_version);
        from_state(state).map_or(Known::Missing(version), Known::Flag)
    };
    Change { name, known, read_us_ago }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    u64::try_from(number?).ok()
}

/// Its version is its content.
pub(super) fn stored_from_item(name: &str, item: &FeatureFlagStoreItem) -> Stored {
    let record = from_item(item);
    let version = match &record {
        Ok(record) => content_version(record),
        Err(_) => Version::opaque(format!("{item:?}")),
    };
    let record = record.map(Arc::new).map_err(|error| Corrupt::new(error.chain()));
    Stored { name: name.to_owned(), version, record }
}

pub(super) fn content_version(record: &FlagRecord) -> Version {
    Version::opaque(record.to_json())
}

/// For our own calls.
pub fn to_precondition(when: &Precondition) -> WritePrecondition {
    match when {
        Precondition::Any => WritePrecondition { absent: None, unchanged: None, cause: None },
        Precondition::Absent => WritePrecondition { absent: Some(true), unchanged: None, cause: None },
        Precondition::Unchanged(version) => {
            WritePrecondition { absent: None, unchanged: Some(to_version(version)), cause: None }
        }
    }
}

/// From our own calls.
///
/// # Errors
///
/// `InvalidInput` for an empty version: reading it as "always" would lose a write.
pub fn from_precondition(precondition: &WritePrecondition) -> Result<Precondition> {
    match (precondition.absent, &precondition.unchanged) {
        (Some(true), None) => Ok(Precondition::Absent),
        (Some(true), Some(_)) => Err(Error::invalid_input("precondition wants the flag both absent and unchanged")),
        (_, Some(version)) => from_version(version)
            .map(Precondition::Unchanged)
            .ok_or_else(|| Error::invalid_input("version of the precondition is empty")),
        (_, None) => Ok(Precondition::Any),
    }
}

/// The wire's codes; `flag_exists` is a `CONFLICT` there.
const CODES: [(ErrorKind, ErrorCode); 10] = [
    (ErrorKind::FlagNotFound, ErrorCode::NOT_FOUND),
    (ErrorKind::Conflict, ErrorCode::CONFLICT),
    (ErrorKind::FlagExists, ErrorCode::CONFLICT),
    (ErrorKind::InvalidName, ErrorCode::INVALID_NAME),
    (ErrorKind::InvalidInput, ErrorCode::INVALID_INPUT),
    (ErrorKind::Corrupt, ErrorCode::CORRUPT),
    (ErrorKind::Unavailable, ErrorCode::UNAVAILABLE),
    (ErrorKind::Unauthorized, ErrorCode::UNAUTHORIZED),
    (ErrorKind::Unsupported, ErrorCode::UNSUPPORTED),
    (ErrorKind::Vetoed, ErrorCode::VETOED),
];

/// For the other side.
pub fn to_exception(error: &Error) -> FlipperException {
    let code = CODES.iter().find(|(kind, _)| *kind == error.kind()).map_or(ErrorCode::INTERNAL, |(_, code)| *code);
    FlipperException { code: Some(code), message: Some(error.chain()) }
}

/// From the other side.
pub fn from_exception(exception: FlipperException) -> Error {
    // An internal error of another server may be temporary.
    let code = exception.code.filter(|code| *code != ErrorCode::INTERNAL);
    let known = code.and_then(|code| CODES.iter().find(|(_, other)| *other == code));
    let kind = known.map_or(ErrorKind::Unavailable, |(kind, _)| *kind);
    match exception.message.filter(|message| !message.is_empty()) {
        Some(message) => Error::new(kind).with_message(message),
        None => Error::new(kind),
    }
}

pub(super) fn name(item: &FeatureFlagStoreItem) -> &str {
    item.feature_name.as_deref().unwrap_or_default()
}
