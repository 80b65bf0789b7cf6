use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::response::Response;
use flipper::context::Value;
use flipper::evaluation::{Brief, Ready};
use flipper::json::Json;
use flipper::store::{Corrupt, FlagTable, Stored};
use flipper::{Bucketer, FeatureFlag, FeatureFlagClient, FlagRecord};
use http::StatusCode;
use tokio::sync::Mutex;
use tokio::task::{JoinError, spawn_blocking};

use super::bulk::AT_ONCE;
use super::error::{self, Code};
use super::outcome::{Given, Outcome};
use super::texts::{Answers, Kept};
use super::{answer, json, single};
use crate::app::App;

/// Bytes of a kept text. A flag's data may be large, and is in memory already.
const LONGEST_KEPT: usize = 1024;

/// All flags by name, each with the answers that it often has. Made again when a flag has changed.
#[derive(Clone, Default)]
pub(super) struct FlagList {
    listed: Arc<RwLock<Arc<Listed>>>,
    /// One request reads the flags for all that wait.
    renewing: Arc<Mutex<()>>,
}

#[derive(Default)]
pub(super) struct Listed {
    /// The table's, when they were read.
    revision: Option<u64>,
    pub(super) flags: Vec<Arc<Flag>>,
}

pub(super) struct Flag {
    flag: FeatureFlag,
    record: Result<Arc<FlagRecord>, Corrupt>,
    text: Text,
}

#[derive(Debug)]
enum Text {
    /// The answer to all contexts.
    Whole(Kept),
    /// The answers so far, and the flag if attributes alone decide most of its checks.
    Some(Box<Texts>, Option<Ready>),
}

/// Most flags have no other outcomes. `None` if the text is too long to keep.
#[derive(Debug, Default)]
struct Texts {
    /// Of the two outcomes that attributes alone decide.
    brief: [OnceLock<Option<Kept>>; 2],
    /// Of the first other outcome that was off, and that was on.
    first: [OnceLock<Option<(Outcome, Kept)>>; 2],
}

impl FlagList {
    /// The flags as they are now, or later.
    pub(super) async fn current(&self, app: &Arc<App>) -> Result<Arc<Listed>, Response> {
        let wanted = Some(app.store.table().revision());
        let fresh = || Some(self.listed()).filter(|listed| listed.revision >= wanted);
        if let Some(listed) = fresh() {
            return Ok(listed);
        }
        let turn = self.renewing.clone().lock_owned().await;
        if let Some(listed) = fresh() {
            return Ok(listed);
        }
        let is_small = self.listed().grown(app) <= AT_ONCE as u64;
        let (list, app) = (self.clone(), app.clone());
        let renew = move || {
            let _turn = turn;
            list.renew(&app)
        };
        if is_small {
            return Ok(renew());
        }
        // Of 100,000 flags it takes long, and other requests must not wait for it. It goes on for them if this one ends.
        match spawn_blocking(renew).await.map_err(JoinError::try_into_panic) {
            Ok(listed) => Ok(listed),
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => {
                Err(error::error(StatusCode::SERVICE_UNAVAILABLE, None, Code::General, "the server is ending"))
            }
        }
    }

    /// The old list ends here, too, if no answer has it.
    fn renew(&self, app: &App) -> Arc<Listed> {
        let old = self.listed();
        let revision = Some(app.store.table().revision());
        let listed = Arc::new(Listed { revision, flags: renew(&old.flags, &app.features, app.flags()) });
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = listed.clone();
        listed
    }

