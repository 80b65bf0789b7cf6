# Sourced after common.sh: PostgreSQL 15, the one in POSTGRESQL_BIN, the installed one, or Debian bookworm's. It does not run as root.
chmod 755 "$home"
as_user=()
if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups); fi
own() { [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$@"; }
stop_servers() { # a killed PostgreSQL leaves shared memory; this signal ends it at once
  for pid in "${postmasters[@]}"; do kill -QUIT "$pid" 2>/dev/null || true; done
  for pid in "${postmasters[@]}"; do timeout 15 tail --pid "$pid" -f /dev/null || true; done
}
postmasters=()
trap 'stop_servers; finish' EXIT

postgresql=${POSTGRESQL_BIN:-/usr/lib/postgresql/15/bin}
if ! "$postgresql/postgres" --version 2>/dev/null | grep -q ' 15\.'; then
  debian_packages postgresql-15 postgresql-client-15 libpq5
  postgresql=$home/debian/usr/lib/postgresql/15/bin
  LD_LIBRARY_PATH=$(dirname "$(find "$home/debian" -name 'libpq.so.5')")
  export LD_LIBRARY_PATH
fi
version "$("$postgresql/postgres" --version)"

cluster() { # FOLDER: an empty one below $home; any local user may connect
  mkdir "$home/$1"
  own "$home/$1"
  "${as_user[@]}" "$postgresql/initdb" -D "$home/$1/data" -U postgres -A trust -E UTF8 --no-sync >"$home/initdb.log" 2>&1 || cannot "initdb"
}
postgres() { # FOLDER OPTIONS…: a server, on $port
  port=$(free_port)
  "${as_user[@]}" "$postgresql/postgres" -D "$home/$1/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories="$home/$1" -c fsync=off "${@:2}" >"$home/$1.log" 2>&1 &
  postmasters+=($!)
  disown
  wait_for "$postgresql/pg_isready" -h 127.0.0.1 -p "$port"
}
sql() { # PORT USER STATEMENT
  "$postgresql/psql" -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -P null=null "postgresql://$2@127.0.0.1:$1/postgres" -c "$3"
}
