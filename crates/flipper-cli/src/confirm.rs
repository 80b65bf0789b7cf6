//! Asks before something is destroyed.

use std::io::{self, IsTerminal, Write};

use crate::detached::detached;
use crate::failure::{Done, Failure};
use crate::output::Output;

pub(crate) async fn ask(out: &mut Output, question: &str) -> Done<bool> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let failure = Failure::usage("this asks before it does it, and there is no terminal to ask on");
        // There is no terminal for the next question either.
        return Err(failure.hint("add --yes").ends_all());
    }
    out.flush()?;
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let answer = detached(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = answer.await?.map_err(|error| Failure::usage(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
