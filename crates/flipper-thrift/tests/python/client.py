"""The Python library's client against our server: flipper-client 1.3.2 with its own generated code. Prints "ok" at the end."""

import sys
import threading

from flipper import Condition, FeatureFlagClient, ThriftRPCFeatureFlagStore
from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage
from flipper.contrib.storage import FeatureFlagStoreMeta
from flipper.exceptions import FlagDoesNotExistError
from flipper_thrift.python.feature_flag_store import FeatureFlagStore as TFeatureFlagStore
from flipper_thrift.python.feature_flag_store import ttypes
from thrift import Thrift
from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.transport import TSocket, TTransport

PROTOCOLS = {
    "binary": lambda t: TBinaryProtocol.TBinaryProtocol(t),
    "non-strict": lambda t: TBinaryProtocol.TBinaryProtocol(t, strictRead=False, strictWrite=False),
    "accelerated": lambda t: TBinaryProtocol.TBinaryProtocolAccelerated(t),
    "compact": lambda t: TCompactProtocol.TCompactProtocol(t),
    "compact-accelerated": lambda t: TCompactProtocol.TCompactProtocolAccelerated(t),
}
TRANSPORTS = {"buffered": TTransport.TBufferedTransport, "framed": TTransport.TFramedTransport}


def connect(port, transport, protocol):
    transport = TRANSPORTS[transport](TSocket.TSocket("127.0.0.1", port))
    client = TFeatureFlagStore.Client(PROTOCOLS[protocol](transport))
    transport.open()
    return client


def raises(exception, call, *arguments):
    try:
        call(*arguments)
    except exception as error:
        return error
    raise AssertionError(f"{call} did not raise {exception}: {arguments}")


def flags(thrift_client, prefix):
    client = FeatureFlagClient(ThriftRPCFeatureFlagStore(thrift_client))
    name = prefix + "-é"
    assert not client.exists(name)
    assert client.is_enabled(name) is False
    raises(FlagDoesNotExistError, client.enable, name)

    flag = client.create(name, client_data={"team": "é", "big": 123456789012345678901234567890})
    assert not flag.is_enabled()
    flag.enable()
    assert client.is_enabled(name) and client.exists(name)
    client.set_client_data(name, {"ttl": 3600, "null": None})
    data = {"team": "é", "big": 123456789012345678901234567890, "ttl": 3600, "null": None}
    assert client.get_client_data(name) == data

    client.add_condition(name, Condition(user_id__in=[1, 2], plan="pro"))
    client.add_condition(name, Condition(age__gte=18))
    assert client.is_enabled(name, user_id=1, plan="pro", age=18)
    assert not client.is_enabled(name, user_id=3, plan="pro", age=18)
    assert not client.is_enabled(name, user_id=1, plan="pro", age=17)
    client.set_bucketer(name, ConsistentHashPercentageBucketer(key_whitelist=["user_id"], percentage=Percentage(0.5)))
    meta = client.get_meta(name)
    assert meta["bucketer"]["percentage"]["value"] == 0.5, meta
    assert meta["client_data"] == data, meta
    # Python's client makes a condition of each check of a variable.
    assert len(meta["conditions"]) == 3, meta

    created = meta["created_date"]
    client.disable(name)
    assert not client.is_enabled(name)
    assert client.get_meta(name)["created_date"] == created

    # A second creation replaces the flag.
    client.create(name, is_enabled=True)
    assert client.is_enabled(name) and client.get_client_data(name) == {}
    assert client.get_meta(name)["conditions"] == []

    others = [f"{prefix}-{number}" for number in range(5)]
    for other in reversed(others):
        client.create(other)
    listed = [flag.name for flag in client.list() if flag.name.startswith(prefix)]
    assert listed == sorted(others + [name]), listed
    all_names = [flag.name for flag in client.list()]
    assert [flag.name for flag in client.list(limit=2, offset=1)] == all_names[1:3]
    assert set(others) <= {flag.name for flag in client.list(limit=0)}, "0 is no limit"

    client.destroy(name)
    assert not client.exists(name)
    raises(FlagDoesNotExistError, client.destroy, name)


