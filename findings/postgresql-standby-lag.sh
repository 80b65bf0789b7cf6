#!/usr/bin/env bash
# A PostgreSQL standby that is cut off from its primary shows a lag of 0 to an ordinary user, for a minute.
# Versions: PostgreSQL 15.18 (Debian; 15.20 is the same) with its defaults, as primary and as standby; a small proxy between them that
# is stopped.
# Expected: a query of the lag that an ordinary user may run is as true for that user as for a member of `pg_monitor`.
# Seen: the usual "0 if all that was received is replayed" is 0 for each user, as nothing more is received. `last_msg_receipt_time` of
# `pg_stat_wal_receiver` reveals the cut. But an ordinary user gets that row with a `pid`, and with NULL for all the rest: no error,
# and `greatest()` ignores NULL. The row stays until `wal_receiver_timeout`, 60 s by default.
# Consequence: a monitor, or a pool that balances reads, takes the standby as live while its rows are a minute old. Grant `pg_monitor`,
# and count NULL beside a `pid` as unknown. (With an idle primary, 30 s without a message are healthy.)
source "$(dirname "$0")/support/common.sh"
source "$here/support/postgresql.sh"

cluster primary
postgres primary
primary=$port
sql "$primary" postgres "CREATE TABLE flags (name text PRIMARY KEY, is_on boolean); INSERT INTO flags VALUES ('checkout', false);
  CREATE ROLE app LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor; GRANT SELECT ON flags TO app"
between=$(free_port)
python3 "$here/support/forward.py" "$between" "$primary" & started+=($!); disown
proxy=$!
wait_for_port "$between"
mkdir "$home/standby"
own "$home/standby"
"${as_user[@]}" "$postgresql/pg_basebackup" -h 127.0.0.1 -p "$between" -U postgres -D "$home/standby/data" -R -c fast --no-sync || cannot "pg_basebackup"
postgres standby
standby=$port
lag="SELECT round(greatest(
    CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END,
    extract(epoch FROM clock_timestamp() - last_msg_receipt_time))), 'status', status, 'pid', pid IS NOT NULL FROM pg_stat_wal_receiver"
set_flag() { sql "$primary" postgres "UPDATE flags SET is_on = $1"; }
shows() { [ "$(sql "$standby" app 'SELECT is_on FROM flags')" = "$1" ]; }
set_flag true
wait_for shows t
kill -STOP "$proxy"
set_flag false
expected "15 s after the cut both users see a lag of about 15 s, or an ordinary user gets an error"
sleep 15 # the absence of a change is under test
app=$(sql "$standby" app "$lag")
monitor=$(sql "$standby" monitor "$lag")
seen "the standby still has the flag on: $(sql "$standby" app 'SELECT is_on FROM flags')"
seen "lag for an ordinary user:      $app"
seen "lag for a member of pg_monitor: $monitor"
shows t && [ "$app" = "0 status null pid t" ] && [[ $monitor =~ ^[1-5][0-9]\ status\ streaming\ pid\ t$ ]] || changed "what a standby shows"
