//! Who may do what.

/// In ascending order: each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Evaluate,
    Read,
    Write,
    Admin,
}

/// What the caller of a request may do; an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) role: Role,
    /// Names begin with one of these; empty: all names.
    pub(crate) prefixes: std::sync::Arc<[String]>,
}

impl Access {
    /// What a server without tokens allows, which listens on loopback only.
    pub(crate) fn everything() -> Self {
        Self { role: Role::Admin, prefixes: [].into() }
    }

    pub(crate) fn allows(&self, role: Role, name: &str) -> bool {
        self.role >= role
            && (self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(&**prefix)))
    }
}
