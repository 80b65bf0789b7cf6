//! Checks while flags change: a model of every order of steps, and real threads. The model repeats `Slot::set` and the
//! checks step by step; change both together. `Cell::get` returns nothing while a sole comparison is written; its own model is at the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use flipper::store::{FlagTable, Stored, Version};
use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};
use flipper_testkit::block_on;

/// The slot's word: the answer of a state, or that the check must ask the sole comparison, or evaluate the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Answer(usize),
    Sole,
    Evaluate,
}

#[derive(Clone, Copy, Debug)]
enum Write {
    Word(Word),
    Entry(usize),
    Sole(usize),
}

/// What a check reads first: the word of `is_enabled` or `is_enabled_with`, or the entry, as `evaluate` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Word(usize),
    Entry,
}

const ASKS: [Ask; 3] = [Ask::Word(0), Ask::Word(1), Ask::Entry];
const STATES: usize = 3;

/// What has the answer of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Word,
    Entry,
    Sole,
}

/// For each state, without and with a context.
type Sources = [[From; 2]; STATES];

fn all_sources() -> impl Iterator<Item = Sources> {
    const OF_STATE: [[From; 2]; 6] = [
        [From::Word, From::Word],
        [From::Word, From::Entry],
        [From::Word, From::Sole],
        [From::Entry, From::Word],
        [From::Entry, From::Entry],
        [From::Entry, From::Sole],
    ];
    (0..6 * 6 * 6).map(|number: usize| [OF_STATE[number % 6], OF_STATE[number / 6 % 6], OF_STATE[number / 36]])
}

fn word(sources: &Sources, state: usize, which: usize) -> Word {
    match sources[state][which] {
        From::Word => Word::Answer(state),
        From::Sole => Word::Sole,
        From::Entry => Word::Evaluate,
    }
}

/// The writer's steps from state 0 through all others. Both words are one atomic, so a step sets both.
fn writes(sources: &Sources, order: Order) -> Vec<Write> {
    (1..STATES)
        .flat_map(|state| {
            let (announce, answer) = (Write::Word(Word::Evaluate), Write::Word(Word::Answer(state)));
            let sole = (sources[state][1] == From::Sole).then_some(Write::Sole(state));
            let (early, late) = if order == Order::SoleFirst { (sole, None) } else { (None, sole) };
            let announce = (order != Order::NotAnnounced).then_some(announce);
            early.into_iter().chain(announce).chain([Write::Entry(state)]).chain(late).chain([answer])
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    AsItIs,
    NotAnnounced,
    /// The comparison before anything else.
    SoleFirst,
}

/// Every order of the steps of one writer and one reader, on memory that both see at once.
struct Interleavings<'a> {
    sources: &'a Sources,
    writes: &'a [Write],
    asks: &'a [Ask],
    tried: usize,
}

#[derive(Clone, Copy)]
struct Moment {
    written: usize,
    words: [Word; 2],
    entry: usize,
    sole: usize,
    asked: usize,
    /// The state that was current when the word said `Evaluate` or `Sole`, and what comes next.
    began: Option<(usize, From)>,
    seen: usize,
}

impl Interleavings<'_> {
    /// Whether each check returns a state that was current during it, and none older than before.
    fn all_are_right(&mut self, now: Moment) -> bool {
        if now.asked == self.asks.len() {
            self.tried += 1;
            return true;
        }
        let written = self.writes.get(now.written).is_none_or(|write| {
            let mut then = Moment { written: now.written + 1, ..now };
            match *write {
                Write::Word(Word::Evaluate) => then.words = [Word::Evaluate; 2],
                Write::Word(Word::Answer(state)) => {
                    then.words = std::array::from_fn(|which| word(self.sources, state, which));
                }
                Write::Word(Word::Sole) => unreachable!("it is the word of a state"),
                Write::Entry(state) => then.entry = state,
                Write::Sole(state) => then.sole = state,
            }
            self.all_are_right(then)
        });
        written && self.reader_step(now)
    }

    fn reader_step(&mut self, now: Moment) -> bool {
        let (answer, began) = match (now.began, self.asks[now.asked]) {
            (None, Ask::Word(which)) => match now.words[which] {
                Word::Answer(state) => (state, now.entry),
                Word::Sole => return self.all_are_right(Moment { began: Some((now.entry, From::Sole)), ..now }),
                Word::Evaluate => return self.all_are_right(Moment { began: Some((now.entry, From::Entry)), ..now }),
            },
            (Some((began, From::Sole)), _) => {
                // Or it is being written.
                let entry = self.all_are_right(Moment { began: Some((began, From::Entry)), ..now });
                if !entry {
                    return false;
                }
                (now.sole, began)
            }
            (None, _) => (now.entry, now.entry),
            (Some((began, _)), _) => (now.entry, began),
        };
        // The entry defines the current state.
        let right = (began..=now.entry).contains(&answer) && answer >= now.seen;
        right && self.all_are_right(Moment { asked: now.asked + 1, began: None, seen: answer, ..now })
    }
}

