//! A flag as it is stored.

use std::fmt::Write;

use crate::bucketing::Bucketer;
use crate::conditions::Condition;
use crate::json::{MAX_DEPTH, parse_slice};
use crate::{Error, ErrorKind, Json, Object, Result};

/// The most bytes a flag's client data may take as JSON text.
const MAX_CLIENT_DATA: usize = 256 * 1024;

/// The most bytes a flag's name may take.
const MAX_NAME: usize = 255;

/// A flag as a store holds it: name, switch and meta data.
///
/// Every store keeps the same text, which is also what the Python library reads and writes. Fields that this version
/// does not know are kept and written back, after those it does.
///
/// ```
/// use flipper::FlagRecord;
///
/// let mut flag = FlagRecord::new("CHECKOUT", 1_700_000_000);
/// flag.set_enabled(true);
/// flag.set_client_data([("team", "payments")].into_iter().collect());
///
/// let stored = r#"{"feature_name": "CHECKOUT", "is_enabled": true, "meta": {"client_data": {"team": "payments"}, "created_date": 1700000000, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#;
/// assert_eq!(flag.to_json(), stored);
/// assert_eq!(FlagRecord::from_json(stored)?, flag);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FlagRecord {
    name: String,
    /// A bool, unless someone else stored something else.
    is_enabled: Json,
    /// An object, unless someone else stored something else.
    client_data: Json,
    /// An integer, unless someone else stored something else.
    created_date: Json,
    conditions: Vec<Condition>,
    bucketer: Bucketer,
    deny_conditions: Vec<Condition>,
    unknown: Object,
    unknown_meta: Object,
}

impl FlagRecord {
    /// A disabled flag without client data, conditions or bucketer, created at this Unix time in seconds.
    #[must_use]
    pub fn new(name: impl Into<String>, created_date: i64) -> Self {
        Self {
            name: name.into(),
            is_enabled: false.into(),
            client_data: Object::new().into(),
            created_date: created_date.into(),
            conditions: Vec::new(),
            bucketer: Bucketer::default(),
            deny_conditions: Vec::new(),
            unknown: Object::new(),
            unknown_meta: Object::new(),
        }
    }

    /// Reads the stored text, of this crate or of any version of the Python library.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field, if the text is not JSON or not a flag.
    pub fn from_json(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let mut item = into_object(parse_slice(bytes.as_ref()).map_err(Error::corrupt)?, "flag")?;
        let Json::String(name) = take(&mut item, "feature_name", "feature_name")? else {
            return Err(Error::corrupt("feature_name is not a string"));
        };
        let is_enabled = take(&mut item, "is_enabled", "is_enabled")?;
        let mut meta = into_object(take(&mut item, "meta", "meta")?, "meta")?;
        let created_date = take(&mut meta, "created_date", "meta.created_date")?;
        let client_data = meta.remove("client_data").filter(|data| !is_empty(data));
        let bucketer = match meta.remove("bucketer") {
            None | Some(Json::Null) => Bucketer::default(),
            Some(fields) => Bucketer::from_json(&fields).map_err(|error| corrupt("meta.bucketer", error))?,
        };
        Ok(Self {
            name,
            is_enabled,
            client_data: client_data.unwrap_or_else(|| Object::new().into()),
            created_date,
            conditions: take_conditions(&mut meta, "conditions")?,
            bucketer,
            deny_conditions: take_conditions(&mut meta, "deny_conditions")?,
            unknown: item,
            unknown_meta: meta,
        })
    }

    /// The text to store: what the Python library would write, byte for byte, then what it does not know.
    #[must_use]
    pub fn to_json(&self) -> String {
        let known = [
            ("feature_name", Json::from(self.name.as_str())),
            ("is_enabled", self.is_enabled.clone()),
            ("meta", self.meta()),
        ];
        let known = known.into_iter().map(|(key, value)| (key.to_owned(), value));
        Json::Object(known.chain(self.unknown.clone()).collect()).to_string()
    }

