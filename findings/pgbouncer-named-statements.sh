#!/usr/bin/env bash
# Two programs behind pgbouncer in transaction mode: an UPDATE that switches a flag on runs as the other's DELETE, without an error.
# Versions: pgbouncer 1.18.0 (Debian bookworm), PostgreSQL 15.18 (Debian; 15.20 is the same), PyPI psycopg 3.3.9 with its defaults.
# Expected: a prepared statement that meets another server connection fails: "does not exist" or "already exists".
# Seen: psycopg prepares a statement at its 6th run, and names it by a count per client: each program's first one is `_pg3_0`.
# pgbouncer gives each transaction any server connection. If that one has a `_pg3_0` of the other program, it is run, with this
# program's parameters: the client asks for `UPDATE … WHERE name = 'checkout'`, PostgreSQL answers `DELETE 1`, psycopg returns 1 row.
# Consequence: tests with one client pass, and so does the first minute: under load rows of another query are returned, and other rows
# are written. Connect with `prepare_threshold=None`.
source "$(dirname "$0")/support/common.sh"
source "$here/support/postgresql.sh"

pgbouncer=$(command -v pgbouncer || PATH=/usr/sbin command -v pgbouncer || true)
if ! "${pgbouncer:-false}" --version 2>/dev/null | grep -q 'PgBouncer 1\.18\.0'; then
  debian_packages pgbouncer=1.18.0-1+deb12u1 libc-ares2 libevent-2.1-7
  pgbouncer=$home/debian/usr/sbin/pgbouncer
  LD_LIBRARY_PATH=$(dirname "$(find "$home/debian" -name 'libcares.so.2')")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
fi
version "$("$pgbouncer" --version | head -1)"
python_packages psycopg==3.3.9 psycopg-binary==3.3.9 typing_extensions==4.15.0
cluster server
postgres server
server=$port
sql "$server" postgres "CREATE TABLE flags (name text PRIMARY KEY, is_on boolean NOT NULL);
  INSERT INTO flags SELECT 'flag-' || n, false FROM generate_series(1, 12) AS n; INSERT INTO flags VALUES ('checkout', false)"
pool=$(free_port)
mkdir "$home/pool"
printf '%s\n' '[databases]' "postgres = host=127.0.0.1 port=$server user=postgres" '[pgbouncer]' 'listen_addr = 127.0.0.1' \
  "listen_port = $pool" 'unix_socket_dir =' 'auth_type = any' 'pool_mode = transaction' >"$home/pool/pgbouncer.ini"
own "$home/pool"
"${as_user[@]}" "$pgbouncer" "$home/pool/pgbouncer.ini" 2>"$home/pgbouncer.log" & started+=($!); disown
wait_for_port "$pool"
timeout 60 python3 - "$pool" >"$home/out" <<'PY'
import sys
import psycopg

ON, DELETE = "UPDATE flags SET is_on = true WHERE name = %s", "DELETE FROM flags WHERE name = %s"

def run(**options):
    url = f"postgresql://postgres@127.0.0.1:{sys.argv[1]}/postgres"
    with psycopg.connect(url, connect_timeout=10, **options) as switch, psycopg.connect(url, connect_timeout=10, **options) as clean:
        # Each has a transaction open, so each has a server connection of its own, and runs its statement six times there.
        for n in range(1, 7):
            switch.execute(ON, [f"flag-{n}"])
            clean.execute(DELETE, [f"flag-{n + 6}"])
        switch.commit()
        clean.commit()
        done = switch.execute(ON, ["checkout"])
        switch.commit()
        found = switch.execute("SELECT is_on FROM flags WHERE name = 'checkout'").fetchone()
        return f"{done.statusmessage}, rowcount {done.rowcount}, the flag is {found and found[0]}"

print("prepare_threshold None:", run(prepare_threshold=None))
print("by default:", run())
PY
expected "UPDATE 1, rowcount 1, the flag is True; or an error"
while read -r line; do seen "$line"; done <"$home/out"
[ "$(cat "$home/out")" = $'prepare_threshold None: UPDATE 1, rowcount 1, the flag is True\nby default: DELETE 1, rowcount 1, the flag is None' ] || changed "the answers"
