"""Flags in Redis: with a real server, and with clients that are called."""

import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore, RedisFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.exceptions import InvalidInputError, UnreadableFlagError
from every_store import is_served, use
from servers import free_port, package, redis_server, wait_until

redis = package("redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis"), tls=True) as server:
        yield server


@pytest.fixture
def base_key(request):
    return f"base-{request.node.name}"


@pytest.fixture
def raw(server):
    """A client of the server, for what other programs do."""
    with redis.Redis(port=server.port) as client:
        yield client


@pytest.fixture
def fake():
    fakeredis = package("fakeredis")
    return fakeredis.FakeStrictRedis(server=fakeredis.FakeServer())


def test_a_client_is_served(server, base_key):
    store = RedisFeatureFlagStore(redis.StrictRedis(host="localhost", port=server.port, db=0), base_key=base_key)
    assert is_served(store) and isinstance(store, RedisFeatureFlagStore)
    assert store.base_key == base_key and repr(store) == f"RedisFeatureFlagStore({base_key!r})"
    use(store)


def test_a_url(server, base_key):
    store = RedisFeatureFlagStore(f"redis://localhost:{server.port}?base_key={base_key}")
    assert is_served(store) and store.base_key == base_key
    use(store)
    assert RedisFeatureFlagStore(f"redis://localhost:{server.port}", base_key=base_key).get("G") is not None
    with pytest.raises(InvalidInputError):
        RedisFeatureFlagStore("redis:nowhere")


def test_the_key_and_text_of_a_flag(server, raw, base_key):
    store = RedisFeatureFlagStore(raw, base_key)
    store.create("F", is_enabled=True, client_data={"é": 1.0})
    assert raw.get(f"{base_key}/F") == store.get("F").serialize()
    assert FeatureFlagStoreItem.deserialize(raw.get(f"{base_key}/F")) == store.get("F")


def test_what_others_write_arrives(server, raw, base_key):
    client = FeatureFlagClient(RedisFeatureFlagStore(raw, base_key))
    other = FeatureFlagClient(Subclass(redis.Redis(port=server.port), base_key))
    other.create("F", is_enabled=True)
    wait_until(lambda: client.is_enabled("F"))
    other.disable("F")
    wait_until(lambda: client.exists("F") and not client.is_enabled("F"))
    raw.delete(f"{base_key}/F")
    wait_until(lambda: not client.exists("F"))


def test_no_change_of_several_writers_is_lost(server, base_key):
    clients = [FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=server.port), base_key)) for _ in range(4)]
    clients[0].create("F")
    wait_until(lambda: all(client.exists("F") for client in clients))

    def merge(index):
        for number in range(25):
            clients[index].set_client_data("F", {f"{index}-{number}": 1})

    threads = [threading.Thread(target=merge, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(clients[0].get_client_data("F")) == 100)


def test_the_threads_of_a_process_take_turns(server, raw, base_key):
    client = FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=server.port), base_key))
    client.create("F")

    def scripts():
        return raw.info("commandstats")["cmdstat_evalsha"]["calls"]

    def merge(index):
        for number in range(4):
            client.set_client_data("F", {f"{index}-{number}": 1})

    before = scripts()
    with ThreadPoolExecutor(50) as threads:
        [*threads.map(merge, range(50))]
    assert len(client.get_client_data("F")) == 200
    # Without turns it is several times as many. A write that read the flag while another one ended, and finds its turn free, meets it.
    assert 200 <= scripts() - before <= 220


def test_a_flag_with_too_much_client_data_can_be_changed(server, raw, base_key):
    large = {"a": "x" * (300 << 10)}
    raw.set(f"{base_key}/F", FeatureFlagStoreItem("F", True, FeatureFlagStoreMeta(1, large)).serialize())
    client = FeatureFlagClient(RedisFeatureFlagStore(raw, base_key))
    assert client.is_enabled("F")
    client.disable("F")
    client.add_condition("F", Condition(plan="pro"))
    assert not client.is_enabled("F") and client.get_client_data("F") == large
    with pytest.raises(InvalidInputError, match="262144"):
        client.set_client_data("F", {"b": 1})
    client.set_client_data("F", {"a": "x" * (299 << 10)})
    client.set_client_data("F", {"a": 1})
    client.set_client_data("F", {"b": 1})
    raw.set(f"{base_key}/G", FeatureFlagStoreItem("G", True, FeatureFlagStoreMeta(1, large)).serialize())
    wait_until(lambda: client.exists("G"))
    client.destroy("G")
    assert not raw.exists(f"{base_key}/G")


