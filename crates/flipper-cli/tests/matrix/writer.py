"""A writer with the Python library: each line of standard input is one write, answered with a line."""

import json
import sys

kind, port, place = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def connect():
    # The drivers of S3 are in an environment of their own.
    if kind == "s3":
        import boto3
        from botocore.config import Config
        from flipper.contrib.s3 import S3FeatureFlagStore

        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cr3t", "region_name": "us-east-1"}
        config = Config(connect_timeout=5, read_timeout=5, retries={"max_attempts": 0})
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=config, **keys)
        return S3FeatureFlagStore(client, place)
    from flipper import (
        ConsulFeatureFlagStore,
        PostgreSQLFeatureFlagStore,
        RedisFeatureFlagStore,
        ThriftRPCFeatureFlagStore,
    )

    if kind == "redis":
        import redis

        return RedisFeatureFlagStore(redis.Redis(port=port, socket_timeout=5))
    if kind == "postgres":
        options = "connect_timeout=5 options='-c statement_timeout=5000'"
        return PostgreSQLFeatureFlagStore(f"host=127.0.0.1 port={port} user=postgres password=s3cr3t {options}")
    if kind == "consul":
        import consul

        return ConsulFeatureFlagStore(consul.Consul(port=port, token=place))
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol
    from thrift.transport import TSocket, TTransport

    socket = TSocket.TSocket("127.0.0.1", port)
    socket.setTimeout(5000)
    transport = TTransport.TBufferedTransport(socket)
    transport.open()
    return ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport)))


def write(store, name, number):
    if number is not None:
        store.create(name, is_enabled=number % 2 == 0, client_data={"n": number})
    else:
        store.delete(name)


store = None
for line in sys.stdin:
    answer = "ok"
    # Retry on a new connection, since the old one may have ended with a server. Writes are idempotent.
    for _ in range(2):
        try:
            store = store or connect()
            write(store, *json.loads(line))
            answer = "ok"
            break
        except Exception as error:
            store = None
            answer = repr(error).replace("\n", " ")
    print(answer, flush=True)
