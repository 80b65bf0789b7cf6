"""Runs a call on the flags of a Redis, a Consul, a PostgreSQL or a bucket for each line of standard input. Answers with a line of JSON."""

import json
import sys

from flipper import Condition, FeatureFlagClient
from flipper.bucketing import Percentage, PercentageBucketer

kind, port, base_key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# The drivers of S3 are in an environment of their own.
if kind == "redis":
    import redis
    from flipper import RedisFeatureFlagStore

    store = RedisFeatureFlagStore(redis.Redis(port=port), base_key=base_key)
elif kind == "postgres":
    from flipper import PostgreSQLFeatureFlagStore

    store = PostgreSQLFeatureFlagStore(f"host=127.0.0.1 port={port} user=postgres password=s3cr3t", table_name=base_key)
elif kind == "consul":
    import consul
    from flipper import ConsulFeatureFlagStore

    store = ConsulFeatureFlagStore(consul.Consul(port=port), base_key=base_key)
else:
    import boto3
    from flipper.contrib.s3 import S3FeatureFlagStore

    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cr3t", "region_name": "us-east-1"}
    store = S3FeatureFlagStore(boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys), base_key)
client = FeatureFlagClient(store)


def answer(name, context):
    """`is_enabled`, or what it raises."""
    try:
        return client.is_enabled(name, **context)
    except Exception as error:
        return type(error).__name__


VERBS = {
    "answer": answer,
    "create": lambda name, enabled, data: client.create(name, is_enabled=enabled, client_data=data) and None,
    "enable": client.enable,
    "disable": client.disable,
    "destroy": client.destroy,
    "exists": client.exists,
    "is_enabled": lambda name, context: client.is_enabled(name, **context),
    "set_client_data": client.set_client_data,
    "get_client_data": client.get_client_data,
    "get_meta": lambda name: client.get_meta(name),
    "add_condition": lambda name, checks: client.add_condition(name, Condition(**checks)),
    "set_percentage": lambda name, value: client.set_bucketer(name, PercentageBucketer(Percentage(value))),
    "list": lambda: sorted(flag.name for flag in client.list()),
}

for line in sys.stdin:
    verb, *arguments = json.loads(line)
    print(json.dumps(VERBS[verb](*arguments)), flush=True)