class Subclass(RedisFeatureFlagStore):
    """Of the program's own, whose methods must be called."""

    def __init__(self, client, base_key):
        super().__init__(client, base_key=base_key)


class Logged(redis.Redis):
    calls = 0

    def execute_command(self, *args, **options):
        type(self).calls += 1
        return super().execute_command(*args, **options)


def test_subclasses_are_called(server, base_key):
    store = RedisFeatureFlagStore(Logged(port=server.port), base_key)
    assert not is_served(store)
    use(store)
    assert Logged.calls > 10
    assert not is_served(Subclass(redis.Redis(port=server.port), base_key))
    with pytest.raises(TypeError):
        Subclass("redis://localhost", base_key)


@pytest.mark.parametrize("decodes", [False, True])
def test_fakes_are_called(decodes):
    fakeredis = package("fakeredis")
    store = RedisFeatureFlagStore(fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=decodes))
    assert not is_served(store)
    use(store)


def test_a_fake_with_the_address_of_a_real_server_stays_a_fake(server, raw, base_key):
    fakeredis = package("fakeredis")
    for fake in (
        fakeredis.FakeStrictRedis(host="localhost", port=server.port),
        fakeredis.FakeStrictRedis.from_url(f"redis://localhost:{server.port}"),
        redis.Redis(connection_pool=fakeredis.FakeStrictRedis(host="localhost", port=server.port).connection_pool),
    ):
        store = RedisFeatureFlagStore(fake, base_key)
        assert not is_served(store)
        store.create("F")
        assert store.get("F") is not None
        assert [*raw.scan_iter(f"{base_key}/*")] == []


def test_a_client_whose_methods_a_test_has_replaced_is_called(server, base_key, monkeypatch):
    client, calls = redis.Redis(port=server.port), []
    monkeypatch.setattr(client, "get", lambda key: calls.append(key))
    store = RedisFeatureFlagStore(client, base_key)
    assert not is_served(store) and store.get("F") is None
    assert calls == [f"{base_key}/F"]


def test_a_store_whose_methods_a_test_has_replaced_calls_them(monkeypatch):
    from flipper.contrib.redis import RedisFeatureFlagStore

    monkeypatch.setattr(RedisFeatureFlagStore, "get", lambda self, name: None)
    store = RedisFeatureFlagStore(redis.Redis(port=1))
    assert not is_served(store) and not FeatureFlagClient(store).is_enabled("F")


def test_a_client_calls_the_methods_that_a_test_patches_on_the_class(server, base_key):
    client = FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=server.port), base_key))
    memory = FeatureFlagClient(MemoryFeatureFlagStore())
    for each in (client, memory):
        each.create("F", is_enabled=True)
        assert each.is_enabled("F")
        cls = MemoryFeatureFlagStore if each is memory else RedisFeatureFlagStore
        with mock.patch.object(cls, "get", return_value=None) as get:
            assert not each.is_enabled("F") and not each.get("F").is_enabled() and not each.exists("F")
            get.assert_called_with("F")
        assert each.is_enabled("F") and each.get("F").is_enabled() and not each._flags.is_replaced
        with mock.patch.object(cls, "set", autospec=True) as set_:
            each.disable("F")
            assert set_.call_args.args[1:] == ("F", False)
        assert each.is_enabled("F")


