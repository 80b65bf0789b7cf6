//! The lists whose combinations are the matrix, and the impossible combinations.

use crate::soak;

/// An enum with a list of its values and a name for each.
macro_rules! list {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $value:ident = $shown:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$each])* $value),+ }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$value),+];

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$value => $shown),+ }
            }
        }
    };
}

pub(crate) use list;

list! {
    Store {
        Memory = "memory",
        Sqlite = "sqlite",
        Postgres = "postgres",
        Redis = "redis",
        Consul = "consul",
        S3 = "s3",
        Thrift = "thrift",
        HttpServer = "http-server",
    }
}

list! {
    Layer {
        Bare = "bare",
        Mirror = "mirror",
        Cache = "cache",
        /// A mirror over a Thrift server over a mirror.
        Served = "served",
        /// Two servers in a row.
        Twice = "served-twice",
        /// A mirror over an HTTP server over a mirror.
        Http = "http",
        /// Two HTTP servers in a row.
        HttpTwice = "http-twice",
        /// As `http`, behind nginx, which buffers.
        HttpNginx = "http-nginx",
        /// A mirror of a replica, which a replicated store fills: of another kind than the primary.
        Replica = "replica",
    }
}

list! {
    Situation {
        Flips = "flips",
        Recreate = "recreate",
        Killed = "killed",
        Emptied = "killed-emptied",
        Stopped = "stopped",
        Slow = "slow",
        HalfLoaded = "half-loaded",
        Refusing = "refusing",
        Permission = "permission",
        Cut = "cut",
        /// Eight writers increment one number.
        Merges = "merges",
        /// Random faults for minutes; as the following ones only in a soak.
        Soak = "soak",
        /// The same of a cluster.
        Cluster = "cluster",
        /// A copy of the server takes its place, or another server of a cluster leads.
        Failover = "failover",
        /// A foreign writer makes a flag unreadable, and mends it.
        Damaged = "damaged",
        Full = "full",
        /// The clocks of the served processes are set.
        Clock = "clock",
    }
}

list! {
    Writer {
        Ours = "ours",
        /// The Python library and the store's own shell.
        Foreign = "foreign",
        Both = "both",
    }
}

impl Situation {
    pub(crate) fn is_of_soak(self) -> bool {
        use Situation::{Clock, Cluster, Damaged, Failover, Full, Soak};
        matches!(self, Soak | Cluster | Failover | Damaged | Full | Clock)
    }
}

/// One store, situation and writer, for all layers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) store: Store,
    pub(crate) situation: Situation,
    pub(crate) writer: Writer,
}

impl Scene {
    pub(crate) fn cell(self, layer: Layer) -> String {
        [self.store.name(), layer.name(), self.situation.name(), self.writer.name()].join("/")
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Store::ALL.iter().flat_map(|&store| {
            Situation::ALL
                .iter()
                .filter(|situation| !situation.is_of_soak())
                .flat_map(move |&situation| Writer::ALL.iter().map(move |&writer| Self { store, situation, writer }))
        })
    }

    /// The quick selection: each store, situation and writer at least once.
    pub(crate) fn is_quick(self) -> bool {
        use Situation::{
            Cut, Emptied, Flips, HalfLoaded, Killed, Merges, Permission, Recreate, Refusing, Slow, Stopped,
        };
        use Store::{Consul, HttpServer, Memory, Postgres, Redis, S3, Sqlite, Thrift};
        use Writer::{Both, Foreign, Ours};
        matches!(
            (self.store, self.situation, self.writer),
            (Memory, Flips, Both)
                | (Sqlite, Recreate | HalfLoaded, Both)
                | (Postgres, Flips | Permission, Foreign)
                | (Postgres, Killed | Cut, Both)
                | (Postgres, Emptied | Stopped | Merges, Ours)
                | (Redis, Flips | Permission, Foreign)
                | (Redis, Killed | Cut, Both)
                | (Redis, Emptied | HalfLoaded | Merges, Ours)
                | (Consul, Killed, Foreign)
                | (Consul, Refusing, Both)
                | (Consul, Stopped, Ours)
                | (S3, Killed, Both)
                | (S3, Refusing, Foreign)
                | (Thrift, Recreate, Foreign)
                | (Thrift, Killed | Slow, Both)
                | (HttpServer, Emptied, Ours)
                | (HttpServer, Killed | Cut, Both)
        )
    }

