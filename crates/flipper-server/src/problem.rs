//! `application/problem+json`.