def store(thrift_client, prefix):
    store = ThriftRPCFeatureFlagStore(thrift_client)
    store.delete(prefix + "-never")
    store.set(prefix + "-set", True)
    assert store.get(prefix + "-set").raw_is_enabled is True
    raises(FlagDoesNotExistError, store.set_meta, prefix + "-never", FeatureFlagStoreMeta(created_date=1))
    store.set_meta(prefix + "-set", FeatureFlagStoreMeta(created_date=1, client_data={"a": [1, {"b": None}]}))
    item = store.get(prefix + "-set")
    assert item.raw_is_enabled is True and item.meta["created_date"] == 1
    assert item.meta["client_data"] == {"a": [1, {"b": None}]}


def bad_input(thrift_client, prefix):
    """An exception with a message that every client can read answers each call, and the connection stays open."""
    name = prefix + "-bad"
    thrift_client.Create(name, True, "{}")

    def meta(**fields):
        return ttypes.FeatureFlagStoreMeta(created_date=1, **fields)

    def condition(value="1", symbol=None, variable="v"):
        operator = ttypes.ConditionOperator(symbol=symbol)
        return meta(conditions=[{"v": [ttypes.ConditionCheck(variable=variable, value=value, operator=operator)]}])

    for call, arguments in [
        (thrift_client.Create, ("", True, "{}")),
        (thrift_client.Create, ("a/b", True, "{}")),
        (thrift_client.Create, ("x" * 256, True, "{}")),
        (thrift_client.Create, ("a\nb", True, "{}")),
        (thrift_client.Create, (None, True, "{}")),
        (thrift_client.Create, (name, True, "{")),
        (thrift_client.Create, (name, True, "[]")),
        (thrift_client.Create, (name, True, '{"a":' + "[" * 100_000)),
        (thrift_client.Create, (name, True, '{"a": "' + "x" * 300_000 + '"}')),
        (thrift_client.Set, ("a/b", True)),
        (thrift_client.Set, (name, None)),
        (thrift_client.Get, ("a/b",)),
        (thrift_client.Get, (None,)),
        (thrift_client.List, (-1, 0)),
        (thrift_client.List, (None, -1)),
        (thrift_client.SetMeta, (name, None)),
        (thrift_client.SetMeta, (name, meta(client_data="{"))),
        (thrift_client.SetMeta, (name, meta(bucketer="{"))),
        (thrift_client.SetMeta, (name, meta(bucketer='{"type": "NoSuchBucketer"}'))),
        (thrift_client.SetMeta, (name, meta(bucketer='{"type": "PercentageBucketer", "percentage": {"type": "Half"}}'))),
        (thrift_client.SetMeta, (name, meta(bucketer="[1]"))),
        (thrift_client.SetMeta, (name, condition(symbol="like"))),
        (thrift_client.SetMeta, (name, condition(value="{"))),
        (thrift_client.SetMeta, (name, condition(value=None))),
        (thrift_client.SetMeta, (name, condition(variable=None))),
        # JavaScript's conversions of a Map, of decimal text, of Infinity and of Date.now().
        (thrift_client.SetMeta, (name, meta(conditions=[{}]))),
        (thrift_client.SetMeta, (name, meta(conditions=[{"v": []}]))),
        (thrift_client.SetMeta, (name, ttypes.FeatureFlagStoreMeta(created_date=98784247808))),
        (thrift_client.SetMeta, (name, ttypes.FeatureFlagStoreMeta(created_date=1700000000000))),
        (thrift_client.SetMeta, (name, ttypes.FeatureFlagStoreMeta(created_date=2**63 - 1))),
        (thrift_client.SetMeta, (name, ttypes.FeatureFlagStoreMeta(created_date=-(2**63)))),
    ]:
        error = raises((ttypes.FlipperException, Thrift.TApplicationException), call, *arguments)
        assert error.message, (call, arguments[1:])
        assert "\n" not in error.message, error.message
        if isinstance(error, ttypes.FlipperException):
            assert error.code == ttypes.ErrorCode.NOT_FOUND, (error, "the one code that all clients support")
        print("#", type(error).__name__, error.message[:150])
        # No call wrote anything.
        item = thrift_client.Get(name)
        assert item.is_enabled and item.meta.client_data == "{}" and item.meta.conditions == []


def main(port, transport, protocol):
    thrift_client = connect(port, transport, protocol)
    prefix = f"{transport}-{protocol}"
    flags(thrift_client, prefix)
    store(thrift_client, prefix)
    bad_input(thrift_client, prefix)

    failures = []

    def one(number):
        try:
            flags(connect(port, transport, protocol), f"{prefix}-thread-{number}")
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    print("@ok")


main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
