"""The Python library, as one of two processes: `write` sets the flag to what each line says, `follow` checks it all the time. Both print
lines for the parent, with nanoseconds of the clock that all processes share."""

import os
import sys
import threading
import time

from flipper import FeatureFlagClient

NAME = "P"
role, kind, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
pause = None
if kind == "redis":
    import redis
    from flipper import RedisFeatureFlagStore

    store = RedisFeatureFlagStore(redis.Redis(port=port), base_key="python")
elif kind == "consul":
    import consul
    from flipper import ConsulFeatureFlagStore

    store = ConsulFeatureFlagStore(consul.Consul(port=port), base_key="python")
    # A check reads memory; without a pause it would keep the thread that follows from running.
    pause = 50e-6
elif kind == "postgres":
    from flipper import PostgreSQLFeatureFlagStore

    login = f"host=127.0.0.1 port={port} user=postgres password=s3cr3t"
    store = PostgreSQLFeatureFlagStore(login, table_name="python", run_migrations=role == "write")
else:
    from flipper import ThriftRPCFeatureFlagStore
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol
    from thrift.transport import TSocket, TTransport

    transport = TTransport.TBufferedTransport(TSocket.TSocket("127.0.0.1", port))
    transport.open()
    store = ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport)))
client = FeatureFlagClient(store)


def say(line):
    print(f"@{line}", flush=True)


if role == "write":
    if kind == "consul":
        for number in range(1, 100):
            client.create(f"{NAME}{number:05}")
    client.create(NAME)
    while not client.exists(NAME):
        time.sleep(0.01)
    say("ready")
    for line in sys.stdin:
        began = time.monotonic_ns()
        if line == "on\n":
            client.enable(NAME)
        else:
            client.disable(NAME)
        say(began)
else:
    # Ends with the parent, which never writes to it.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    was_on = client.is_enabled(NAME)
    say("ready")
    while True:
        if pause:
            time.sleep(pause)
        is_on = client.is_enabled(NAME)
        if is_on != was_on:
            say(f"{time.monotonic_ns()} {'on' if is_on else 'off'}")
            was_on = is_on