    fn listed(&self) -> Arc<Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Listed {
    /// How many flags there are now at most: no change adds more than one.
    fn grown(&self, app: &App) -> u64 {
        self.flags.len() as u64 + app.store.table().revision().saturating_sub(self.revision.unwrap_or_default())
    }
}

/// Takes over what has not changed. Both are ordered by name.
fn renew(old: &[Arc<Flag>], features: &FeatureFlagClient, stored: Vec<Stored>) -> Vec<Arc<Flag>> {
    let mut old = old.iter().peekable();
    let renewed = stored.into_iter().map(|Stored { name, record, .. }| {
        while old.next_if(|flag| flag.name() < &*name).is_some() {}
        match old.next_if(|flag| flag.name() == name) {
            Some(flag) if flag.is_still(&record) => flag.clone(),
            _ => Arc::new(Flag::new(features.get(name), record)),
        }
    });
    renewed.collect()
}

impl Flag {
    fn new(flag: FeatureFlag, record: Result<Arc<FlagRecord>, Corrupt>) -> Self {
        let name = flag.name();
        let text = match &record {
            Err(_) => {
                let details = format!("flag {name:?}: {}", flipper::evaluation::Reason::Corrupt);
                Text::Whole(Kept::new(|text| error::entry(name, Code::ParseError, &details, text)))
            }
            Ok(record) => match settled(record).and_then(|outcome| kept(name, record, &outcome)) {
                Some(kept) => Text::Whole(kept),
                None => Text::Some(Box::default(), flag.ready(record)),
            },
        };
        Self { flag, record, text }
    }