def test_what_others_have_stored_is_kept_or_skipped(fake):
    store = RedisFeatureFlagStore(fake)
    fields = FeatureFlagStoreItem("F", False, FeatureFlagStoreMeta(1)).to_dict()
    fields["added"], fields["meta"]["added"] = 1, 2
    fake.set("features/F", json.dumps(fields))
    client = FeatureFlagClient(store)
    client.enable("F")
    client.set_client_data("F", {"a": 1})
    stored = json.loads(fake.get("features/F"))
    assert (stored["is_enabled"], stored["added"], stored["meta"]["added"]) == (True, 1, 2)
    fake.set("features/BROKEN", b"{}")
    fake.set("features/\u00ff".encode("latin-1"), b"{}")
    fake.set("features/EMPTY", b"")
    fake.rpush("features/LIST", "x")
    fake.set("features-other/X", json.dumps(fields))
    assert [flag.name for flag in client.list()] == ["F"]
    assert store.get("EMPTY") is None
    with pytest.raises(UnreadableFlagError):
        store.get("BROKEN")


def test_a_base_key_is_no_pattern(fake):
    RedisFeatureFlagStore(fake, "axb").create("F")
    assert [*RedisFeatureFlagStore(fake, "a?b").list()] == []
    store = RedisFeatureFlagStore(fake, "a[x]*\\b")
    store.create("G")
    assert [item.feature_name for item in store.list()] == ["G"]


def test_lists_come_in_batches(fake, monkeypatch):
    store, sizes = RedisFeatureFlagStore(fake, list_method_batch_size=3), []
    for number in range(7):
        store.create(str(number))
    mget = fake.mget
    monkeypatch.setattr(fake, "mget", lambda keys: sizes.append(len(keys)) or mget(keys))
    assert [item.feature_name for item in store.list()] == [str(number) for number in range(7)]
    assert sizes == [3, 3, 1]
    assert [*store.list(limit=0)] == []


def test_a_server_that_is_down_at_first(tmp_path, caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        store = RedisFeatureFlagStore(redis.Redis(port=port, password="s3cr3t"))
    client = FeatureFlagClient(store)
    assert is_served(store) and client.is_enabled("F", default="default") == "default"
    assert "flags are not those of Redis yet" in caplog.text and "s3cr3t" not in caplog.text + repr(client)
    with redis_server(tmp_path, "requirepass s3cr3t", port=port):
        other = RedisFeatureFlagStore(redis.Redis(port=port, password="s3cr3t"))
        other.create("F", is_enabled=True)
        wait_until(lambda: client.is_enabled("F"))


def test_a_server_that_does_not_answer_holds_up_no_check():
    # redis-py 8 by itself would try ten times, for a minute.
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        # The elapsed time is the very thing under test.
        begin = time.monotonic()
        client = FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=mute.getsockname()[1])))
        assert not client.is_enabled("F")
        assert time.monotonic() - begin < 15


def test_a_user_with_few_rights_is_served_by_the_client(server, raw, base_key, caplog):
    raw.acl_setuser("few", enabled=True, passwords=["+s3cr3t"], keys=["*"], commands=["+get", "+set"])
    client = redis.Redis(port=server.port, username="few", password="s3cr3t")
    store = RedisFeatureFlagStore(client, base_key)
    assert not is_served(store)
    assert "lacks a right" in caplog.text and "s3cr3t" not in caplog.text
    features = FeatureFlagClient(store)
    features.create("F")
    features.enable("F")
    assert features.is_enabled("F") and raw.get(f"{base_key}/F") == store.get("F").serialize()


def test_a_user_who_may_only_read_is_served(server, raw, base_key):
    raw.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], categories=["+@read", "+@connection"])
    RedisFeatureFlagStore(raw, base_key).create("F", is_enabled=True)
    store = RedisFeatureFlagStore(redis.Redis(port=server.port, username="reader", password="x"), base_key)
    assert is_served(store) and FeatureFlagClient(store).is_enabled("F")


def test_a_wrong_password_raises_what_the_client_raises(server, base_key):
    store = RedisFeatureFlagStore(redis.Redis(port=server.port, username="unknown", password="s3cr3t"), base_key)
    with pytest.raises(redis.exceptions.AuthenticationError):
        store.get("F")


@pytest.mark.parametrize("db", [0, "3", 7])
def test_databases(server, base_key, db):
    client = redis.Redis(port=str(server.port), db=db)
    store = RedisFeatureFlagStore(client, base_key)
    store.create("F")
    assert is_served(store) and client.exists(f"{base_key}/F")