fn interleavings_are_right(order: Order) -> (bool, usize) {
    let mut tried = 0;
    for sources in all_sources() {
        let writes = writes(&sources, order);
        for asks in asks_of_three() {
            let mut all = Interleavings { sources: &sources, writes: &writes, asks: &asks, tried: 0 };
            let words = std::array::from_fn(|which| word(&sources, 0, which));
            if !all.all_are_right(Moment { written: 0, words, entry: 0, sole: 0, asked: 0, began: None, seen: 0 }) {
                return (false, tried);
            }
            tried += all.tried;
        }
    }
    (true, tried)
}

fn asks_of_three() -> impl Iterator<Item = [Ask; 3]> {
    (0..27).map(|number| [ASKS[number % 3], ASKS[number / 3 % 3], ASKS[number / 9]])
}

#[test]
fn every_check_returns_a_state_current_during_it_and_never_goes_back() {
    let (right, tried) = interleavings_are_right(Order::AsItIs);
    assert!(right);
    assert!(tried > 100_000, "only {tried} orders");
}

#[test]
fn the_model_finds_the_faults_of_other_orders() {
    assert!(!interleavings_are_right(Order::NotAnnounced).0);
    assert!(!interleavings_are_right(Order::SoleFirst).0);
}

/// The same on memory that shows writes late: a reader sees any write to a place that is not older than what it knows of the
/// place. An acquire load of a release store adds all that the writer knew then.
struct Views<'a> {
    sources: &'a Sources,
    words: Vec<Seen<Word>>,
    entries: Vec<Seen<usize>>,
    soles: Vec<Seen<usize>>,
    asks: &'a [Ask],
}

struct Seen<T> {
    value: T,
    knew: View,
}

/// For each place, the newest write that is known.
#[derive(Clone, Copy, Debug, Default)]
struct View {
    word: usize,
    entry: usize,
    sole: usize,
}

impl View {
    fn and(self, other: Self) -> Self {
        let Self { word, entry, sole } = self;
        Self { word: word.max(other.word), entry: entry.max(other.entry), sole: sole.max(other.sole) }
    }
}

impl<'a> Views<'a> {
    fn new(sources: &'a Sources, writes: &[Write], asks: &'a [Ask]) -> Self {
        let mut knew = View::default();
        let mut words = vec![Seen { value: Word::Answer(0), knew }];
        let mut entries = vec![Seen { value: 0, knew }];
        let mut soles = vec![Seen { value: 0, knew }];
        for write in writes {
            match *write {
                Write::Word(value) => {
                    knew.word += 1;
                    words.push(Seen { value, knew });
                }
                Write::Entry(value) => {
                    knew.entry += 1;
                    entries.push(Seen { value, knew });
                }
                Write::Sole(value) => {
                    knew.sole += 1;
                    soles.push(Seen { value, knew });
                }
            }
        }
        Self { sources, words, entries, soles, asks }
    }

