//! A Consul cluster.

use super::agent::{ConsulAgent, ConsulOptions};
use crate::port::free_port;
use crate::wait_until;

/// A cluster of three servers.
#[derive(Debug)]
pub struct ConsulCluster {
    agents: Vec<ConsulAgent>,
}

impl ConsulCluster {
    /// Starts it; `None` without Consul.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut log = String::new();
        // Another process may take a port before Consul does.
        for _ in 0..5 {
            let serf: Vec<_> = (0..3).map(|_| free_port()).collect();
            let options = ConsulOptions::default().cluster(serf.clone());
            let agents: Option<Vec<_>> = serf.into_iter().map(|port| options.clone().launch(port)).collect();
            let mut agents = agents?;
            match agents.iter_mut().find_map(|agent| (!agent.is_up()).then(|| agent.log())) {
                Some(why) => log = why,
                None => return Some(Self { agents }),
            }
        }
        panic!("a cluster of consul does not start: {log}");
    }

    /// The servers.
    #[must_use]
    pub fn agents(&self) -> &[ConsulAgent] {
        &self.agents
    }

    /// One of the servers, to kill or pause it.
    pub fn agent_mut(&mut self, index: usize) -> &mut ConsulAgent {
        &mut self.agents[index]
    }

    /// Waits for a leader among these, and returns its index.
    #[must_use]
    pub fn leader(&self, among: &[usize]) -> usize {
        let mut leader = None;
        wait_until("there is a leader", || {
            leader = among.iter().copied().find(|index| self.agents[*index].is_leader());
            leader.is_some()
        });
        leader.expect("a leader")
    }
}
