//! Another server takes the place of the one that is used.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use flipper_testkit::consul::{ConsulAgent, ConsulCluster};
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{Harm, Relay, wait_until};

use crate::backends::{Backend, Kind};
use crate::random::Random;
use crate::scene::Stage;
use crate::writers::Change;

/// Writes that the copy may lack.
const LATE: usize = 4;

/// An agent, or the one of a cluster that is used.
pub(crate) struct Agents {
    alone: Option<ConsulAgent>,
    cluster: Option<ConsulCluster>,
    used: usize,
}

impl Agents {
    pub(crate) fn alone(agent: ConsulAgent) -> Self {
        Self { alone: Some(agent), cluster: None, used: 0 }
    }

    pub(crate) fn together() -> Option<Self> {
        Some(Self { alone: None, cluster: Some(ConsulCluster::start()?), used: 0 })
    }
}

impl Deref for Agents {
    type Target = ConsulAgent;

    fn deref(&self) -> &ConsulAgent {
        match (&self.alone, &self.cluster) {
            (Some(agent), _) => agent,
            (None, cluster) => &cluster.as_ref().unwrap().agents()[self.used],
        }
    }
}

impl DerefMut for Agents {
    fn deref_mut(&mut self) -> &mut ConsulAgent {
        match (&mut self.alone, &mut self.cluster) {
            (Some(agent), _) => agent,
            (None, cluster) => cluster.as_mut().unwrap().agent_mut(self.used),
        }
    }
}

/// A copy of the server, which follows it without waiting.
enum Copy {
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Copy {
    fn of(backend: &Backend, link: &Relay) -> Self {
        match &backend.kind {
            Kind::Postgres(server) => Self::Postgres(server.standby_through(link.port())),
            _ => {
                // By a command: when it is started again it must not follow the first one.
                let server = RedisServer::options().config("user app on >secret ~* &* +@all").start().unwrap();
                server.command(&["REPLICAOF", "127.0.0.1", &link.port().to_string()]);
                let is_there = || server.command(&["INFO", "replication"]).text().contains("master_link_status:up");
                wait_until("the replica has the flags", is_there);
                Self::Redis(server)
            }
        }
    }

    fn promote(&self) {
        match self {
            Self::Postgres(server) => server.promote(),
            Self::Redis(server) => _ = server.command(&["REPLICAOF", "NO", "ONE"]),
        }
    }
}

impl Backend {
    /// All connect to this server from now on.
    fn lead_to(&self, port: u16) {
        self.front.iter().chain(&self.relay).for_each(|relay| relay.lead_to(port));
    }
}

impl Stage {
    /// Returns how many acknowledged states the store has lost.
    pub(crate) fn fail_over(&mut self, backend: &mut Backend, random: &mut Random) -> usize {
        let lost = match &mut backend.kind {
            Kind::Consul(agents) => {
                let cluster = agents.cluster.as_ref().unwrap();
                let leader = cluster.leader(&[0, 1, 2]);
                agents.used = (leader + 1 + random.below(2)) % 3;
                let port = agents.port();
                backend.lead_to(port);
                self.change_leader(backend, leader);
                0
            }
            _ => self.take_over(backend, random.below(2) == 0),
        };
        self.watchers.iter().for_each(|watcher| watcher.seen.may_be_lost());
        self.recover();
        self.ledger.went_forward();
        lost
    }

    fn change_leader(&mut self, backend: &mut Backend, leader: usize) {
        let Kind::Consul(agents) = &mut backend.kind else { return };
        let cluster = agents.cluster.as_mut().unwrap();
        cluster.agent_mut(leader).kill();
        self.ledger.away(true);
        // Without a leader, or with the next one: the outcome may be unknown.
        for flag in 0..LATE {
            if !self.ledger.is_set_aside(flag) && self.is_present(flag) {
                self.write(backend, flag, Change::Set, false, false);
            }
        }
        let Kind::Consul(agents) = &mut backend.kind else { return };
        let cluster = agents.cluster.as_mut().unwrap();
        let others: Vec<_> = (0..3).filter(|agent| *agent != leader).collect();
        let _ = cluster.leader(&others);
        self.ledger.away(false);
        cluster.agent_mut(leader).restart();
        wait_until("the server that is used has a leader", || agents.takes_writes());
    }

    /// `behind`: the copy no longer receives anything when the last writes are acknowledged.
    fn take_over(&mut self, backend: &mut Backend, behind: bool) -> usize {
        let link = Relay::start(backend.port().unwrap());
        let copy = Copy::of(backend, &link);
        self.flips(backend, LATE, false);
        if behind {
            // Else it may lack the flips too.
            std::thread::sleep(Duration::from_secs(1));
            link.harm(Harm::Refuse);
        }
        for flag in 0..LATE {
            let change = if self.is_present(flag) { Change::Set } else { Change::Create };
            if !self.ledger.is_set_aside(flag) {
                self.write(backend, flag, change, false, false);
            }
        }
        match &mut backend.kind {
            Kind::Postgres(server) => server.kill(),
            Kind::Redis(server) => server.kill(),
            _ => {}
        }
        self.ledger.away(true);
        copy.promote();
        backend.kind = match copy {
            Copy::Postgres(server) => Kind::Postgres(server),
            Copy::Redis(server) => Kind::Redis(server),
        };
        // Before a client can see it.
        let lost = self.find_lost(backend);
        backend.lead_to(backend.port().unwrap());
        self.ledger.away(false);
        self.writers.connect_again();
        self.create_all(backend, false);
        lost
    }

    fn find_lost(&mut self, backend: &Backend) -> usize {
        let mut lost = 0;
        for flag in 0..self.ledger.len() {
            let Some(last) = self.ledger.last(flag).filter(|_| !self.ledger.is_set_aside(flag)) else { continue };
            match backend.kept(flag) {
                Ok(kept) if kept == last.present.then_some(last.number) => {}
                Ok(kept) => {
                    self.ledger.went_back([(flag, kept.unwrap_or(0))]);
                    self.lost[flag] = true;
                    lost += 1;
                }
                Err(what) => self.wrong.push(what),
            }
        }
        lost
    }
}
