"""Flags in Consul: with a real agent, and with clients that are called."""

import threading

import pytest
from flipper import ConsulFeatureFlagStore, FeatureFlagClient
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.exceptions import InvalidInputError
from every_store import is_served, use
from servers import TOKEN, consul_agent, free_port, package, wait_until

consul = package("consul")


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with consul_agent(tmp_path_factory.mktemp("consul")) as agent:
        yield agent


@pytest.fixture
def raw(agent):
    """A client of the agent, for what other programs do."""
    return consul.Consul(port=agent.port)


@pytest.fixture
def base_key(request):
    return f"base-{request.node.name}"


class Client(consul.Consul):
    """Of the program's own, whose methods must be called."""


def value(client, key):
    row = client.kv.get(key)[1]
    return row and row["Value"]


def test_a_client_is_served(agent, raw, base_key):
    store = ConsulFeatureFlagStore(consul.Consul(host="127.0.0.1", port=agent.port), base_key=base_key)
    assert is_served(store) and isinstance(store, ConsulFeatureFlagStore)
    assert store.base_key == base_key and repr(store) == f"ConsulFeatureFlagStore({base_key!r})"
    use(store)
    assert value(raw, f"{base_key}/G") == store.get("G").serialize()


def test_a_url(agent, base_key):
    store = ConsulFeatureFlagStore(f"consul://127.0.0.1:{agent.port}/{base_key}")
    assert is_served(store) and store.base_key == base_key
    use(store)
    store = ConsulFeatureFlagStore(f"consul://127.0.0.1:{agent.port}", base_key=base_key)
    assert store.base_key == base_key and store.get("G") is not None
    with pytest.raises(InvalidInputError):
        ConsulFeatureFlagStore("consul:nowhere")


def test_a_client_of_the_programs_own_is_called(agent, base_key):
    store = ConsulFeatureFlagStore(Client(port=agent.port), base_key)
    assert not is_served(store)
    use(store)


@pytest.mark.parametrize("kind", [consul.Consul, Client])
def test_what_others_do_arrives(agent, raw, base_key, kind):
    base_key = f"{base_key}-{kind.__module__}"
    item = FeatureFlagStoreItem("F", True, FeatureFlagStoreMeta(1))
    raw.kv.put(f"{base_key}/F", item.serialize())
    raw.kv.put(f"{base_key}/BROKEN", b"{")
    raw.kv.put(f"{base_key}/", None)
    raw.kv.put(f"{base_key}-other/X", b"no flag")
    client = FeatureFlagClient(ConsulFeatureFlagStore(kind(port=agent.port), base_key))
    assert client.is_enabled("F")
    raw.kv.put(f"{base_key}/F", FeatureFlagStoreItem("F", False, FeatureFlagStoreMeta(1)).serialize())
    wait_until(lambda: not client.is_enabled("F"))
    assert [item.feature_name for item in client._store.list()] == ["F"]
    raw.kv.delete(f"{base_key}/F")
    wait_until(lambda: not client.exists("F"))
    raw.kv.put(f"{base_key}/F", item.serialize())
    wait_until(lambda: client.is_enabled("F"))


