#!/usr/bin/env bash
# A replica that is cut off from its primary answers old data and reports `master_link_status:up`, for a minute.
# Versions: Valkey 8.1.8 with its defaults, as primary and as replica; a small proxy between them that is stopped.
# Expected: `master_link_status:up` means that the replica has all that the primary acknowledged just before, and that a cut is
# noticed within a ping or two (`repl-ping-replica-period` is 10 s).
# Seen: the link stays up until `repl-timeout`, 60 s by default. Reads return the old value, `replica-serve-stale-data no` does not help, and
# the primary still lists the replica as online. Only `master_last_io_seconds_ago` reveals it; up to 10 is healthy.
# Consequence: a health check of the link's status passes while flags are a minute old. Check the seconds, or lower repl-timeout.
source "$(dirname "$0")/support/common.sh"

program=$(valkey)
mkdir "$home/primary" "$home/replica"
serve "$program" --dir "$home/primary"
primary=$port
between=$(free_port)
python3 "$here/support/forward.py" "$between" "$primary" & started+=($!); disown
proxy=$!
wait_for_port "$between"
serve "$program" --dir "$home/replica" --replica-serve-stale-data no --replicaof 127.0.0.1 "$between"
replica=$port
ask() { "${program%-server}-cli" -p "$@" | tr -d '\r'; }
has() { [ "$(ask "$replica" GET flag)" = "$1" ]; }
ask "$primary" SET flag old >/dev/null
wait_for has old
kill -STOP "$proxy"
ask "$primary" SET flag new >/dev/null
expected "within 15 s the link is down, and a read is refused"
sleep 15 # the absence of a change is under test
link=$(ask "$replica" INFO replication | grep -E 'master_link_status|master_last_io' | xargs)
value=$(ask "$replica" GET flag)
state=$(ask "$primary" INFO replication | grep -o 'state=[a-z]*')
seen "after 15 s the replica answers \`$value\`, $link; primary: $state, repl-timeout $(ask "$replica" CONFIG GET repl-timeout | tail -1)"
[[ $value = old && $link = *master_link_status:up* && $state = state=online ]] || changed "what a cut-off replica says"
