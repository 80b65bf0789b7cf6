"""The Python library as a writer: does what each line of standard input says, and answers with a line of JSON."""

import json
import sys

from flipper import ConsulFeatureFlagStore, RedisFeatureFlagStore, ThriftRPCFeatureFlagStore

kind, port, token = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def connect():
    if kind == "redis":
        import redis

        return RedisFeatureFlagStore(redis.Redis(port=port, socket_timeout=5))
    if kind == "consul":
        import consul

        return ConsulFeatureFlagStore(consul.Consul(port=port, token=token))
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol
    from thrift.transport import TSocket, TTransport

    socket = TSocket.TSocket("127.0.0.1", port)
    socket.setTimeout(5000)
    transport = TTransport.TBufferedTransport(socket)
    transport.open()
    return ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport)))


def write(store, name, number):
    if number is None:
        store.delete(name)
    else:
        store.create(name, is_enabled=number % 2 == 0, client_data={"n": number})


store = None
for line in sys.stdin:
    said = "ok"
    # The connection may be of before a restart. To write the same once more changes nothing.
    for _ in range(2):
        try:
            store = store or connect()
            write(store, *json.loads(line))
            said = "ok"
            break
        except Exception as error:
            store = None
            said = repr(error).replace("\n", " ")
    print(said, flush=True)
