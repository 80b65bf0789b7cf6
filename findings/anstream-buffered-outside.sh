#!/usr/bin/env bash
# anstream for Rust: a buffer around its stream collects nothing once styles are stripped.
# Versions: crate anstream 1.0.0.
# Expected: a `BufWriter` of 64 KiB around `anstream::stdout().lock()` writes a thousand short lines, 26 KB, in one system call, as it
# does around `std::io::stdout().lock()`.
# Seen: two calls for each styled line. The buffer passes its content on at once, but what is left between two styles is written
# piece by piece, into the line buffer of standard output, which writes the rest of a line when the next begins.
# Consequence: a command is slow just where its output goes into a file or a pipe: on a terminal, where nothing is stripped, it makes
# one call. Put the buffer below: `AutoStream::new(Box::new(BufWriter::new(…)) as Box<dyn Write>, AutoStream::choice(&stdout()))`.
source "$(dirname "$0")/support/common.sh"
[ -r /proc/self/io ] || cannot "the kernel does not count the calls of a process"

rust_probe 'anstream = "=1.0.0"' <<'RUST'
use std::io::{BufWriter, Write};

fn calls() -> u64 {
    let counts = std::fs::read_to_string("/proc/self/io").unwrap();
    counts.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

fn lines(out: impl Write, [on, off]: [&str; 2]) -> u64 {
    let before = calls();
    let mut out = BufWriter::with_capacity(1 << 16, out);
    for number in 0..1000 {
        writeln!(out, "{on}FLAG_{number:05}{off}  on, for everybody").unwrap();
    }
    out.flush().unwrap();
    calls() - before
}

fn main() {
    let style = ["\x1b[1m", "\x1b[0m"];
    eprintln!("std, without styles: {}", lines(std::io::stdout().lock(), ["", ""]));
    eprintln!("std, with styles: {}", lines(std::io::stdout().lock(), style));
    eprintln!("anstream, without styles: {}", lines(anstream::stdout().lock(), ["", ""]));
    eprintln!("anstream, with styles: {}", lines(anstream::stdout().lock(), style));
}
RUST
"$probe" >"$home/text" 2>"$home/out"
expected "a few calls in each"
while read -r line; do seen "$line"; done <"$home/out"
read -r _ _ _ plain < <(sed -n 3p "$home/out")
read -r _ _ _ styled < <(sed -n 4p "$home/out")
[ "$plain" -le 4 ] && [ "$styled" -ge 1000 ] || changed "the number of calls"
