#!/usr/bin/env bash
# The database of one Redis URL, `redis://HOST?db=3`, depends on the client.
# Versions: crate redis 1.8.1, npm redis 6.3.1, npm ioredis 6.0.0, PyPI redis 8.1.0; server Valkey 8.1.8.
# Expected: clients that support the parameter use database 3, the others refuse it.
# Seen: PyPI's redis and ioredis use database 3; npm's redis and the crate redis ignore the parameter and use database 0.
# With a path as well, `redis://HOST/2?db=3`, Python uses 3 and all the others 2. None warns.
# Consequence: services in two languages that share REDIS_URL use two databases; each finds
# its own flags missing or old. Write the database as a path, `redis://HOST/3`: all four agree on that.
source "$(dirname "$0")/support/common.sh"

serve "$(valkey)"
source "$here/support/redis-clients.sh"

base=redis://127.0.0.1:$port
for pair in '/3=3 3 3 3' '?db=3=3 3 0 0' '/2?db=3=3 2 2 2'; do
  path=${pair%=*} stated=${pair##*=}
  numbers=$(for client in "${redis_clients[@]}"; do redis_command "$client" "$base$path" CLIENT INFO | grep -o ' db=[0-9]*'; done | cut -d= -f2 | xargs)
  expected "redis://HOST$path: the same database in all four, or a refusal"
  seen "redis://HOST$path: PyPI redis, ioredis, npm redis, crate redis use $numbers"
  [ "$numbers" = "$stated" ] || changed "which database redis://HOST$path means"
done
