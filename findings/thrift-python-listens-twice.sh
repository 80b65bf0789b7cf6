#!/usr/bin/env bash
# thrift (Python): `serve()` listens again, on another socket, and resets the connections that wait at the first one.
# Versions: PyPI thrift 0.25.0.
# Expected: a second `listen()` of a server socket does nothing, so that a program may listen, report that it is ready, and then serve.
# Seen: `serve()` calls `listen()` whether or not the socket listens. A client that connected in between is connected, and its
# first call fails: the connection is reset or closed.
# Consequence: a test that calls `listen()` first, to be sure that its client does not come too soon, fails at times. Let `serve()`
# listen, and try to connect until it succeeds.
source "$(dirname "$0")/support/common.sh"

python_packages thrift==0.25.0
timeout 60 python3 - >"$home/out" 2>/dev/null <<'PY'
import socket, threading
from thrift.server import TServer
from thrift.transport import TSocket

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
listener = TSocket.TServerSocket(host="127.0.0.1", port=port)
listener.listen()
client = socket.create_connection(("127.0.0.1", port), 5)
client.settimeout(5)
threading.Thread(target=TServer.TSimpleServer(None, listener).serve, daemon=True).start()
try:
    print("kept" if client.recv(1) else "closed")
except TimeoutError:
    print("kept")
except ConnectionError:
    print("closed")
PY
expected "kept"
seen "$(cat "$home/out")"
[ "$(cat "$home/out")" = "closed" ] || changed "whether the waiting connection survives"
