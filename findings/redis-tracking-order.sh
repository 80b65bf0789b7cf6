#!/usr/bin/env bash
# Client tracking in broadcast mode reports names at the end of a round of the server's loop, but a flush at once.
# Versions: Valkey 8.1.8, and Redis 7.0.15 where it is installed.
# Expected: reports come in the order of the writes; NOLOOP omits only the client's own writes.
# Seen: SET f/old, FLUSHDB, SET f/new in one pipeline is reported as "everything is gone", then f/old and f/new.
# And NOLOOP omits another client's SET if the client's own EXPIRE (or GETEX) of the key runs in the same round.
# Consequence: a cache that applies reports in order, without reading, ends with f/old; a cache with NOLOOP silently keeps an old
# value forever. Read each name after a flush, and do not use NOLOOP.
source "$(dirname "$0")/support/common.sh"

check() {
  serve "$1"
  PYTHONPATH=$here/support timeout 60 python3 - "$port" >"$home/out" <<'PY'
import sys, time
from resp import Connection, tracking

port = int(sys.argv[1])
writer = Connection(port)
watcher = tracking(port)
writer.ask("SET f/old 1", "FLUSHDB", "SET f/new 1")
print("flush", [names and sorted(names) for names in watcher.pushes()])

def reported(options, also):
    """Of ten values that another client sets, how many are reported."""
    watcher, busy, count = tracking(port, options), Connection(port), 0
    for number in range(10):
        busy.send("DEBUG SLEEP 0.2")  # so that both commands wait for the same round
        time.sleep(0.05)
        writer.send(f"SET f/a {number}")
        time.sleep(0.02)
        if also:
            watcher.send(also)
        writer.read(), busy.read()
        count += ["f/a"] in watcher.pushes()
    return count

print("noloop", reported("NOLOOP", None), reported("NOLOOP", "EXPIRE f/a 1000"), reported("", "EXPIRE f/a 1000"))
PY
  expected "f/old, then everything is gone, then f/new; another client's SET 10 times of 10"
  seen "$(sed -n 's/^flush //p' "$home/out")"
  read -r _ alone with without <<<"$(grep noloop "$home/out")"
  seen "another client's SET is reported $alone of 10 times; with an own EXPIRE behind it $with; the same without NOLOOP $without"
  [ "$(head -1 "$home/out")" = "flush [None, ['f/new', 'f/old']]" ] || changed "the order"
  [ "$alone" = 10 ] && [ "$with" -le 2 ] && [ "$without" = 10 ] || changed "what NOLOOP leaves out"
}
check "$(valkey)"
if redis-server --version 2>/dev/null | grep -q 'v=7\.0\.15'; then check redis-server; fi
