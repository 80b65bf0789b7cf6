#!/usr/bin/env bash
# redis-py 8 repeats a write that may have succeeded, and returns the second reply as if it were the first.
# Versions: PyPI redis 8.1.0; server Valkey 8.1.8. The client has its defaults, which repeat each command up to 10 times, except
# a socket_timeout of 0.5 s: the default of 5 s would slow the script down.
# Expected: a write with a late reply raises TimeoutError, as with redis 5.0.8 and the same socket_timeout.
# Seen: the server is busy for 1 s, once. `set(name, value, nx=True)` returns None, "existed already", and the stored value is the
# caller's own. `incr` of a new counter returns 2. Nothing is raised or logged.
# Consequence: a lock that was taken looks as if it was not, a created flag as if it had existed, a successful compare-and-set by a
# script as a conflict. For such writes configure `retry=Retry(NoBackoff(), 0)`, and read the stored value after an error.
source "$(dirname "$0")/support/common.sh"

serve "$(valkey)"
python_packages redis==8.1.0
timeout 60 python3 - "$port" >"$home/out" <<'PY'
import sys, threading, time
import redis

port = int(sys.argv[1])
defaults = redis.Redis(port=port)
print("defaults", defaults.connection_pool.connection_kwargs.get("socket_timeout"), defaults.get_retry().get_retries())

def while_busy(call):
    other = redis.Redis(port=port)
    other.ping()
    busy = threading.Thread(target=lambda: other.execute_command("DEBUG", "SLEEP", "1"))
    client.ping()
    busy.start()
    time.sleep(0.1)  # the server has begun to sleep
    answer = call()
    busy.join()
    return answer

client = redis.Redis(port=port, socket_timeout=0.5, decode_responses=True)
print("set nx", while_busy(lambda: client.set("flag", "mine", nx=True)), client.get("flag"))
print("incr", while_busy(lambda: client.incr("counter")), client.get("counter"))
PY
expected "TimeoutError, or True for the SET NX whose value is stored, and 1 for INCR"
while read -r line; do seen "$line"; done <"$home/out"
[ "$(cat "$home/out")" = $'defaults 5 10\nset nx None mine\nincr 2 2' ] || changed "the answers"