    /// Whether a layer of a scene of the quick selection is one too.
    pub(crate) fn is_quick_in(self, layer: Layer) -> bool {
        use Situation::{Cut, Emptied, Flips, HalfLoaded, Killed, Refusing, Stopped};
        use Store::{Consul, HttpServer, Memory, Postgres, Redis, S3, Sqlite};
        layer != Layer::Replica
            || matches!(
                (self.store, self.situation),
                (Memory, Flips)
                    | (Sqlite, HalfLoaded)
                    | (Postgres, Flips | Killed | Stopped)
                    | (Redis, Killed | Cut | Emptied | HalfLoaded)
                    | (Consul, Refusing)
                    | (S3 | HttpServer, Killed)
            )
    }

    /// Why a cell is impossible, if it is.
    pub(crate) fn impossible(self, layer: Layer) -> Option<&'static str> {
        use Situation::{
            Clock, Cluster, Cut, Damaged, Emptied, Failover, Flips, Full, HalfLoaded, Killed, Merges, Permission,
            Recreate, Refusing, Slow, Soak, Stopped,
        };
        match (self.store, self.situation) {
            (_, Merges) if self.writer != Writer::Ours => Some("foreign writers overwrite without a precondition"),
            (_, Merges) if matches!(layer, Layer::Cache) => Some("a cache does not change writes"),
            (_, Merges) if matches!(layer, Layer::Replica) => Some("writes of a replicated store are its primary's"),
            (_, Recreate | Soak | Cluster) if matches!(layer, Layer::Replica) => {
                Some("a replica keeps flags if more than half of all are deleted within a minute")
            }
            (_, Flips | Recreate | Merges) => None,
            (Store::Memory, _) => Some("a memory store is part of the program and cannot fail alone"),
            (Store::Sqlite, Slow) => Some("a local file answers at once or is locked, which is the cell `stopped`"),
            (Store::Sqlite, Cut) => Some("a file has no connection"),
            (Store::Sqlite, Permission) if flipper_testkit::is_root() => Some("root may read every file"),
            (Store::Redis, Refusing) => Some("what Redis refuses is in `half-loaded` (LOADING) and `permission` (ACL)"),
            (Store::S3, HalfLoaded) => Some("a bucket is there whole or not at all"),
            (Store::Postgres, Refusing) => {
                Some("what PostgreSQL refuses is in `half-loaded` (starting) and `permission`")
            }
            (Store::Thrift | Store::HttpServer, Permission) => {
                Some("what a server's store refuses is in `refusing`; a server without tokens refuses nothing")
            }
            (_, Killed | Emptied | Stopped | Slow | HalfLoaded | Refusing | Permission | Cut) => None,
            (_, Soak | Cluster | Failover | Damaged | Full | Clock) => None,
        }
    }

    /// The situations of a scene: one, or in a soak all that a backend can go through in turn.
    pub(crate) fn situations(self) -> Vec<Situation> {
        use Situation::{
            Clock, Cluster, Cut, Damaged, Failover, Flips, Full, Killed, Merges, Recreate, Slow, Soak, Stopped,
        };
        if self.situation == Cluster {
            return vec![Killed, Stopped, Slow, Cut, Failover, Damaged];
        }
        if self.situation != Soak {
            return vec![self.situation];
        }
        let can_follow = |situation: &Situation| match (self.store, situation) {
            (_, Flips | Recreate | Merges | Soak | Cluster) => false,
            (store, Failover) => matches!(store, Store::Postgres | Store::Redis),
            (store, Full) => matches!(store, Store::Sqlite | Store::Redis) && soak::disk().is_some(),
            (_, Clock) => soak::fake_clock().is_some(),
            // These cannot be repeated: the older copy is from the start, and an emptied Consul loses its policies.
            (Store::Sqlite, Situation::HalfLoaded) | (Store::Consul, Situation::Permission) => false,
            (_, situation) => Self { situation: *situation, ..self }.impossible(Layer::Bare).is_none(),
        };
        Situation::ALL.iter().copied().filter(can_follow).collect()
    }
}