def test_tls(server, base_key):
    options = {"host": "localhost", "port": server.tls_port, "ssl": True, "ssl_ca_certs": server.file("ca.crt")}
    for more in (
        {"ssl_check_hostname": True},
        {"ssl_check_hostname": False, "host": "127.0.0.1"},
        {"ssl_cert_reqs": "none", "ssl_check_hostname": False, "ssl_ca_certs": None},
        {"ssl_certfile": server.file("client.crt"), "ssl_keyfile": server.file("client.key")},
        {
            "ssl_check_hostname": False,
            "ssl_certfile": server.file("client.crt"),
            "ssl_keyfile": server.file("client.key"),
        },
    ):
        client = redis.Redis(**{**options, **more})
        client.ping()
        store = RedisFeatureFlagStore(client, base_key)
        assert is_served(store), more
        store.create("F")
        assert store.get("F") is not None and client.get(f"{base_key}/F"), more


def test_no_certificate_is_taken_that_the_client_would_refuse(server, base_key):
    for more in ({"ssl_check_hostname": True}, {"ssl_check_hostname": False}):
        client = redis.Redis(port=server.tls_port, ssl=True, **more)
        with pytest.raises(redis.exceptions.ConnectionError):
            client.ping()
        store = RedisFeatureFlagStore(client, base_key)
        assert not is_served(store) or store._flags.trouble is not None, more


def test_a_unix_socket(tmp_path, base_key):
    path = tmp_path / "a b.sock"
    with redis_server(tmp_path, f'unixsocket "{path}"'):
        client = redis.Redis(unix_socket_path=str(path), db=2)
        store = RedisFeatureFlagStore(client, base_key)
        store.create("F")
        assert is_served(store) and client.exists(f"{base_key}/F")


def test_valkey(server, base_key):
    valkey = package("valkey")
    store = RedisFeatureFlagStore(valkey.Valkey(port=server.port), base_key)
    assert is_served(store)
    use(store)


def test_sentinel(tmp_path, base_key):
    with redis_server(tmp_path) as primary:
        monitor = f"sentinel monitor m 127.0.0.1 {primary.port} 1"
        with redis_server(tmp_path, monitor, sentinel=True) as sentinel:
            manager = redis.sentinel.Sentinel([("127.0.0.1", sentinel.port)])
            client = manager.master_for("m", db=1)
            store = RedisFeatureFlagStore(client, base_key)
            store.create("F")
            assert is_served(store) and client.exists(f"{base_key}/F")
            assert not is_served(RedisFeatureFlagStore(manager.slave_for("m"), base_key))


def test_cluster(tmp_path, base_key):
    with redis_server(tmp_path, "cluster-enabled yes", f"cluster-port {free_port()}") as node:
        plain = redis.Redis(port=node.port)
        plain.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "ok" in str(plain.execute_command("CLUSTER", "INFO")))
        client = redis.RedisCluster(host="127.0.0.1", port=node.port)
        store = RedisFeatureFlagStore(client, base_key)
        assert is_served(store)
        use(store)
        called = Subclass(client, f"{base_key}-called")
        use(called)


def test_clients_for_asyncio_are_refused():
    asynchronous = package("redis.asyncio")
    for client in (asynchronous.Redis(), asynchronous.RedisCluster(host="localhost")):
        with pytest.raises(TypeError, match="asyncio"):
            RedisFeatureFlagStore(client)


def test_no_password_is_shown(caplog):
    caplog.set_level(logging.DEBUG)
    client = redis.Redis(port=free_port(), username="user", password="s3cr3t/@?#")
    for store in (RedisFeatureFlagStore(client), Subclass(client, "features")):
        assert "s3cr3t" not in repr(store) + repr(FeatureFlagClient(store)) + caplog.text


def test_a_server_that_starts_later(tmp_path, base_key):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0?base_key={base_key}"
    client = FeatureFlagClient.connect(url, must_arrive=False)
    assert client.is_enabled("F", default=True) is True
    with redis_server(tmp_path, port=port):
        FeatureFlagClient.connect(url).create("F", is_enabled=False)
        wait_until(lambda: client.is_enabled("F", default=True) is False, "the flag arrives")
        client.enable("F")
        assert client.is_enabled("F")
