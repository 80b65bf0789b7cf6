#!/usr/bin/env bash
# A full queue of notifications stays full after the session that had held it is gone.
# Version: PostgreSQL 15.18 (Debian; 15.20 is the same), with its defaults. Takes some minutes, and 9 GB of disk.
# Expected: a listener in a long transaction holds the queue, which is 8 GB; once the listener has ended, each NOTIFY succeeds again.
# Seen: each transaction with a NOTIFY still fails at its commit, in each database of the server, with its other writes: only a commit that got into the
# queue moves its tail, and none gets in. `SELECT pg_notification_queue_usage()`, which reads as if it only looked, moves the tail, and all is well.
# Consequence: to end the listener, as the server's own hint says, is half of the remedy. A monitor that asks how full the queue is heals it; without
# one it stays broken until a restart.
source "$(dirname "$0")/support/common.sh"
source "$here/support/postgresql.sh"

free=$(df --output=avail -k "$home" | tail -1)
((free > 10 * 1024 * 1024)) || cannot "10 GB of disk are needed in $home"
cluster full
postgres full
sql "$port" postgres "CREATE TABLE flags (name text PRIMARY KEY, is_on boolean); INSERT INTO flags VALUES ('checkout', false)"
# It holds the queue as long as its transaction lasts.
mkfifo "$home/listener"
"$postgresql/psql" -h 127.0.0.1 -p "$port" -U postgres -qAt postgres <"$home/listener" >"$home/listener.out" & started+=($!); disown
exec 3>"$home/listener"
printf 'LISTEN flips; BEGIN; SELECT pg_backend_pid();\n' >&3
wait_for test -s "$home/listener.out"
flip() { sql "$port" postgres "BEGIN; UPDATE flags SET is_on = NOT is_on; NOTIFY flips; COMMIT" >"$home/flip" 2>&1; }
flip || changed "the first flip"
# The longest payload that there is, none twice: PostgreSQL keeps one of each.
fill="SELECT count(pg_notify('flips', lpad(n::text || ' ', 7999, 'x'))) FROM generate_series(1, 40000) AS n"
for ((times = 0; times < 40; times++)); do
  sql "$port" postgres "$fill" >/dev/null 2>"$home/filled" || break
done
# A little room may be left.
while flip; do :; done
seen "the queue is full: $(grep -m1 ERROR "$home/flip")"
expected "once the listener has ended, a flip succeeds"
sql "$port" postgres "SELECT pg_terminate_backend($(cat "$home/listener.out"))" >/dev/null
listeners() { sql "$port" postgres "SELECT count(*) FROM pg_stat_activity WHERE pid = $(cat "$home/listener.out")"; }
gone() { [ "$(listeners)" = 0 ]; }
wait_for gone
failed=0
for ((times = 0; times < 20; times++)); do flip || failed=$((failed + 1)); sleep 0.1; done
seen "$failed of 20 flips fail: $(grep -m1 ERROR "$home/flip" || true)"
usage=$(sql "$port" postgres "SELECT pg_notification_queue_usage()")
flip && after=succeeds || after=fails
seen "after SELECT pg_notification_queue_usage(), which is $usage, a flip $after"
[ "$failed" = 20 ] && [ "$usage" = 0 ] && [ "$after" = succeeds ] || changed "what empties the queue"
