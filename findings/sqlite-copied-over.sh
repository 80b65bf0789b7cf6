#!/usr/bin/env bash
# SQLite does not notice a copy over its database file: an open connection answers from the old pages from then on.
# Versions: the SQLite of the Python that runs this (the script prints it); seen with 3.40.1.
# Expected: `PRAGMA data_version` changes, or the next SELECT reads the new file. (mv is no better: it leaves
# the connection with the old file. cp writes into the open file itself.)
# Seen: in WAL mode data_version and the rows stay unchanged, whatever the new file is. With a rollback journal they stay if
# the new file has the same change counter, that is, as many commits: two files made by the same deploy script, for example.
# A new connection in another process reads the new rows.
# Consequence: a service that polls data_version serves the old flags until it restarts. Restore with `.restore` or the backup
# API, which write as a connection does. (Here no connection writes during the copy, which could damage the file.)
source "$(dirname "$0")/support/common.sh"

version "Python $(python3 -c 'import platform, sqlite3; print(platform.python_version() + ", SQLite " + sqlite3.sqlite_version)')"
(cd "$home" && timeout 60 python3 - >out) <<'PY'
import sqlite3, subprocess, sys

def make(path, mode, value, commits):
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("CREATE TABLE flags (name TEXT PRIMARY KEY, state TEXT)")
    for commit in range(commits):
        database.execute("INSERT OR REPLACE INTO flags VALUES ('f', ?)", (f"{value} {commit}",))
        database.execute("UPDATE flags SET state = ?", (value,))
        database.commit()
    database.close()

def fresh(path):
    code = f"import sqlite3; print(*sqlite3.connect({path!r}).execute('SELECT state FROM flags').fetchone())"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()

for mode in ("wal", "delete"):
    for commits in (1, 4):
        path = f"{mode}-{commits}.db"
        make(path, mode, "old", 1)
        make(f"new-{path}", mode, "new", commits)
        reader = sqlite3.connect(path)
        look = lambda: (*reader.execute("PRAGMA data_version").fetchone(), *reader.execute("SELECT state FROM flags").fetchone())
        before = look()
        subprocess.check_call(["cp", f"new-{path}", path])
        after = look()
        print(mode, "same" if commits == 1 else "other", "changes" if after[0] != before[0] else "stays", look()[1], fresh(path))
        reader.close()
PY
expected "data_version changes and the open connection reads new, in all four"
while read -r mode counter number open new; do
  seen "journal_mode=$mode, new file with ${counter/same/the same} change counter: data_version $number, open connection reads $open, a new one $new"
done <"$home/out"
[ "$(cat "$home/out")" = $'wal same stays old new\nwal other stays old new\ndelete same stays old new\ndelete other changes new new' ] ||
  changed "what an open connection sees"
