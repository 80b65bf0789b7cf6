use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

use super::check::{Rule, Truth};
use super::node::Node;
use super::store::Store;
use super::{Design, Setup};
use crate::clock;

const CALL_LIMIT: Duration = Duration::from_secs(14);

/// Between two attempts. While there are faults, any task may be slow anyway.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

pub(super) type Local<T> = Pin<Box<dyn Future<Output = T>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It had no effect.
    Refused,
    /// The outcome is unknown.
    Lost,
}

pub(super) struct Task {
    is_wanted: Box<dyn Fn() -> bool>,
    future: Local<()>,
    /// It gets one turn out of this many.
    slow: usize,
}

pub(super) struct World {
    pub(super) setup: Setup,
    rng: RefCell<Rng>,
    start: (Instant, SystemTime),
    now: Cell<Duration>,
    pub(super) store: RefCell<Store>,
    pub(super) truth: RefCell<Truth>,
    /// From the store on.
    pub(super) nodes: RefCell<Vec<Rc<Node>>>,
    spawned: RefCell<Vec<Task>>,
    progress: Cell<u64>,
    pub(super) is_calm: Cell<bool>,
    pub(super) starts: Cell<u64>,
    pub(super) broken: RefCell<Vec<(Rule, String)>>,
    trace: RefCell<Option<Vec<String>>>,
}

impl World {
    pub(super) fn new(seed: u64, setup: Setup, traced: bool) -> Rc<Self> {
        thread_local!(static START: (Instant, SystemTime) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
        let world = Rc::new(Self {
            setup,
            rng: RefCell::new(Rng::with_seed(seed)),
            start: START.with(|start| *start),
            now: Cell::new(Duration::from_secs(1000)),
            store: RefCell::new(Store::new(setup.kind)),
            truth: RefCell::default(),
            nodes: RefCell::default(),
            spawned: RefCell::default(),
            progress: Cell::new(0),
            is_calm: Cell::new(false),
            starts: Cell::new(0),
            broken: RefCell::default(),
            trace: RefCell::new(traced.then(Vec::new)),
        });
        world.advance(Duration::ZERO);
        world
    }

    pub(super) fn design(&self) -> Design {
        self.setup.design
    }

    pub(super) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(super) fn instant(&self) -> Instant {
        self.start.0 + self.now.get()
    }

    pub(super) fn since(&self, at: Option<Instant>) -> Duration {
        at.map_or(Duration::ZERO, |at| at.saturating_duration_since(self.start.0))
    }

    pub(super) fn since_start(&self, time: SystemTime) -> Duration {
        time.duration_since(self.start.1).unwrap_or_default()
    }

    pub(super) fn advance(&self, time: Duration) {
        self.now.set(self.now.get() + time);
        clock::model::set(Some((self.instant(), self.start.1 + self.now.get())));
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        self.rng.borrow_mut().usize(0..limit)
    }

    /// Never after the last fault.
    pub(super) fn fails_once_in(&self, times: usize) -> bool {
        !self.setup.is_quiet && !self.is_calm.get() && self.below(times) == 0
    }

    pub(super) fn node(&self, level: usize) -> Rc<Node> {
        self.nodes.borrow()[level - 1].clone()
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut *self.trace.borrow_mut() {
            trace.push(format!("{:>14.6?}  {}", self.now.get() - Duration::from_secs(1000), line()));
        }
    }

    pub(super) fn trace(&self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub(super) fn breaks(&self, rule: Rule, what: String) {
        self.note(|| format!("BROKEN {rule:?}: {what}"));
        self.broken.borrow_mut().push((rule, what));
    }

    pub(super) fn spawn(&self, is_wanted: impl Fn() -> bool + 'static, future: impl Future<Output = ()> + 'static) {
        let slow = [1, 1, 1, 40][self.below(4)];
        self.spawned.borrow_mut().push(Task { is_wanted: Box::new(is_wanted), future: Box::pin(future), slow });
    }

    pub(super) async fn hop(&self) {
        // At both ends: there is no rest while it is pending.
        self.progress.set(self.progress.get() + 1);
        turn().await;
        self.progress.set(self.progress.get() + 1);
    }

    pub(super) async fn pause(&self) {
        self.hop().await;
        let end = self.now() + PAUSE;
        while self.is_calm.get() && self.now() < end {
            turn().await;
        }
    }

    pub(super) fn step(&self, tasks: &mut Vec<Task>) {
        tasks.append(&mut self.spawned.take());
        let at = self.below(tasks.len());
        if self.below(tasks[at].slow) == 0 {
            self.poll(tasks, at);
        }
    }

    pub(super) fn sweep(&self, tasks: &mut Vec<Task>) -> bool {
        let before = self.progress.get();
        tasks.append(&mut self.spawned.take());
        for at in (0..tasks.len()).rev() {
            self.poll(tasks, at);
        }
        self.progress.get() != before || !self.spawned.borrow().is_empty()
    }

    fn poll(&self, tasks: &mut Vec<Task>, at: usize) {
        self.tick();
        let task = &mut tasks[at];
        let is_over =
            !(task.is_wanted)() || task.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if is_over {
            drop(tasks.swap_remove(at));
        }
    }

    fn tick(&self) {
        let most = [1, 3_000, 3_000, 1_500_000][self.below(4)];
        self.advance(Duration::from_nanos(self.below(most) as u64));
    }
}

pub(super) async fn turn() {
    let mut is_here = false;
    poll_fn(|_| if std::mem::replace(&mut is_here, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[derive(Clone)]
pub(super) enum Upstream {
    /// This start of the store.
    Store(u64),
    Node(Rc<Node>),
}

impl Upstream {
    fn is_up(&self, world: &World) -> bool {
        match self {
            Self::Store(generation) => world.store.borrow().generation == *generation,
            Self::Node(node) => node.is_up(),
        }
    }
}

/// `serve` completes whether or not the caller waits.
pub(super) async fn call<T: 'static>(
    world: Rc<World>,
    node: Rc<Node>,
    connection: fn(&Node) -> &Cell<u64>,
    upstream: Upstream,
    serve: impl Future<Output = Result<T, Failed>> + 'static,
) -> Result<T, Failed> {
    let (number, began) = (connection(&node).get(), world.now());
    let answer = Rc::new(RefCell::new(None));
    world.hop().await;
    let cut = || {
        connection(&node).set(connection(&node).get() + 1);
        Err(Failed::Lost)
    };
    if world.fails_once_in(24) {
        return cut();
    }
    {
        let (answer, server, place) = (answer.clone(), upstream.clone(), Rc::downgrade(&world));
        let is_wanted = move || place.upgrade().is_some_and(|world| server.is_up(&world));
        world.spawn(is_wanted, async move {
            let served = serve.await;
            *answer.borrow_mut() = Some(served);
        });
    }
    loop {
        if connection(&node).get() != number || !upstream.is_up(&world) {
            return Err(Failed::Lost);
        }
        if world.now() - began > CALL_LIMIT {
            return cut();
        }
        let served = answer.borrow_mut().take();
        if let Some(served) = served {
            world.hop().await;
            if connection(&node).get() != number {
                return Err(Failed::Lost);
            }
            return if world.fails_once_in(24) { cut() } else { served };
        }
        turn().await;
    }
}
