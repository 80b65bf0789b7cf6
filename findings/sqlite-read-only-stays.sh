#!/usr/bin/env bash
# SQLite: a process that could only read a WAL database cannot write it after its permissions are changed, not even by a new connection.
# Version: PyPI apsw 3.53.0.0 (its own SQLite). Needs root, to act as another user.
# Expected: once the database, its -wal and its -shm file may be written, a connection that is opened then can write.
# Seen: "attempt to write a readonly database", as long as a connection from before is open in that process; another process of the same user
# writes. Within a process all connections share one -shm file, as the first of them opened it: read-only.
# Consequence: close all connections of the process, then open one for writing.
source "$(dirname "$0")/support/common.sh"

[ "$(id -u)" = 0 ] || cannot "only root can act as another user"
python_packages apsw==3.53.0.0
chmod 755 "$home"
timeout 60 python3 - "$home/data" >"$home/out" <<'PY'
import apsw, os, sys
folder = sys.argv[1]
path = folder + "/file.db"

def write():
    try:
        apsw.Connection(path).execute("INSERT INTO flags VALUES ('F')")
        return "written"
    except apsw.ReadOnlyError:
        return "refused"

def start(work):
    """A process of another user, begun before any connection: SQLite must not cross a fork. Returns a function for its next step."""
    steps, answers = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(steps[1])
        os.setuid(65534)
        for answer in work():
            os.write(answers[1], answer.encode())
            os.read(steps[0], 1)
        os._exit(0)
    os.close(answers[1])
    def step(go=True):
        if go:
            os.write(steps[1], b"x")
        return os.read(answers[0], 99).decode()
    return step

def reads_then_writes():
    yield "begun"
    reader = apsw.Connection(path)
    reader.execute("SELECT count(*) FROM flags").fetchall()
    yield "read"
    yield write()
    reader.close()
    yield write()

def only_writes():
    yield "begun"
    yield write()

one, other = start(reads_then_writes), start(only_writes)
one(go=False), other(go=False)
os.mkdir(folder, 0o755)
owner = apsw.Connection(path)
owner.execute("PRAGMA journal_mode=wal; CREATE TABLE flags (name TEXT)").fetchall()

def allow(mode):
    for name in os.listdir(folder):
        os.chmod(folder + "/" + name, mode)

allow(0o644)
one()
os.chmod(folder, 0o777)
allow(0o666)
print(other(), one(), one())
PY
expected "another process, a new connection, the same without the old one: written written written"
seen "$(cat "$home/out")"
[ "$(cat "$home/out")" = "written refused written" ] || changed "whether a new connection can write"