    fn is_still(&self, record: &Result<Arc<FlagRecord>, Corrupt>) -> bool {
        match (&self.record, record) {
            // That of a flag with no more than a state is made each time.
            (Ok(own), Ok(record)) if Arc::ptr_eq(own, record) || own == record => match &self.text {
                Text::Whole(_) => true,
                Text::Some(_, ready) => *ready == self.flag.ready(record),
            },
            (Err(_), Err(_)) => true,
            _ => false,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.flag.name()
    }

    /// Its answer, and those of its values; returns whether time or chance decided.
    pub(super) fn write(&self, context: &[(&str, Value<'_>)], table: &FlagTable, out: &mut Answers) -> bool {
        let (texts, ready) = match &self.text {
            Text::Whole(kept) => {
                out.push(kept);
                return false;
            }
            Text::Some(texts, ready) => (texts, ready),
        };
        let name = self.name();
        if let (Some(ready), Ok(record)) = (ready, &self.record)
            && let Some(brief) = self.flag.explain_briefly(ready, context)
        {
            texts.write_brief(brief, name, record, out);
            return false;
        }
        self.flag.explain(context, |evaluation, record| match Outcome::of(name, evaluation, record, context, table) {
            Ok(outcome) => {
                match (record, &self.record) {
                    // Of a flag that has just changed, all is the new one's.
                    (Some(record), _) if !self.is_of(record) => {
                        out.write(|text| compose(name, record, &outcome, text));
                    }
                    (_, Ok(record)) => texts.write(&outcome, name, record, out),
                    (_, Err(_)) => out.write(|text| answer::own(name, &outcome, false, text)),
                }
                outcome.is_passing
            }
            Err((code, details)) => {
                out.write(|text| {
                    error::entry(name, code, &details, text);
                    for (key, ..) in self.record.iter().flat_map(|record| values(name, record)) {
                        text.push(',');
                        error::entry(&key, code, &details, text);
                    }
                });
                false
            }
        })
    }

    /// A write that changes nothing makes another record.
    fn is_of(&self, record: &FlagRecord) -> bool {
        self.record.as_ref().is_ok_and(|own| std::ptr::eq(&**own, record) || **own == *record)
    }
}

/// The outcome for all contexts, whatever other flags and the time are, if it is one.
fn settled(record: &FlagRecord) -> Option<Outcome> {
    if record.variants().is_some() {
        return None;
    }
    if !record.is_enabled() {
        return Some(Outcome::DISABLED);
    }
    let own = record.rules().is_empty() && record.prerequisites().is_empty() && record.schedule().is_none();
    let unlimited = own && record.conditions().is_empty() && record.deny_conditions().is_empty();
    (unlimited && matches!(record.bucketer(), Bucketer::NoOp)).then_some(Outcome::ENABLED)
}

impl Texts {
    fn write_brief(&self, brief: Brief, name: &str, record: &FlagRecord, out: &mut Answers) {
        let (Brief::ConditionsMet { is_any_given: which } | Brief::Bucket { is_enabled: which }) = brief;
        let outcome = || Outcome::of_brief(brief);
        match self.brief[usize::from(which)].get_or_init(|| kept(name, record, &outcome())) {
            Some(kept) => out.push(kept),
            None => out.write(|text| compose(name, record, &outcome(), text)),
        }
    }

    fn write(&self, outcome: &Outcome, name: &str, record: &FlagRecord, out: &mut Answers) {
        let keep = || Some((outcome.clone(), kept(name, record, outcome)?));
        let first = match outcome.given {
            Given::Switch => self.first[usize::from(outcome.enabled)].get_or_init(keep).as_ref(),
            // A variant's value may be large.
            _ => None,
        };
        match first {
            Some((first, kept)) if first.reads_as(outcome) => out.push(kept),
            _ => out.write(|text| compose(name, record, outcome, text)),
        }
    }
}

fn kept(name: &str, record: &FlagRecord, outcome: &Outcome) -> Option<Kept> {
    let kept = Kept::new(|text| compose(name, record, outcome, text));
    (kept.len() <= LONGEST_KEPT).then_some(kept)
}

/// The answer of the flag itself, and those of its values.
fn compose(name: &str, record: &FlagRecord, outcome: &Outcome, out: &mut String) {
    answer::own(name, outcome, false, out);
    for (key, member, value) in values(name, record) {
        out.push(',');
        if !outcome.enabled {
            error::entry(&key, Code::General, &single::is_off(name, outcome), out);
        } else if json::is_value(value) {
            answer::begin(&key, value, out);
            answer::end(outcome, false, out);
        } else {
            error::entry(&key, Code::General, &single::no_value(name, member), out);
        }
    }
}

/// With their keys. The first level alone: an inner value repeated at each level could be large.
fn values<'a>(name: &'a str, record: &'a FlagRecord) -> impl Iterator<Item = (String, &'a str, &'a Json)> {
    let members = record.client_data().as_object().into_iter().flat_map(|data| data.iter());
    members.map(move |(member, value)| (format!("{name}/{member}"), member, value))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use flipper::bucketing::SaltedPercentageBucketer;
    use flipper::store::{LocalFeatureFlagStore, Precondition};
    use flipper::{FeatureFlagStore, MemoryFeatureFlagStore};
    use flipper_testkit::{block_on, wait_until};
    use futures_util::FutureExt;
    use futures_util::future::poll_immediate;
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    #[test]
    fn a_kept_text_is_of_its_own_outcome_alone() {
        let mut record = FlagRecord::new("F", 1);
        record.set_client_data([("a", 1)].into_iter().collect());
        let texts = Texts::default();
        let reasons = [("TARGETING_MATCH", "conditions_met"), ("SPLIT", "bucket"), ("UNKNOWN", "conditions_met")];
        for (enabled, (reason, reason_code)) in
            [true, false, true].into_iter().flat_map(|on| reasons.map(|it| (on, it)))
        {
            let outcome = Outcome { enabled, given: Given::Switch, reason, reason_code, is_passing: false };
            let (mut written, mut composed) = (Answers::with_capacity(0), String::new());
            texts.write(&outcome, "F", &record, &mut written);
            compose("F", &record, &outcome, &mut composed);
            assert_eq!(written.end(|_| {}).0, format!("{{\"flags\":[{composed}]}}"));
            let read: serde_json::Value = serde_json::from_str(&format!("[{composed}]")).unwrap();
            assert_eq!((&read[0]["value"], &read[0]["reason"]), (&enabled.into(), &reason.into()));
            assert_eq!(read[1]["errorCode"].is_string(), !enabled);
        }
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        let is_kept = |length| {
            let mut record = FlagRecord::new("F", 1);
            record.set_enabled(true);
            record.set_client_data([("a", "x".repeat(length))].into_iter().collect());
            let texts = Texts::default();
            for _ in 0..2 {
                let (mut written, mut composed) = (Answers::with_capacity(0), String::new());
                texts.write(&Outcome::ENABLED, "F", &record, &mut written);
                compose("F", &record, &Outcome::ENABLED, &mut composed);
                assert_eq!(written.end(|_| {}).0, format!("{{\"flags\":[{composed}]}}"));
            }
            let flag = Flag::new(features.get("F"), Ok(Arc::new(record)));
            (texts.first[1].get().unwrap().is_some(), matches!(flag.text, Text::Whole(_)))
        };
        assert_eq!(is_kept(100), (true, true));
        assert_eq!(is_kept(LONGEST_KEPT), (false, false));
    }

    #[test]
    fn the_texts_stay_those_of_a_flag_that_is_written_without_a_change() {
        let store = MemoryFeatureFlagStore::new();
        let features = FeatureFlagClient::new(store.clone());
        let mut record = FlagRecord::new("F", 1);
        record.set_enabled(true);
        record.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into());
        let put = |record: &FlagRecord| block_on(store.put(record, Precondition::Any.into())).unwrap();
        put(&record);
        let flags = renew(&[], &features, store.table().list());
        let fits = || features.explain("F", &[("user", Value::Int(1))], |_, record| flags[0].is_of(record.unwrap()));
        assert!(fits());
        put(&record);
        assert!(!Arc::ptr_eq(flags[0].record.as_ref().unwrap(), &features.record("F").unwrap()));
        assert!(fits());
        record.set_client_data([("a", 1)].into_iter().collect());
        put(&record);
        assert!(!fits());
    }

    /// More flags than are read at once, and a runtime whose only thread for such work is busy until the sender is dropped.
    fn many() -> (Arc<App>, MemoryFeatureFlagStore, Runtime, Sender<()>) {
        let store = MemoryFeatureFlagStore::new();
        let app = Arc::new(App::new(Arc::new(store.clone())));
        (0..=AT_ONCE).for_each(|number| change(&store, number));
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let (sender, busy) = channel();
        runtime.spawn_blocking(move || busy.recv());
        (app, store, runtime, sender)
    }

    fn change(store: &MemoryFeatureFlagStore, number: usize) {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Any.into())).unwrap();
    }