    /// The flag's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if self.name() != name {
            name.clone_into(&mut self.name);
        }
    }

    /// Whether the flag is on. Anything stored but `false` counts as on, `null` and `0` too, as in the Python library.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled != Json::Bool(false)
    }

    /// Turns the flag on or off.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.is_enabled = enabled.into();
    }

    /// The client data, an object unless another program stored something else.
    #[must_use]
    pub fn client_data(&self) -> &Json {
        &self.client_data
    }

    /// Replaces the client data.
    pub fn set_client_data(&mut self, data: Object) {
        self.client_data = data.into();
    }

    /// Sets these keys of the client data and leaves the others. Objects at a key are replaced, not merged.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the stored client data is not an object; [`set_client_data`](Self::set_client_data) replaces it.
    pub fn merge_client_data(&mut self, data: &Object) -> Result<()> {
        let Json::Object(stored) = &mut self.client_data else {
            let found = self.client_data.type_name();
            return Err(Error::corrupt(format!("client data is {found}, not an object")).with_flag(&self.name));
        };
        stored.extend(data.iter().map(|(key, value)| (key, value.clone())));
        Ok(())
    }

    /// When the flag was created, as Unix time in seconds, if an integer is stored.
    #[must_use]
    pub fn created_date(&self) -> Option<i64> {
        self.created_date.as_i64()
    }

    /// Replaces the creation time, in seconds of Unix time.
    pub fn set_created_date(&mut self, created_date: i64) {
        self.created_date = created_date.into();
    }

    /// The conditions, all of which must hold.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Replaces the conditions.
    pub fn set_conditions(&mut self, conditions: Vec<Condition>) {
        self.conditions = conditions;
    }

    /// Adds a condition after those there are.
    pub fn add_condition(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    /// The bucketer.
    #[must_use]
    pub fn bucketer(&self) -> &Bucketer {
        &self.bucketer
    }

    /// Replaces the bucketer.
    pub fn set_bucketer(&mut self, bucketer: Bucketer) {
        self.bucketer = bucketer;
    }

    /// The deny conditions. The Python library does not know them and drops them when it writes the flag.
    #[must_use]
    pub fn deny_conditions(&self) -> &[Condition] {
        &self.deny_conditions
    }

    /// Replaces the deny conditions.
    pub fn set_deny_conditions(&mut self, conditions: Vec<Condition>) {
        self.deny_conditions = conditions;
    }

    /// The meta data as it is stored: client data, creation time, conditions, bucketer, then the rest.
    #[must_use]
    pub fn meta(&self) -> Json {
        let mut meta = Object::new();
        meta.insert("client_data", self.client_data.clone());
        meta.insert("created_date", self.created_date.clone());
        meta.insert("conditions", conditions_to_json(&self.conditions));
        meta.insert("bucketer", self.bucketer.to_json());
        if !self.deny_conditions.is_empty() {
            meta.insert("deny_conditions", conditions_to_json(&self.deny_conditions));
        }
        meta.extend(self.unknown_meta.clone());
        meta.into()
    }

    /// Checks what must hold before the flag is written: that every reader can read it back.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::invalid_input(message).with_flag(&self.name));
        if self.client_data.as_object().is_none() {
            return refuse(format!("client data is {}, not an object", self.client_data.type_name()));
        }
        let mut size = Size(0);
        // Counting never fails.
        let _ = write!(size, "{}", self.client_data);
        if size.0 > MAX_CLIENT_DATA {
            return refuse(format!("client data takes {} bytes, more than the {MAX_CLIENT_DATA} allowed", size.0));
        }
        let written =
            [&self.conditions, &self.deny_conditions].map(|conditions| conditions_to_json(conditions).depth());
        let deepest = written.into_iter().fold(self.client_data.depth(), usize::max);
        // Around them are meta and the record.
        let depth = deepest + 2;
        if depth > MAX_DEPTH {
            return refuse(format!("flag nests {depth} levels deep, more than the {MAX_DEPTH} allowed"));
        }
        Ok(())
    }
}

/// Counts the bytes written to it.
struct Size(usize);

impl Write for Size {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn take(object: &mut Object, key: &str, path: &str) -> Result<Json> {
    object.remove(key).ok_or_else(|| Error::corrupt(format!("{path} is missing")))
}

fn into_object(json: Json, path: &str) -> Result<Object> {
    match json {
        Json::Object(object) => Ok(object),
        other => Err(Error::corrupt(format!("{path} is {}, not an object", other.type_name()))),
    }
}

fn corrupt(path: &str, cause: Error) -> Error {
    Error::corrupt(format!("{path} cannot be read")).with_source(cause)
}

/// Whether Python takes the value for nothing, and so the default instead.
fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(object) => object.is_empty(),
    }
}

fn take_conditions(meta: &mut Object, key: &str) -> Result<Vec<Condition>> {
    let items = match meta.remove(key) {
        None => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        // Python only goes through it, and finds nothing to trip over.
        Some(Json::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Json::Object(object)) if object.is_empty() => return Ok(Vec::new()),
        Some(other) => return Err(Error::corrupt(format!("meta.{key} is {}, not an array", other.type_name()))),
    };
    let read =
        |(index, item)| Condition::from_json(item).map_err(|error| corrupt(&format!("meta.{key}[{index}]"), error));
    items.iter().enumerate().map(read).collect()
}

fn conditions_to_json(conditions: &[Condition]) -> Json {
    Json::Array(conditions.iter().map(Condition::to_json).collect())
}

/// Checks a name before a flag is written under it; what is stored already is read under any.
pub(crate) fn validate_name(name: &str) -> Result<()> {
    let refuse = |what: String| Err(Error::new(ErrorKind::InvalidName).with_message(what).with_flag(name));
    if name.is_empty() {
        return refuse("flag name is empty".to_owned());
    }
    if name.len() > MAX_NAME {
        return refuse(format!("flag name is {} bytes long, more than the {MAX_NAME} allowed", name.len()));
    }
    match name.char_indices().find(|(_, c)| *c == '/' || c.is_control()) {
        Some((at, '/')) => refuse(format!("flag name has a '/' at byte {at}")),
        Some((at, c)) => refuse(format!("flag name has the control character {c:?} at byte {at}")),
        None => Ok(()),
    }
}
