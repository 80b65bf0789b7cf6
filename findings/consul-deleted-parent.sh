#!/usr/bin/env bash
# Consul: a recursive delete of `features` removes everything that a blocking query on `features/` watches, and does not wake it.
# Versions: Consul 1.8.7 (Debian bullseye), one agent in development mode.
# Expected: the query returns at once with 404, as after a recursive delete of `features/`.
# Seen: if any key under `features/` was deleted in the previous quarter of an hour, the query runs until its wait ends, 5
# minutes by default. A plain read answers 404, with an index *lower* than the query's: only the tombstone of the old deletion
# remains under the prefix, and the new tombstone, of `features`, is not under it.
# Consequence: a service continues with deleted flags. Watch the prefix without the slash (and ignore `features-old`
# and the like), keep `wait` short, and restart from 0 when an index goes back.
source "$(dirname "$0")/support/common.sh"

program=$(consul) || cannot "Consul 1.8.7 is unavailable"
version "$("$program" version | head -1)"
agent() {
  http=$(free_port); lan=$(free_port); rpc=$(free_port)
  "$program" agent -dev -bind=127.0.0.1 -log-level=err -http-port="$http" -server-port="$rpc" -serf-lan-port="$lan" -serf-wan-port=-1 \
    -dns-port=-1 -grpc-port=-1 >"$home/agent.log" 2>&1 &
  started+=($!); disown
  kv=http://127.0.0.1:$http/v1/kv
  wait_for curl -sf -X PUT -d 1 "$kv/ready"
}
index() { curl -s -o /dev/null -D - "$kv/features/?recurse" | tr -d '\r' | awk 'tolower($1) == "x-consul-index:" { print $2 }'; }
# DELETED: how long a blocking query on `features/` takes if this is deleted half a second after its start.
waited() {
  for flag in a b c; do curl -s -X PUT -d on "$kv/features/$flag" >/dev/null; done
  before=$(index)
  curl -s -o /dev/null -w '%{http_code} %{time_total}\n' "$kv/features/?recurse&index=$before&wait=6s" >"$home/answer" & local query=$!
  sleep 0.5
  curl -s -X DELETE "$kv/$1?recurse" >/dev/null
  after=$(index)
  wait "$query"
  read -r status seconds <"$home/answer"
}
agent
curl -s -X PUT -d on "$kv/features/old" >/dev/null
curl -s -X DELETE "$kv/features/old" >/dev/null

expected "the query on features/ ends at once, whichever of features/ and features is deleted"
waited features/
seen "features/ is deleted: $status after $seconds s, index $before -> $after"
awk -v s="$seconds" 'BEGIN { exit !(s < 4) }' || changed "the plain case"
waited features
seen "features is deleted: $status after $seconds s of wait=6s, index $before -> $after"
awk -v s="$seconds" 'BEGIN { exit !(s > 5.5) }' && [ "$after" -lt "$before" ] || changed "the watch is woken"