def test_no_change_of_several_writers_is_lost(agent, base_key):
    clients = [FeatureFlagClient(ConsulFeatureFlagStore(consul.Consul(port=agent.port), base_key)) for _ in range(4)]
    clients[0].create("F")
    wait_until(lambda: all(client.exists("F") for client in clients))

    def merge(index):
        for number in range(10):
            clients[index].set_client_data("F", {f"{index}-{number}": 1})

    threads = [threading.Thread(target=merge, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(clients[0].get_client_data("F")) == 40)


class Counting:
    """Counts the questions of a store; those that wait are few."""

    def __init__(self, client):
        self.client, self.kv, self.gets = client, self, 0

    def get(self, *args, **options):
        self.gets += 1
        return self.client.kv.get(*args, **options)

    def put(self, *args, **options):
        return self.client.kv.put(*args, **options)

    def delete(self, *args, **options):
        return self.client.kv.delete(*args, **options)


def test_a_wrapper_is_called_and_waits_for_changes(agent, base_key):
    wrapper = Counting(consul.Consul(port=agent.port))
    store = ConsulFeatureFlagStore(wrapper, base_key)
    use(store)
    done = threading.Event()
    # There is nothing to wait for: that something does not happen is under test.
    before = wrapper.gets
    done.wait(0.5)
    assert wrapper.gets - before < 10


class Fake:
    """What the original library calls, and no more."""

    def __init__(self):
        self.kv, self.values = self, {}

    def get(self, key, recurse=False):
        return 1, [{"Key": each, "Value": value} for each, value in self.values.items() if each.startswith(key)] or None

    def put(self, key, value):
        self.values[key] = value

    def delete(self, key):
        self.values.pop(key, None)


def test_a_fake_that_does_not_wait(base_key):
    fake = Fake()
    store = ConsulFeatureFlagStore(fake)
    use(store)
    fake.put("features/X", FeatureFlagStoreItem("X", True, FeatureFlagStoreMeta(1)).serialize())
    wait_until(lambda: store.get("X") is not None)


def test_a_client_that_raises(caplog):
    class Broken(Fake):
        works = False

        def get(self, key, recurse=False):
            if not self.works:
                raise ConnectionError("no agent")
            return super().get(key, recurse)

    client = Broken()
    store = ConsulFeatureFlagStore(client)
    assert not FeatureFlagClient(store).is_enabled("F") and "no agent" in caplog.text
    client.put("features/F", FeatureFlagStoreItem("F", True, FeatureFlagStoreMeta(1)).serialize())
    client.works = True
    wait_until(lambda: FeatureFlagClient(store).is_enabled("F"))


def test_a_store_that_no_one_has_ends_its_thread():
    def followers():
        return [thread for thread in threading.enumerate() if thread.name == "flipper-consul"]

    before = len(followers())
    store = ConsulFeatureFlagStore(Fake())
    assert len(followers()) == before + 1
    del store
    wait_until(lambda: len(followers()) <= before)


def test_an_agent_that_is_down_at_first(caplog):
    store = ConsulFeatureFlagStore(consul.Consul(port=free_port(), token="s3cr3t"))
    client = FeatureFlagClient(store)
    assert client.is_enabled("F", default="default") == "default"
    assert "flags are not those of Consul yet" in caplog.text and "s3cr3t" not in caplog.text + repr(client)


def test_a_token(tmp_path, base_key):
    with consul_agent(tmp_path, acl=True) as agent:
        client = consul.Consul(port=agent.port, token=TOKEN)
        store = ConsulFeatureFlagStore(client, base_key)
        assert is_served(store)
        store.create("F")
        assert value(client, f"{base_key}/F") == store.get("F").serialize()


def test_tls(tmp_path, base_key):
    with consul_agent(tmp_path, tls=True) as agent:
        options = {
            "scheme": "https",
            "port": agent.tls_port,
            "cert": (agent.file("client.crt"), agent.file("client.key")),
        }
        for more in ({"host": "localhost", "verify": agent.file("ca.crt")}, {"verify": False}):
            client = consul.Consul(**options, **more)
            client.kv.put("reached", "1")
            store = ConsulFeatureFlagStore(client, base_key)
            assert is_served(store), more
            store.create("F")
            assert value(client, f"{base_key}/F") == store.get("F").serialize(), more
        refused = ConsulFeatureFlagStore(consul.Consul(**options, host="localhost", verify=True), base_key)
        assert refused._flags.trouble is not None


def test_a_datacenter(agent, base_key):
    client = consul.Consul(port=agent.port, dc="dc1", consistency="consistent")
    store = ConsulFeatureFlagStore(client, base_key)
    assert is_served(store)
    use(store)


def test_clients_that_do_not_wait_are_refused():
    class Kv:
        async def get(self, key, recurse=False):
            """Not awaited."""

    class Asynchronous:
        kv = Kv()

    with pytest.raises(TypeError, match="does not wait"):
        ConsulFeatureFlagStore(Asynchronous())
