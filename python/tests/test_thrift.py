"""Flags behind a Thrift service: `flipper serve`, servers in Python, and clients that are called."""

import threading

import pytest
from flipper import FeatureFlagClient, MemoryFeatureFlagStore, ThriftRPCFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreMeta
from flipper.exceptions import InvalidInputError
from every_store import is_served, use
from servers import flipper_serve, free_port, package, wait_until

package("thrift")

from flipper_thrift.python.feature_flag_store import FeatureFlagStore, ttypes  # noqa: E402
from thrift.protocol import TBinaryProtocol, TCompactProtocol  # noqa: E402
from thrift.server import TServer  # noqa: E402
from thrift.transport import TSocket, TTransport  # noqa: E402


@pytest.fixture
def port(tmp_path):
    with flipper_serve(tmp_path) as port:
        yield port


def client_of(port, transport=TTransport.TBufferedTransport, protocol=TBinaryProtocol.TBinaryProtocol, opens=True):
    transport = transport(TSocket.TSocket("localhost", port))
    if opens:
        transport.open()
    return FeatureFlagStore.Client(protocol(transport))


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("protocol", [TBinaryProtocol.TBinaryProtocol, TCompactProtocol.TCompactProtocol])
@pytest.mark.parametrize("transport", [TTransport.TBufferedTransport, TTransport.TFramedTransport])
def test_a_client_is_served(port, transport, protocol, opens):
    store = ThriftRPCFeatureFlagStore(client_of(port, transport, protocol, opens))
    assert is_served(store) and isinstance(store, ThriftRPCFeatureFlagStore)
    use(store)


def test_a_url(port):
    store = ThriftRPCFeatureFlagStore(f"thrift://localhost:{port}")
    assert is_served(store)
    use(store)
    with pytest.raises(InvalidInputError):
        ThriftRPCFeatureFlagStore("thrift:nowhere")


def test_what_others_write_arrives(port):
    client = FeatureFlagClient(ThriftRPCFeatureFlagStore(client_of(port)))
    other = client_of(port)
    other.Create("F", True, "{}")
    wait_until(lambda: client.is_enabled("F"))
    other.Delete("F")
    wait_until(lambda: not client.exists("F"))


class Client(FeatureFlagStore.Client):
    """Of the program's own, whose methods must be called."""


def test_a_client_of_the_programs_own_is_called(port):
    store = ThriftRPCFeatureFlagStore(Client(client_of(port)._iprot))
    assert not is_served(store)
    use(store)


def test_threads_that_share_a_client(port):
    store = ThriftRPCFeatureFlagStore(Client(client_of(port)._iprot))
    client, failures = FeatureFlagClient(store), []

    def read(name):
        try:
            client.create(name, is_enabled=True)
            assert all(client.is_enabled(name) for _ in range(50))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read, args=(str(index),), daemon=True) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures and not any(thread.is_alive() for thread in threads)


class Handler:
    """Has the calls of the original library, by the methods of a store."""

    def __init__(self, store):
        self.store = store

    def Create(self, feature_name, is_enabled, client_data):  # noqa: N802
        import json

        return self.as_thrift(self.store.create(feature_name, is_enabled, json.loads(client_data)))

    def Get(self, feature_name):  # noqa: N802
        item = self.store.get(feature_name)
        if item is None:
            raise ttypes.FlipperException(code=ttypes.ErrorCode.NOT_FOUND)
        return self.as_thrift(item)

    def Set(self, feature_name, is_enabled):  # noqa: N802
        self.store.set(feature_name, is_enabled)

    def Delete(self, feature_name):  # noqa: N802
        self.store.delete(feature_name)

    def List(self, limit, offset):  # noqa: N802
        return [self.as_thrift(item) for item in self.store.list(limit, offset or 0)]

    def SetMeta(self, feature_name, meta):  # noqa: N802
        if self.store.get(feature_name) is None:
            raise ttypes.FlipperException(code=ttypes.ErrorCode.NOT_FOUND)
        item = ttypes.FeatureFlagStoreItem(feature_name=feature_name, is_enabled=True, meta=meta)
        self.store.set_meta(feature_name, ThriftRPCFeatureFlagStore._item(item)._meta)

    @staticmethod
    def as_thrift(item):
        called = ThriftRPCFeatureFlagStore(object())
        return ttypes.FeatureFlagStoreItem(
            feature_name=item.feature_name, is_enabled=item.raw_is_enabled, meta=called._thrift_meta(item._meta)
        )