    fn never_go_back(&self, view: View, asked: usize, seen: usize) -> bool {
        let Some(ask) = self.asks.get(asked) else { return true };
        let answered = |answer: usize, view: View| answer >= seen && self.never_go_back(view, asked + 1, answer);
        let from_entry =
            |view: View| self.entries[view.entry..].iter().all(|entry| answered(entry.value, view.and(entry.knew)));
        let from_sole =
            |view: View| self.soles[view.sole..].iter().all(|sole| answered(sole.value, view.and(sole.knew)));
        match *ask {
            Ask::Entry => from_entry(view),
            Ask::Word(which) => self.words[view.word..].iter().all(|seen| {
                let view = view.and(seen.knew);
                let of = |state| word(self.sources, state, which);
                match if let Word::Answer(state) = seen.value { of(state) } else { seen.value } {
                    Word::Answer(state) => answered(state, view),
                    Word::Evaluate => from_entry(view),
                    // Or it is being written.
                    Word::Sole => from_entry(view) && from_sole(view),
                }
            }),
        }
    }
}

fn views_are_right(order: Order) -> bool {
    all_sources().all(|sources| {
        let writes = writes(&sources, order);
        asks_of_three().all(|asks| Views::new(&sources, &writes, &asks).never_go_back(View::default(), 0, 0))
    })
}

#[test]
fn no_check_goes_back_if_writes_become_visible_late() {
    assert!(views_are_right(Order::AsItIs));
    assert!(!views_are_right(Order::NotAnnounced), "the model finds the fault without the announcement");
}

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[test]
fn a_check_after_a_read_of_the_entry_agrees_with_it() {
    const FLAGS: usize = 10_000;
    let features = client();
    let flags: Vec<_> = (0..FLAGS).map(|number| block_on(features.create(format!("FLAG_{number}"))).unwrap()).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for flag in &flags {
                while !flag.record().unwrap().is_enabled() {
                    std::hint::spin_loop();
                }
                assert!(flag.is_enabled(), "the entry was on, and the check after it is not");
                assert!(features.is_enabled(flag.name()));
            }
        });
        for flag in &flags {
            block_on(flag.enable()).unwrap();
        }
    });
}

/// Odd generations are on, for a context of this generation alone, so that checks take all paths.
fn generation_into(record: &mut flipper::FlagRecord, generation: u64) -> flipper::Result<()> {
    record.set_enabled(generation % 2 == 1);
    record.set_client_data([("generation", generation)].into_iter().collect());
    record.set_conditions(vec![Condition::new().eq("generation", generation)]);
    Ok(())
}

