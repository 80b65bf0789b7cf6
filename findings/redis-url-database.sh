#!/usr/bin/env bash
# One Redis URL, `redis://HOST?db=3`: which database it means depends on the client.
# Versions: crate redis 1.8.1, npm redis 6.3.1, npm ioredis 6.0.0, PyPI redis 8.1.0; server Valkey 8.1.8.
# One would guess: all clients that take the parameter mean database 3, the others refuse it.
# Seen: PyPI's redis and ioredis use database 3; npm's redis and the crate redis ignore the parameter and use database 0.
# With a path as well, `redis://HOST/2?db=3`, Python uses 3 and all the others 2. None warns.
# What follows: services that share REDIS_URL and are written in two languages read and write two databases; each finds
# its own flags missing or old. Write the database as a path, `redis://HOST/3`: all four agree on that.
source "$(dirname "$0")/support/common.sh"

serve "$(valkey)"
python_packages redis==8.1.0
npm_packages redis@6.3.1 ioredis@6.0.0
command -v cargo >/dev/null || cannot "cargo is missing"
mkdir -p "$home/crate/src"
cat >"$home/crate/Cargo.toml" <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[dependencies]
redis = { version = "=1.8.1", default-features = false }
[profile.dev]
debug = false
TOML
cat >"$home/crate/src/main.rs" <<'RUST'
fn main() -> redis::RedisResult<()> {
    let url = std::env::args().nth(1).expect("a URL");
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let text: String = redis::cmd("CLIENT").arg("INFO").query(&mut connection)?;
    println!("{}", text.split(' ').find_map(|word| word.strip_prefix("db=")).unwrap_or("?"));
    Ok(())
}
RUST
cargo build -q --manifest-path "$home/crate/Cargo.toml" --target-dir "$home/target" || cannot "cargo build"
version "$(cargo --version), crate redis 1.8.1"
cat >"$home/node-redis.mjs" <<'JS'
import { createClient } from 'redis';
const client = createClient({ url: process.argv[2] });
await client.connect();
console.log((await client.sendCommand(['CLIENT', 'INFO'])).match(/ db=(\d+)/)[1]);
client.destroy();
JS
cat >"$home/ioredis.mjs" <<'JS'
import Redis from 'ioredis';
const client = new Redis(process.argv[2]);
console.log((await client.client('INFO')).match(/ db=(\d+)/)[1]);
client.disconnect();
JS

databases() {
  timeout 20 python3 -c 'import redis, sys; print(redis.Redis.from_url(sys.argv[1]).client_info()["db"])' "$1"
  timeout 20 node "$home/ioredis.mjs" "$1"
  timeout 20 node "$home/node-redis.mjs" "$1"
  timeout 20 "$home/target/debug/probe" "$1"
}
base=redis://127.0.0.1:$port
for pair in '/3=3 3 3 3' '?db=3=3 3 0 0' '/2?db=3=3 2 2 2'; do
  path=${pair%=*} stated=${pair##*=}
  numbers=$(databases "$base$path" | xargs)
  expected "redis://HOST$path: the same database in all four, or a refusal"
  seen "redis://HOST$path: PyPI redis, ioredis, npm redis, crate redis use $numbers"
  [ "$numbers" = "$stated" ] || changed "which database redis://HOST$path means"
done
