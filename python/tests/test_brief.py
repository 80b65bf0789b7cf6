"""What the original library's documentation shows, works: each of its examples, in order, with real servers where it wants one.

Changed of it, since it would run nowhere as it stands:

- names that it leaves to the reader are made here (`run_my_feature`, `myapp.feature_flags`, `HttpResponse`);
- the redirected function of the decorator stands before the decorated one, which names it;
- servers are on free ports;
- the cache is of `store`, where it shows the module `redis`;
- the Thrift handler's `create` takes `client_data`, and its methods do something: there they return what no client can read;
- the Thrift server's `serve()` is called.
"""

import re
import sys
import threading
import types

import pytest

import flipper
from flipper import FeatureFlagClient, MemoryFeatureFlagStore
from servers import consul_agent, free_port, package, redis_server

MY_FEATURE = "MY_FEATURE"


@pytest.fixture
def features():
    return FeatureFlagClient(MemoryFeatureFlagStore())


def check(client):
    """A client that an example has made works."""
    client.create(MY_FEATURE)
    assert not client.is_enabled(MY_FEATURE)
    client.enable(MY_FEATURE)
    assert client.is_enabled(MY_FEATURE)
    client.destroy(MY_FEATURE)
    assert not client.is_enabled(MY_FEATURE)


def test_quickstart():
    from flipper import FeatureFlagClient, MemoryFeatureFlagStore

    ran = []

    def run_my_feature():
        ran.append("my")

    def run_old_feature():
        ran.append("old")

    features = FeatureFlagClient(MemoryFeatureFlagStore())

    features.create(MY_FEATURE)
    features.enable(MY_FEATURE)

    if features.is_enabled(MY_FEATURE):
        run_my_feature()
    else:
        run_old_feature()
    assert ran == ["my"]


def test_calls_of_a_client(features):
    assert features.is_enabled(MY_FEATURE) is False
    flag = features.create(MY_FEATURE)
    assert isinstance(flag, flipper.FeatureFlag)
    assert features.is_enabled(MY_FEATURE) is False
    flag = features.get(MY_FEATURE)
    assert isinstance(flag, flipper.FeatureFlag)
    assert features.enable(MY_FEATURE) is None
    assert features.is_enabled(MY_FEATURE) is True
    assert features.disable(MY_FEATURE) is None
    assert features.is_enabled(MY_FEATURE) is False
    features.set_client_data(MY_FEATURE, {"owner": "me"})
    assert features.set_client_data(MY_FEATURE, {"ttl": 3600}) is None
    assert features.get_client_data(MY_FEATURE) == {"owner": "me", "ttl": 3600}
    meta = features.get_meta(MY_FEATURE)
    assert meta["client_data"] == {"owner": "me", "ttl": 3600} and isinstance(meta["created_date"], int)
    assert features.destroy(MY_FEATURE) is None
    assert features.is_enabled(MY_FEATURE) is False
    features.create(MY_FEATURE, is_enabled=True, client_data={"ttl": 1})
    assert features.is_enabled(MY_FEATURE) is True


def test_calls_of_a_flag(features):
    flag = features.create(MY_FEATURE)
    assert flag.is_enabled() is False
    flag.enable()
    assert flag.is_enabled() is True
    flag.disable()
    assert flag.is_enabled() is False
    flag.set_client_data({"ttl": 3600})
    assert flag.get_client_data() == {"ttl": 3600}
    assert flag.get_meta()["client_data"] == {"ttl": 3600}
    flag.destroy()
    assert flag.is_enabled() is False


def test_decorator(features, monkeypatch):
    application = types.ModuleType("myapp.feature_flags")
    application.FEATURE_IMPROVED_HORSE_SOUNDS = "IMPROVED_HORSE_SOUNDS"
    application.features = types.SimpleNamespace(instance=features)
    monkeypatch.setitem(sys.modules, "myapp", types.ModuleType("myapp"))
    monkeypatch.setitem(sys.modules, "myapp.feature_flags", application)
    HttpResponse = str  # noqa: N806

    from myapp.feature_flags import FEATURE_IMPROVED_HORSE_SOUNDS, features

    from flipper.decorators import is_enabled

    def old_horse_sound(request):
        return HttpResponse("Neigh")

    @is_enabled(features.instance, FEATURE_IMPROVED_HORSE_SOUNDS, redirect=old_horse_sound)
    def new_horse_sound(request):
        return HttpResponse("Whinny")

    assert new_horse_sound(None) == "Neigh"
    features.instance.create(FEATURE_IMPROVED_HORSE_SOUNDS, is_enabled=True)
    assert new_horse_sound(None) == "Whinny"

    @is_enabled(features.instance, "OFF")
    def sound(request):
        raise AssertionError

    assert sound(None) is None


def test_memory():
    from flipper import FeatureFlagClient, MemoryFeatureFlagStore

    client = FeatureFlagClient(MemoryFeatureFlagStore())
    check(client)


