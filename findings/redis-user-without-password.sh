#!/usr/bin/env bash
# A Redis URL with a user and no password, `redis://viewer@HOST`: two of four clients send no user at all.
# Versions: crate redis 1.8.1, npm redis 6.3.1, npm ioredis 6.0.0, PyPI redis 8.1.0; server Valkey 8.1.8.
# Expected: a user that needs no password (`nopass`) is logged in, or the URL is refused.
# Seen: the crate redis and npm's redis send no AUTH, without an error or a warning, and every command runs as `default`.
# `redis://viewer:@HOST` is the same in both. ioredis and PyPI's redis send the user with an empty password.
# Consequence: a read-only process may write, if `default` may. Set a password for such a user, or an empty
# one by the client's own options, and let the process check `ACL WHOAMI` at its start.
# (Known for the crate: redis-rs issue 1713.)
source "$(dirname "$0")/support/common.sh"

serve "$(valkey)"
source "$here/support/redis-clients.sh"
redis_command "PyPI redis" "redis://127.0.0.1:$port" ACL SETUSER viewer on nopass '~*' +@read +@connection '+acl|whoami' +info >/dev/null

expected "all four are \`viewer\`, or refuse redis://viewer@HOST"
users=$(for client in "${redis_clients[@]}"; do redis_command "$client" "redis://viewer@127.0.0.1:$port" ACL WHOAMI; done | xargs)
seen "PyPI redis, npm ioredis, npm redis, crate redis: $users"
[ "$users" = "viewer viewer default default" ] || changed "who acts as whom"
