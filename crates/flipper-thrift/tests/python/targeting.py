"""The Python library's client, call by call: each line of standard input is the call and its arguments. Answers with a marked line of JSON."""

import json
import sys

from flipper import CachedFeatureFlagStore, Condition, FeatureFlagClient, ThriftRPCFeatureFlagStore
from flipper.bucketing import Percentage, PercentageBucketer
from flipper.contrib.storage import FeatureFlagStoreMeta
from flipper_thrift.python.feature_flag_store import FeatureFlagStore
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

transport = TTransport.TBufferedTransport(TSocket.TSocket("127.0.0.1", int(sys.argv[1])))
store = ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport)))
transport.open()
client = FeatureFlagClient(store)


def is_enabled(name, context):
    cached = FeatureFlagClient(CachedFeatureFlagStore(store))
    answers = {client.is_enabled(name, **context), cached.is_enabled(name, **context), cached.is_enabled(name, **context)}
    (answer,) = answers
    return answer


CALLS = {
    "is_enabled": is_enabled,
    "raw": lambda name: store.get(name).raw_is_enabled,
    "list": lambda: [flag.name for flag in client.list()],
    "page": lambda limit, offset: [flag.name for flag in client.list(limit=limit, offset=offset)],
    "enable": client.enable,
    "disable": client.disable,
    "destroy": client.destroy,
    "set_client_data": client.set_client_data,
    "add_condition": lambda name, checks: client.add_condition(name, Condition(**checks)),
    "set_conditions": lambda name: client.set_conditions(name, []),
    "set_percentage": lambda name, value: client.set_bucketer(name, PercentageBucketer(Percentage(value))),
    # What was read is written.
    "write_switch": lambda name: store.set(name, store.get(name).raw_is_enabled),
    "write_meta": lambda name: store.set_meta(name, FeatureFlagStoreMeta.from_dict(store.get(name).meta)),
    "set": store.set,
}

for line in sys.stdin:
    call, *arguments = json.loads(line)
    try:
        answer = CALLS[call](*arguments)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print("@" + json.dumps(answer), flush=True)
