#!/usr/bin/env bash
# A Redis URL with a user and no password, `redis://viewer@HOST`: two of four clients send no user at all.
# Versions: crate redis 1.8.1, npm redis 6.3.1, npm ioredis 6.0.0, PyPI redis 8.1.0; server Valkey 8.1.8.
# One would guess: a user that needs no password (`nopass`) is logged in, or the URL is refused.
# Seen: the crate redis and npm's redis send no AUTH, without an error or a warning, and every command runs as `default`.
# `redis://viewer:@HOST` is the same in both. ioredis and PyPI's redis send the user with an empty password.
# What follows: a process that is meant to read only may write, if `default` may. Give such a user a password, or set an empty
# one by the client's own options, and let the process ask `ACL WHOAMI` at its start.
# (Known for the crate: redis-rs issue 1713.)
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
    let name: String = redis::cmd("ACL").arg("WHOAMI").query(&mut connection)?;
    println!("{name}");
    Ok(())
}
RUST
cargo build -q --manifest-path "$home/crate/Cargo.toml" --target-dir "$home/target" || cannot "cargo build"
version "$(cargo --version), crate redis 1.8.1"
cat >"$home/node-redis.mjs" <<'JS'
import { createClient } from 'redis';
const client = createClient({ url: process.argv[2] });
await client.connect();
console.log(await client.sendCommand(['ACL', 'WHOAMI']));
client.destroy();
JS
cat >"$home/ioredis.mjs" <<'JS'
import Redis from 'ioredis';
const client = new Redis(process.argv[2]);
console.log(await client.acl('WHOAMI'));
client.disconnect();
JS
python3 - "$port" <<'PY'
import redis, sys
redis.Redis(port=int(sys.argv[1])).acl_setuser("viewer", enabled=True, nopass=True, keys=["*"],
    categories=["+@read", "+@connection"], commands=["+acl|whoami", "+info"])
PY

url=redis://viewer@127.0.0.1:$port
crate=$(timeout 20 "$home/target/debug/probe" "$url")
node=$(timeout 20 node "$home/node-redis.mjs" "$url")
ioredis=$(timeout 20 node "$home/ioredis.mjs" "$url")
python=$(timeout 20 python3 -c 'import redis, sys; print(redis.Redis.from_url(sys.argv[1], decode_responses=True).acl_whoami())' "$url")
expected "all four are \`viewer\`, or refuse redis://viewer@HOST"
seen "crate redis: $crate, npm redis: $node, npm ioredis: $ioredis, PyPI redis: $python"
[ "$crate $node $ioredis $python" = "default default viewer viewer" ] || changed "who acts as whom"
