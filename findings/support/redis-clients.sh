# Sourced after common.sh: four clients of Redis that send a command to a URL. Versions as below.
redis_clients=("PyPI redis" "npm ioredis" "npm redis" "crate redis")
python_packages redis==8.1.0
npm_packages redis@6.3.1 ioredis@6.0.0
rust_probe 'redis = { version = "=1.8.1", default-features = false }' <<'RUST'
fn main() -> redis::RedisResult<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut connection = redis::Client::open(&*words[0])?.get_connection()?;
    println!("{}", redis::cmd(&words[1]).arg(&words[2..]).query::<String>(&mut connection)?);
    Ok(())
}
RUST
cat >"$home/client.py" <<'PY'
import redis, sys
print(redis.Redis.from_url(sys.argv[1], decode_responses=True).execute_command(*sys.argv[2:]))
PY
cat >"$home/ioredis.mjs" <<'JS'
import Redis from 'ioredis';
const client = new Redis(process.argv[2]);
console.log(await client.call(...process.argv.slice(3)));
client.disconnect();
JS
cat >"$home/redis.mjs" <<'JS'
import { createClient } from 'redis';
const client = createClient({ url: process.argv[2] });
await client.connect();
console.log(await client.sendCommand(process.argv.slice(3)));
client.destroy();
JS

redis_command() { # CLIENT URL COMMAND…: prints the reply
  case $1 in
    "PyPI redis") timeout 20 python3 "$home/client.py" "${@:2}" ;;
    "npm ioredis") timeout 20 node "$home/ioredis.mjs" "${@:2}" ;;
    "npm redis") timeout 20 node "$home/redis.mjs" "${@:2}" ;;
    "crate redis") timeout 20 "$probe" "${@:2}" ;;
  esac
}