#[test]
fn readers_see_whole_states_and_only_newer_ones() {
    const GENERATIONS: u64 = 10_000;
    let features = client();
    let flag = block_on(features.create("X")).unwrap();
    block_on(flag.update(|record| generation_into(record, 0))).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                let mut over = false;
                while !done.load(Ordering::Relaxed) {
                    let record = flag.record().unwrap();
                    let data = record.client_data().as_object().unwrap();
                    let generation: u64 = data.get("generation").unwrap().to_string().parse().unwrap();
                    assert!(generation >= last + u64::from(over), "{generation} after {last}, which was over: {over}");
                    assert_eq!(record.is_enabled(), generation % 2 == 1, "half of generation {generation}");
                    let on = flag.is_enabled_with(&context! { generation: generation });
                    assert!(!on || generation % 2 == 1, "half of generation {generation}");
                    over = !on && generation % 2 == 1;
                    last = generation;
                }
            });
        }
        for generation in 1..=GENERATIONS {
            block_on(flag.update(|record| generation_into(record, generation))).unwrap();
            let on = generation % 2 == 1;
            assert_eq!(flag.is_enabled(), on, "a write is seen by its own next check");
            assert_eq!(flag.is_enabled_with(&context! { generation: generation }), on);
            assert!(!flag.is_enabled_with(&context! { generation: generation - 1 }));
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_created_flag_is_found_by_every_thread_and_stays_found() {
    const FLAGS: usize = 20_000;
    let name = |number: usize| format!("FLAG_{number}");
    let features = client();
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for reader in 0..2 {
            let (features, begun, done) = (&features, &begun, &done);
            scope.spawn(move || {
                let mut random = reader;
                loop {
                    let there = done.load(Ordering::Acquire);
                    for _ in 0..100 {
                        random = (random * 1_103_515_245 + 12_345) % (1 << 31);
                        let number = random % FLAGS;
                        let found = features.is_enabled(&name(number));
                        assert!(found || number >= there, "{number} of {there} is not found");
                        assert!(
                            !found || number < begun.load(Ordering::Acquire),
                            "{number} is found before its creation"
                        );
                    }
                    if there == FLAGS {
                        break;
                    }
                }
            });
        }
        for number in 0..FLAGS {
            begun.store(number + 1, Ordering::Release);
            block_on(features.create(name(number)).enabled(true)).unwrap();
            done.store(number + 1, Ordering::Release);
        }
    });
    let names: Vec<_> = features.list().iter().map(|flag| flag.name().to_owned()).collect();
    let mut expected: Vec<_> = (0..FLAGS).map(name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn writers_of_one_table_end_with_the_newest_of_each_flag() {
    const FLAGS: u64 = 50;
    let table = FlagTable::new();
    thread::scope(|scope| {
        for writer in 0..3 {
            let table = &table;
            scope.spawn(move || {
                // Each in another order, like events of several connections.
                for number in 0..FLAGS * 100 {
                    let version = (number * (7 + 4 * writer)) % (FLAGS * 100);
                    let name = format!("FLAG_{}", version % FLAGS);
                    if version.is_multiple_of(3) {
                        table.remove(&name, Version::ordered(version));
                    } else {
                        let record = flipper::FlagRecord::new(&name, i64::try_from(version).unwrap());
                        table.apply(Stored { name, version: Version::ordered(version), record: Ok(record.into()) });
                    }
                }
            });
        }
    });
    for flag in 0..FLAGS {
        let newest = FLAGS * 99 + flag;
        let stored = table.get(&format!("FLAG_{flag}"));
        assert_eq!(stored.map(|stored| stored.version), (!newest.is_multiple_of(3)).then(|| Version::ordered(newest)));
    }
}

/// `Cell`: the sequence and two numbers, each write of a place with what a reader of it then knows of the others.
#[derive(Clone, Copy, Debug)]
struct Fences {
    release: bool,
    acquire: bool,
}

/// Whether a reader takes numbers that were not written together.
fn a_mixture_is_taken(fences: Fences) -> bool {
    const SEQUENCE: usize = 0;
    const ONE: usize = 1;
    const TWO: usize = 2;
    const WRITES: usize = 2;
    let both = |one: [usize; 3], two: [usize; 3]| std::array::from_fn::<_, 3, _>(|place| one[place].max(two[place]));
    let mut written: [Vec<[usize; 3]>; 3] = std::array::from_fn(|_| vec![[0; 3]]);
    let (mut knows, mut fenced) = ([0; 3], [0; 3]);
    for write in 1..=WRITES {
        let mut store = |place: usize, number: usize, shows: [usize; 3]| {
            let mut shows = shows;
            shows[place] = number;
            written[place].push(shows);
            knows[place] = number;
            knows
        };
        let begun = store(SEQUENCE, 2 * write - 1, fenced);
        if fences.release {
            fenced = begun;
        }
        store(ONE, write, fenced);
        let all = store(TWO, write, fenced);
        store(SEQUENCE, 2 * write, all);
    }
    (0..=2 * WRITES).any(|first| {
        let view = both(written[SEQUENCE][first], [first, 0, 0]);
        let numbers = (view[ONE]..=WRITES).flat_map(|one| (view[TWO]..=WRITES).map(move |two| (one, two)));
        numbers.filter(|(one, two)| one != two || 2 * one != first).any(|(one, two)| {
            let seen = both(written[ONE][one], written[TWO][two]);
            let view = if fences.acquire { both(view, seen) } else { view };
            first % 2 == 0 && view[SEQUENCE] <= first
        })
    })
}

#[test]
fn numbers_are_taken_together_and_each_fence_is_needed() {
    assert!(!a_mixture_is_taken(Fences { release: true, acquire: true }));
    assert!(a_mixture_is_taken(Fences { release: false, acquire: true }));
    assert!(a_mixture_is_taken(Fences { release: true, acquire: false }));
}
