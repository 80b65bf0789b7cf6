//! What a library has to do to be measured.

use std::any::Any;
use std::hint::black_box;
use std::sync::Arc;

use futures_executor::block_on;

use crate::Result;
use crate::scenario::Scenario;

/// Makes this many checks, from that one on, and returns the sum of the answers: 1 for a flag that is on, the length of a variant.
///
/// The loop is inside, and compiled for each library, so that no check is a call through a pointer.
pub type Batch = Box<dyn Fn(usize, usize) -> usize + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The least work that answers the check.
    Limit,
    Own,
    Peer,
}

pub trait Peer {
    fn name(&self) -> &'static str;

    /// The package whose version the report shows.
    fn package(&self) -> &'static str;

    fn kind(&self) -> Kind {
        Kind::Peer
    }

    /// Loads the flags; `None` if the library has no such check.
    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>>;

    /// What `prepare` keeps alive only since the flags come from no server; not counted as the library's memory.
    fn scaffolding(&self, _scenario: &Arc<Scenario>) -> Result<Box<dyn Any>> {
        Ok(Box::new(()))
    }
}

/// One context for each user, in the library's own form, so that a check does not include its making.
pub fn batch<C: Send + Sync + 'static>(
    scenario: &Arc<Scenario>,
    contexts: Vec<C>,
    check: impl Fn(&str, &C) -> usize + Send + Sync + 'static,
) -> Batch {
    let scenario = scenario.clone();
    Box::new(move |first, checks| {
        let mut turns = Turns::new(&scenario.names, &contexts, first);
        let mut sum = 0;
        for _ in 0..checks {
            let (name, context) = turns.next();
            sum += check(black_box(name), black_box(context));
        }
        sum
    })
}

/// As [`batch`], for checks that are `async`: one executor for all of them.
pub fn batch_async<C: Send + Sync + 'static>(
    scenario: &Arc<Scenario>,
    contexts: Vec<C>,
    check: impl AsyncFn(&str, &C) -> usize + Send + Sync + 'static,
) -> Batch {
    let scenario = scenario.clone();
    Box::new(move |first, checks| {
        let mut turns = Turns::new(&scenario.names, &contexts, first);
        block_on(async {
            let mut sum = 0;
            for _ in 0..checks {
                let (name, context) = turns.next();
                sum += check(black_box(name), black_box(context)).await;
            }
            sum
        })
    })
}

struct Turns<'a, C> {
    names: &'a [String],
    contexts: &'a [C],
    name: usize,
    context: usize,
}

impl<'a, C> Turns<'a, C> {
    fn new(names: &'a [String], contexts: &'a [C], first: usize) -> Self {
        Self { names, contexts, name: first % names.len(), context: first % contexts.len() }
    }

    #[inline(always)]
    fn next(&mut self) -> (&'a str, &'a C) {
        let turn = (&*self.names[self.name], &self.contexts[self.context]);
        self.name = if self.name + 1 == self.names.len() { 0 } else { self.name + 1 };
        self.context = if self.context + 1 == self.contexts.len() { 0 } else { self.context + 1 };
        turn
    }
}
