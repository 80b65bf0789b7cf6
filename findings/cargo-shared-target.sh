#!/usr/bin/env bash
# Two clones of one repository that share a target folder run each other's program.
# Version: cargo 1.95.0. It needs no packages.
# Expected: CARGO_TARGET_DIR may be shared, as by work trees or jobs of CI: what another folder's sources made has another name, or is made again.
# Seen: a package of a workspace has a name by its path within the workspace, the same in both clones, and is current if its sources are older than
# what was made. So `cargo run` in the clone whose files were written first runs the other's program, without a word; `cargo test` likewise.
# Consequence: tests pass or fail for code that they were never built from. Who shares a target folder to build dependencies once gets that.
source "$(dirname "$0")/support/common.sh"

command -v cargo >/dev/null || cannot "cargo is missing"
version "$(cargo --version)"
export CARGO_TARGET_DIR=$home/target
for clone in first second; do
  mkdir -p "$home/$clone/program/src"
  printf '%s\n' '[workspace]' 'members = ["program"]' 'resolver = "2"' >"$home/$clone/Cargo.toml"
  printf '%s\n' '[package]' 'name = "program"' 'version = "0.1.0"' 'edition = "2021"' >"$home/$clone/program/Cargo.toml"
  printf 'fn main() { println!("%s"); }\n' "$clone" >"$home/$clone/program/src/main.rs"
done
run() { (cd "$home/$1" && cargo run --quiet) || cannot "cargo run"; }
made=$(run first)
expected "in the second clone: second"
then=$(run second)
seen "in the first clone: $made; in the second, whose files are no newer than what was made: $then"
sleep 1
touch "$home/second/program/src/main.rs"
now=$(run second)
seen "in the second, after its source was touched: $now; and in the first: $(run first)"
[ "$made $then $now $(run first)" = "first first second second" ] || changed "whose program runs"