def test_consul(tmp_path):
    consul = package("consul")
    from flipper import ConsulFeatureFlagStore, FeatureFlagClient

    with consul_agent(tmp_path) as agent:
        c = consul.Consul(host="127.0.0.1", port=agent.port)

        # The default base key is "features".
        store = ConsulFeatureFlagStore(c, base_key="feature-flags")
        client = FeatureFlagClient(store)
        check(client)
        client.create(MY_FEATURE)
        assert c.kv.get(f"feature-flags/{MY_FEATURE}")[1] is not None
        assert ConsulFeatureFlagStore(c).base_key == "features"


def test_redis(tmp_path):
    redis = package("redis")
    from flipper import FeatureFlagClient, RedisFeatureFlagStore

    with redis_server(tmp_path) as server:
        r = redis.StrictRedis(host="localhost", port=server.port, db=0)

        # The default base key is "features".
        store = RedisFeatureFlagStore(r, base_key="feature-flags")
        client = FeatureFlagClient(store)
        check(client)
        client.create(MY_FEATURE)
        assert r.get(f"feature-flags/{MY_FEATURE}") is not None
        assert RedisFeatureFlagStore(r).base_key == "features"


def test_redis_and_cache(tmp_path):
    redis = package("redis")
    from flipper import CachedFeatureFlagStore, FeatureFlagClient, RedisFeatureFlagStore

    with redis_server(tmp_path) as server:
        r = redis.StrictRedis(host="localhost", port=server.port, db=0)

        store = RedisFeatureFlagStore(r)

        cache = CachedFeatureFlagStore(store, expiration=30)

        client = FeatureFlagClient(cache)
        check(client)


def test_thrift():
    package("thrift")
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore as TFeatureFlagStore
    from thrift.protocol import TBinaryProtocol
    from thrift.server import TServer
    from thrift.transport import TSocket, TTransport

    from flipper import FeatureFlagClient, ThriftRPCFeatureFlagStore
    from flipper_thrift.python.feature_flag_store import ttypes

    class FeatureFlagStoreServer:
        """Its methods have names such as `get`; the service's are such as `Get`."""

        def __init__(self):
            self.flags = {}

        def __getattribute__(self, attr):
            try:
                return object.__getattribute__(self, attr)
            except AttributeError:
                return object.__getattribute__(self, self._convert_case(attr))

        def _convert_case(self, name):
            words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
            return re.sub("([a-z0-9])([A-Z])", r"\1_\2", words).lower()

        def create(self, feature_name, is_enabled, client_data):
            meta = ttypes.FeatureFlagStoreMeta(created_date=1, client_data=client_data)
            item = ttypes.FeatureFlagStoreItem(feature_name=feature_name, is_enabled=is_enabled, meta=meta)
            self.flags[feature_name] = item
            return item

        def delete(self, feature_name):
            self.flags.pop(feature_name, None)

        def get(self, feature_name):
            if feature_name not in self.flags:
                raise ttypes.FlipperException(code=ttypes.ErrorCode.NOT_FOUND)
            return self.flags[feature_name]

        def set(self, feature_name, is_enabled):
            self.flags[feature_name].is_enabled = is_enabled

    port = free_port()
    server = FeatureFlagStoreServer()
    processor = TFeatureFlagStore.Processor(server)
    transport = TSocket.TServerSocket(host="127.0.0.1", port=port)
    tfactory = TTransport.TBufferedTransportFactory()
    pfactory = TBinaryProtocol.TBinaryProtocolFactory()
    running = TServer.TSimpleServer(processor, transport, tfactory, pfactory)
    # Here, so that the client does not come too soon. `serve` would listen again, on another socket.
    transport.listen()
    transport.listen = lambda: None
    threading.Thread(target=running.serve, daemon=True).start()

    transport = TSocket.TSocket("localhost", port)
    transport = TTransport.TBufferedTransport(transport)
    protocol = TBinaryProtocol.TBinaryProtocol(transport)

    thrift_client = TFeatureFlagStore.Client(protocol)

    transport.open()

    store = ThriftRPCFeatureFlagStore(thrift_client)
    client = FeatureFlagClient(store)
    check(client)
    transport.close()


def test_a_store_of_your_own(features):
    from flipper.contrib.store import AbstractFeatureFlagStore

    class Store(AbstractFeatureFlagStore):
        def __init__(self):
            self.inner = MemoryFeatureFlagStore()

        def create(self, feature_name, is_enabled=False, client_data=None):
            return self.inner.create(feature_name, is_enabled, client_data)

        def get(self, feature_name):
            return self.inner.get(feature_name)

        def set(self, feature_name, is_enabled):
            self.inner.set(feature_name, is_enabled)

        def delete(self, feature_name):
            self.inner.delete(feature_name)

        def list(self, limit=None, offset=0):
            return self.inner.list(limit, offset)

        def set_meta(self, feature_name, meta):
            self.inner.set_meta(feature_name, meta)

    check(FeatureFlagClient(Store()))
