#!/usr/bin/env bash
# Changes that client tracking in broadcast mode reports late, or never.
# Versions: Valkey 8.1.8, and Redis 7.0.15 where it is installed.
# Expected: whenever the result of a GET changes, a client that tracks the key gets a report, at once.
# Seen: SWAPDB replaces the whole database and is not reported at all. (FLUSHDB is, of *any* database.)
# 400,000 keys that expire together: a read finds a key missing, but unread keys are reported as they
# are deleted in the background, the last of them one to several seconds late, later on a busy machine.
# Consequence: a cache that relies on tracking serves the swapped-out database until each key is written, and expired flags
# too long. Do not restore a database by SWAPDB under such clients, or restart them; store the expiry in the flag.
source "$(dirname "$0")/support/common.sh"

check() {
  serve "$1"
  PYTHONPATH=$here/support timeout 120 python3 - "$port" >"$home/out" <<'PY'
import sys, time
from resp import Connection, tracking

port = int(sys.argv[1])
writer, watcher = Connection(port), tracking(port)
writer.ask("SET f/a old", "SELECT 1", "SET other new", "SELECT 0")
watcher.pushes()
writer.ask("SWAPDB 0 1")
print("swap", writer.ask("GET f/a"), watcher.pushes())

count, due = 400_000, int((time.time() + 10) * 1000)
script = "for i = 1, ARGV[1] do redis.call('SET', 'f/' .. i, '1', 'PXAT', ARGV[2]) end"
writer.ask(("EVAL", script, "0", str(count), str(due)))
watcher.pushes()
assert time.time() * 1000 < due, "too slow to set the keys"
time.sleep(max(0, due / 1000 - time.time()))
gone, last = set(), due
while len(gone) < count and time.time() * 1000 < due + 60_000:
    push = watcher.read()
    if push[1]:
        gone.update(push[1])
        last = time.time() * 1000
print("late", round(last - due), len(gone))
PY
  expected "a report of SWAPDB; expired keys within 100 ms, as \`hz 10\` lets one guess"
  seen "SWAPDB: $(sed -n 's/^swap //p' "$home/out" | sed 's/^\[None\] /GET is now null, reports: /')"
  read -r _ late keys <<<"$(grep late "$home/out")"
  seen "the last of $keys expired keys is reported $late ms after it was due"
  [ "$(head -1 "$home/out")" = 'swap [None] []' ] || changed "SWAPDB"
  [ "$keys" = 400000 ] && [ "$late" -gt 500 ] || changed "how late an expiry is reported"
}
check "$(valkey)"
if redis-server --version 2>/dev/null | grep -q 'v=7\.0\.15'; then check redis-server; fi
