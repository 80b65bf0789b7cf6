"""The wrappers."""

import threading
import time
from unittest.mock import MagicMock

import pytest

from flipper import CachedFeatureFlagStore, Condition, FeatureFlagClient, MemoryFeatureFlagStore, ReplicatedFeatureFlagStore
from flipper.contrib.cached import ExpiringCache
from flipper.contrib.storage import FeatureFlagStoreMeta


def test_a_client_of_a_cached_store(store):
    client = FeatureFlagClient(CachedFeatureFlagStore(store))
    client.create("F")
    client.enable("F")
    client.add_condition("F", Condition(a=1))
    assert client.is_enabled("F", a=1) and not client.is_enabled("F", a=2)
    client.destroy("F")
    assert not client.exists("F")


@pytest.mark.parametrize("options", [{"ttl": -1}, {"expiration": -1}])
def test_what_has_expired_is_read_again(store, options):
    cached = CachedFeatureFlagStore(store, **options)
    assert cached.get("F") is None
    store.create("F", is_enabled=True)
    assert cached.get("F").is_enabled()


def test_it_expires_after_a_quarter_of_an_hour(store, monkeypatch):
    cached, start = CachedFeatureFlagStore(store), time.monotonic()
    assert cached.get("F") is None
    store.create("F")
    monkeypatch.setattr(time, "monotonic", lambda: start + 14 * 60)
    assert cached.get("F") is None
    monkeypatch.setattr(time, "monotonic", lambda: start + 16 * 60)
    assert cached.get("F") is not None


@pytest.mark.parametrize("options", [{"size": 2}, {"max_size": 2}])
def test_the_flag_used_longest_ago_goes_first(options):
    store = MagicMock()
    store.get.return_value = None
    cached = CachedFeatureFlagStore(store, **options)
    for name in "abac":
        cached.get(name)
    store.get.reset_mock()
    cached.get("a")
    store.get.assert_not_called()
    cached.get("b")
    store.get.assert_called_once_with("b")


def test_options_of_the_older_cache():
    store = MemoryFeatureFlagStore()
    CachedFeatureFlagStore(store, expiration=30, max_size=10, concurrent=True, thread_clear=True, thread_clear_min_check=60)
    with pytest.raises(TypeError):
        CachedFeatureFlagStore(store, expire=30)
    with pytest.raises(ValueError):
        CachedFeatureFlagStore(store, size=0)


def test_flags_that_have_expired_are_served_while_the_store_is_down():
    store = MagicMock()
    cached = CachedFeatureFlagStore(store, ttl=-1)
    item = cached.get("F")
    store.get.side_effect = ConnectionError
    assert cached.get("F") is item
    with pytest.raises(ConnectionError):
        cached.get("OTHER")


def test_the_cache_is_safe_to_share():
    cache, failures = ExpiringCache(50, 0.0005), []

    def use(seed):
        try:
            for index in range(5000):
                key = str((index * seed) % 200)
                cache[key] = index
                try:
                    cache[key]
                except KeyError as error:
                    assert error.args == (key,)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class Slow(MemoryFeatureFlagStore):
    def __init__(self):
        super().__init__()
        self.may_write = threading.Event()

    def set(self, feature_name, is_enabled):
        assert self.may_write.wait(30)
        super().set(feature_name, is_enabled)


def test_replicas_get_all_writes_in_order():
    primary, replicas = MemoryFeatureFlagStore(), [MemoryFeatureFlagStore() for _ in range(3)]
    store = ReplicatedFeatureFlagStore(primary, *replicas)
    assert store.create("F", client_data={"a": 1}).feature_name == "F"
    for index in range(50):
        store.set("F", index % 2 == 0)
        store.set_meta("F", FeatureFlagStoreMeta(index, {"n": index}))
    assert {replica.get("F").serialize() for replica in replicas} == {primary.get("F").serialize()}
    store.delete("F")
    assert [replica.get("F") for replica in replicas] == [None] * 3


def test_a_slow_replica_holds_a_write_up_no_longer_than_the_timeout():
    primary, slow = MemoryFeatureFlagStore(), [Slow(), Slow()]
    store = ReplicatedFeatureFlagStore(primary, *slow, replication_timeout=0.05)
    store.create("F")
    begin = time.monotonic()
    store.set("F", True)
    store.set("F", False)
    # The elapsed time is the very thing under test.
    assert time.monotonic() - begin < 5
    for replica in slow:
        replica.may_write.set()
    store.set("F", True, asynch=False)
    assert all(replica.get("F").is_enabled() for replica in slow)


def test_what_a_replica_raises():
    replica = MagicMock()
    replica.set.side_effect = ConnectionError
    store = ReplicatedFeatureFlagStore(MemoryFeatureFlagStore(), replica)
    store.set("F", True)
    with pytest.raises(ConnectionError):
        store.set("F", True, asynch=False)
    assert store.get("F").is_enabled()


def test_a_cache_over_replicas():
    store = CachedFeatureFlagStore(ReplicatedFeatureFlagStore(MemoryFeatureFlagStore(), MemoryFeatureFlagStore()))
    client = FeatureFlagClient(store)
    client.create("F", is_enabled=True)
    assert client.is_enabled("F")


@pytest.mark.parametrize("wrap", [CachedFeatureFlagStore, lambda store: ReplicatedFeatureFlagStore(store, MemoryFeatureFlagStore())])
def test_what_others_changed_is_kept_by_a_change_through_a_wrapper(store, wrap):
    client, other = FeatureFlagClient(wrap(store)), FeatureFlagClient(store)
    client.create("F")
    other.set_client_data("F", {"a": 1})
    other.add_condition("F", Condition(plan="pro"))
    client.set_client_data("F", {"b": 2})
    assert client.get_client_data("F") == other.get_client_data("F") == {"a": 1, "b": 2}
    assert not other.is_enabled("F", plan="free") and len(other.get_meta("F")["conditions"]) == 1


def test_replicas_get_what_a_change_made():
    primary, replica = MemoryFeatureFlagStore(), MemoryFeatureFlagStore()
    client = FeatureFlagClient(ReplicatedFeatureFlagStore(primary, replica))
    client.create("F")
    client.set_client_data("F", {"a": 1})
    assert replica.get("F").meta["client_data"] == {"a": 1}


class Own(MemoryFeatureFlagStore):
    def __init__(self):
        super().__init__()
        self.calls = []

    def change(self, feature_name, change):
        self.calls.append("change")
        super().change(feature_name, change)


class Audited(Own):
    def set_meta(self, feature_name, meta):
        self.calls.append("set_meta")
        MemoryFeatureFlagStore.change(self, feature_name, lambda draft: draft.replace(meta))


@pytest.mark.parametrize("wrap", [CachedFeatureFlagStore, ReplicatedFeatureFlagStore])
@pytest.mark.parametrize(("kind", "called"), [(Own, "change"), (Audited, "set_meta")])
def test_the_method_of_the_last_subclass_is_called(wrap, kind, called):
    store = kind()
    client = FeatureFlagClient(wrap(store))
    client.create("F")
    client.set_client_data("F", {"a": 1})
    assert store.calls == [called] and client.get_client_data("F") == {"a": 1}


def test_a_method_that_a_test_replaces_is_called(store):
    client = FeatureFlagClient(CachedFeatureFlagStore(store))
    client.create("F")
    store.set_meta = MagicMock()
    client.set_client_data("F", {"a": 1})
    store.set_meta.assert_called_once()
