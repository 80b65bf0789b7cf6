#!/usr/bin/env bash
# Consul: a blocking query with an index higher than the server's does not return, however often the key changes.
# Versions: Consul 1.8.7 (Debian bullseye), one agent in development mode.
# Expected: the query returns at once (the documentation asks clients to restart from 0 when an index goes back), or at the
# next change of the key.
# Seen: it returns when its wait ends, 5 minutes by default, although the key changes. Only then does the client
# see a lower index and can follow that advice.
# Consequence: after a data centre was rebuilt, each watcher that reconnects with its old index receives nothing for up to
# 5 minutes, and serves old flags. After each lost connection read without an index first.
source "$(dirname "$0")/support/common.sh"

program=$(consul) || cannot "Consul 1.8.7 is unavailable"
version "$("$program" version | head -1)"
http=$(free_port)
agent() { # a development agent keeps no data: the second one is a new data centre
  "$program" agent -dev -bind=127.0.0.1 -log-level=err -http-port="$http" -server-port="$(free_port)" -serf-lan-port="$(free_port)" \
    -serf-wan-port=-1 -dns-port=-1 -grpc-port=-1 >"$home/agent.log" 2>&1 &
  started+=($!); disown
  kv=http://127.0.0.1:$http/v1/kv
  wait_for curl -sf -X PUT -d 1 "$kv/ready"
}
index() { curl -s -o /dev/null -D - "$kv/features/a" | tr -d '\r' | awk 'tolower($1) == "x-consul-index:" { print $2 }'; }
agent
for number in $(seq 200); do curl -s -X PUT -d "$number" "$kv/features/a" >/dev/null; done
old=$(index)
kill -KILL "${started[-1]}"
agent
curl -s -X PUT -d new "$kv/features/a" >/dev/null
now=$(index)
expected "an answer at once, or at the first of five changes"
curl -s -o /dev/null -w '%{time_total}' "$kv/features/a?index=$old&wait=6s" >"$home/late" & late=$!
curl -s -o /dev/null -w '%{time_total}' "$kv/features/a?index=$now&wait=6s" >"$home/prompt" & prompt=$!
for number in 1 2 3 4 5; do sleep 0.5; curl -s -X PUT -d "new $number" "$kv/features/a" >/dev/null; done
wait "$late" "$prompt"
seen "with the new server's index, $now: after $(cat "$home/prompt") s; with the old one's, $old: after $(cat "$home/late") s of wait=6s"
awk -v p="$(cat "$home/prompt")" -v l="$(cat "$home/late")" 'BEGIN { exit !(p < 4 && l > 5.5) }' || changed "when the query returns"
