#!/usr/bin/env bash
# SQLite twice in one process: a package that brings its own SQLite loses its locks when another library in the process closes the file.
# Versions: PyPI apsw 3.53.0.0 (its own SQLite) and the sqlite3 module of this Python.
# Expected: while apsw holds a write transaction, no other process can begin one, whatever else this process does.
# Seen: Python's sqlite3 opens the file, reads one row and closes it. From then on another process can begin a write transaction, too. The
# locks are POSIX locks, which belong to the process, and end when it closes any descriptor of the file; each library keeps track
# of its own connections only.
# Consequence: look into a package's SQLite file from another process, or through that package.
source "$(dirname "$0")/support/common.sh"

python_packages apsw==3.53.0.0
cat >"$home/other.py" <<'PY'
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    other.execute("BEGIN IMMEDIATE")
    print("begun")
except sqlite3.OperationalError:
    print("locked")
PY
timeout 60 python3 - "$home/other.py" "$home/file.db" >"$home/out" <<'PY'
import apsw, sqlite3, subprocess, sys
other, path = sys.argv[1:]
holder = apsw.Connection(path)
holder.execute("CREATE TABLE flags (name TEXT)")
holder.execute("BEGIN IMMEDIATE")
ask = lambda: subprocess.run([sys.executable, other, path], capture_output=True, text=True, check=True).stdout.strip()
before = ask()
reader = sqlite3.connect(path)
reader.execute("SELECT count(*) FROM flags").fetchone()
reader.close()
print(before, ask())
PY
expected "locked locked"
seen "$(cat "$home/out")"
[ "$(cat "$home/out")" = "locked begun" ] || changed "whether the lock survives"
