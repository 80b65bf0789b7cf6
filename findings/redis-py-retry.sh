#!/usr/bin/env bash
# redis-py 8 sends a command again that may have been carried out, and returns the second answer as if it were the first.
# Versions: PyPI redis 8.1.0, with its own defaults for repetition (10 times; they apply to every command, writes too) and, here,
# a shorter socket_timeout than the default of 5 s so that the script is quick; server Valkey 8.1.8.
# One would guess: a write whose answer is late raises TimeoutError. In redis-py up to 5 it did: no timeout and no repetition.
# Seen: the server is busy once for longer than the timeout. `set(name, value, nx=True)` returns None, "somebody else was
# first", and the stored value is the caller's own. `incr` of a new counter returns 2. Nothing is raised or logged.
# What follows: locks that were taken look as if they were not, "create" says "exists already", a compare-and-set by script says
# "conflict". Where that matters, give `retry=Retry(NoBackoff(), 0)`, or make writes that can be recognised as one's own.
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