    #[test]
    fn a_list_is_renewed_though_the_request_for_it_ends() {
        let (app, _store, runtime, busy) = many();
        let list = FlagList::default();
        runtime.block_on(async { assert!(list.current(&app).now_or_never().is_none()) });
        drop(busy);
        wait_until("the list is renewed", || list.listed().flags.len() == AT_ONCE + 1);
    }

    #[test]
    fn one_list_is_for_all_that_waited() {
        let (app, store, runtime, busy) = many();
        let list = FlagList::default();
        runtime.block_on(async {
            let mut waiting = [(); 3].map(|()| Box::pin(list.current(&app)));
            for waiting in &mut waiting {
                assert!(poll_immediate(waiting).await.is_none());
            }
            drop(busy);
            wait_until("the list is renewed", || list.listed().revision.is_some());
            let renewed = list.listed();
            change(&store, 0);
            change(&store, AT_ONCE + 1);
            for waiting in waiting {
                assert!(Arc::ptr_eq(&waiting.await.unwrap_or_default(), &renewed));
            }
            // The next one sees the change.
            assert_eq!(list.current(&app).await.unwrap_or_default().flags.len(), AT_ONCE + 2);
        });
    }

    #[test]
    fn few_flags_are_read_without_another_thread() {
        let (_, _, runtime, _busy) = many();
        let store = MemoryFeatureFlagStore::new();
        let app = Arc::new(App::new(Arc::new(store.clone())));
        let list = FlagList::default();
        let _entered = runtime.enter();
        for count in 1..3 {
            change(&store, count);
            let listed = list.current(&app).now_or_never().unwrap().unwrap_or_default();
            assert_eq!(listed.flags.len(), count);
        }
        // As one that is new and large.
        (0..=AT_ONCE).for_each(|number| change(&store, number));
        assert!(list.current(&app).now_or_never().is_none());
    }

    #[test]
    fn no_list_is_an_error_at_the_end_of_the_runtime() {
        let (app, _store, runtime, busy) = many();
        let handle = runtime.handle().clone();
        drop((busy, runtime));
        let _entered = handle.enter();
        let refused = block_on(FlagList::default().current(&app)).err().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
