"""Does to the flags of a Redis what each line of standard input says, and answers with a line of JSON."""

import json
import sys

import redis
from flipper import Condition, FeatureFlagClient, RedisFeatureFlagStore
from flipper.bucketing import Percentage, PercentageBucketer

port, base_key = int(sys.argv[1]), sys.argv[2]
store = RedisFeatureFlagStore(redis.Redis(port=port), base_key=base_key)
client = FeatureFlagClient(store)

VERBS = {
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