class Processor(FeatureFlagStore.Processor):
    """Of a server that was generated from the original library's service."""

    def __init__(self, handler):
        super().__init__(handler)
        for name in (
            "SetClientData",
            "ReadFlag",
            "ReadFlags",
            "CompareAndSet",
            "Watch",
            "ReadKnownFlag",
            "ReadKnownFlags",
            "Describe",
            "History",
        ):
            del self._processMap[name]


def simple_server(handler):
    """A server that has one connection at a time."""
    port = free_port()
    listener = TSocket.TServerSocket(host="127.0.0.1", port=port)
    factories = TTransport.TBufferedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory()
    server = TServer.TSimpleServer(Processor(handler), listener, *factories)
    listener.listen()
    # `serve` listens again, on another socket: the connections that wait at the first one would be reset.
    listener.listen = lambda: None
    threading.Thread(target=server.serve, daemon=True).start()
    return port


def test_a_server_with_the_original_calls_is_called():
    store = ThriftRPCFeatureFlagStore(client_of(simple_server(Handler(MemoryFeatureFlagStore()))))
    assert not is_served(store)
    use(store)


def test_a_late_answer_is_not_taken_for_that_of_the_next_call():
    waits, begun = threading.Event(), threading.Event()

    class Slow(Processor):
        """Answers what it does not know when the client has given it up."""

        def process(self, iprot, oprot):
            # Each connection has a thread of its own.
            if not begun.is_set():
                begun.set()
                waits.wait(30)
            return super().process(iprot, oprot)

    port = free_port()
    listener = TSocket.TServerSocket(host="127.0.0.1", port=port)
    factories = TTransport.TBufferedTransportFactory(), TBinaryProtocol.TBinaryProtocolFactory()
    server = TServer.TThreadedServer(Slow(Handler(MemoryFeatureFlagStore())), listener, *factories, daemon=True)
    listener.listen()
    listener.listen = lambda: None
    threading.Thread(target=server.serve, daemon=True).start()
    client = client_of(port)
    client._iprot.trans._TBufferedTransport__trans.setTimeout(200)
    store = ThriftRPCFeatureFlagStore(client)
    assert begun.is_set() and not is_served(store)
    waits.set()
    use(store)


def test_a_server_that_is_down_at_first():
    client = client_of(free_port(), opens=False)
    store = ThriftRPCFeatureFlagStore(client)
    assert not is_served(store)
    with pytest.raises(TTransport.TTransportException):
        store.get("F")


def test_other_errors_pass_through():
    class Failing:
        def Get(self, feature_name):  # noqa: N802
            raise ttypes.FlipperException(code=ttypes.ErrorCode.UNAVAILABLE)

    with pytest.raises(ttypes.FlipperException):
        ThriftRPCFeatureFlagStore(Failing()).get("F")


def test_a_condition_with_two_checks_stays_one():
    stored = ttypes.FeatureFlagStoreMeta(
        created_date=1,
        conditions=[
            {
                "a__b": [ttypes.ConditionCheck(variable="a__b", value="1")],
                "c": [ttypes.ConditionCheck(variable="c", value="2", operator=ttypes.ConditionOperator(symbol="gt"))],
            }
        ],
    )
    item = ThriftRPCFeatureFlagStore._item(ttypes.FeatureFlagStoreItem(feature_name="F", is_enabled=True, meta=stored))
    [condition] = item.meta["conditions"]
    assert condition["a__b"] == [{"variable": "a__b", "value": 1, "operator": None}]
    assert condition["c"][0]["operator"] == "gt"
