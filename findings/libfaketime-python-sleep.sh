#!/usr/bin/env bash
# libfaketime: with its option to leave the monotonic clock alone, `time.sleep` of Python fails, whatever time is set.
# Versions: libfaketime 0.9.10 (Debian bookworm), Python 3.11 or newer.
# Expected: `time.sleep(0.2)` sleeps for 0.2 s: the option exists so that waiting is not faked with the date.
# Seen: OSError "Invalid argument" at once, with an offset of 0, too. Python sleeps until a moment of the monotonic clock since 3.11, by
# `clock_nanosleep`, which the library answers so; until 3.10 it slept by `select`. `Event.wait`, asyncio and Node's timers wait as they should,
# and without the option `time.sleep` does.
# Consequence: a test that moves the date under a service (flags with a schedule, tokens that expire) breaks each retry loop of that service
# that sleeps, and the loops then spin or end. Set the clock without the option, or by a clock of the program's own.
source "$(dirname "$0")/support/common.sh"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || cannot "Python is older than 3.11"
command -v node >/dev/null || cannot "node is missing"
debian_packages libfaketime=0.9.10-2.1
library=$(find "$home/debian" -name libfaketime.so.1)
version "libfaketime 0.9.10-2.1, Python $(python3 -c 'import platform; print(platform.python_version())'), Node $(node --version)"
cat >"$home/wait.py" <<'PY'
import sys, threading, time
start = time.monotonic()
try:
    time.sleep(0.2) if sys.argv[1] == "sleep" else threading.Event().wait(0.2)
    print("waits" if time.monotonic() - start > 0.15 else "returns at once")
except OSError as error:
    print(error.strerror)
PY
under() { timeout 20 env LD_PRELOAD="$library" "$@" || true; }
node_waits='const start = performance.now(); setTimeout(() => console.log(performance.now() - start > 150 ? "waits" : "returns at once"), 200)'

expected "all of them wait"
for offset in +0 +2h -2h; do
  sleeps=$(under FAKETIME=$offset FAKETIME_DONT_FAKE_MONOTONIC=1 python3 "$home/wait.py" sleep)
  event=$(under FAKETIME=$offset FAKETIME_DONT_FAKE_MONOTONIC=1 python3 "$home/wait.py" event)
  node=$(under FAKETIME=$offset FAKETIME_DONT_FAKE_MONOTONIC=1 node -e "$node_waits")
  without=$(under FAKETIME=$offset python3 "$home/wait.py" sleep)
  seen "$offset: time.sleep: $sleeps; Event.wait: $event; Node's setTimeout: $node; time.sleep without the option: $without"
  [ "$sleeps; $event; $node; $without" = "Invalid argument; waits; waits; waits" ] || changed "what waits at $offset"
done
