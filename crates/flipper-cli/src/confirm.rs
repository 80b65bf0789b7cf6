//! Asking before something is destroyed.

use std::io::{self, Write};

use crate::apart::apart;
use crate::failure::{Done, Failure};
use crate::output::{self, Output};

/// Whether a person says yes.
pub(crate) async fn ask(out: &mut Output, question: &str) -> Done<bool> {
    if !output::can_ask() {
        let failure = Failure::usage("this asks before it does it, and there is no terminal to ask on");
        // No one is there to be asked about the next one either.
        return Err(failure.hint("add --yes").ends_all());
    }
    out.flush()?;
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let answer = apart(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await?.map_err(|error| Failure::usage(format!("no answer can be read: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
