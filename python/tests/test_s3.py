"""Flags in S3: with a real server, SeaweedFS, and with moto, whose server is a part of the test's process."""

import json
import logging
import multiprocessing
import threading
import time
from unittest.mock import MagicMock

import pytest
from flipper import CachedFeatureFlagStore, Condition, FeatureFlagClient, S3FeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.exceptions import FlipperError, StoreUnavailableError, UnauthorizedError, UnreadableFlagError
from every_store import refuse, use
from servers import free_port, new_bucket, package, s3_client, seaweedfs, wait_until

boto3 = package("boto3")
botocore = package("botocore.exceptions")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def client(server):
    return s3_client(server.port)


@pytest.fixture
def bucket(client):
    return new_bucket(client)


@pytest.fixture
def store(client, bucket):
    return S3FeatureFlagStore(client, bucket)


@pytest.fixture(params=["seaweedfs", "moto"])
def either(request):
    """A client, and a bucket, of each."""
    if request.param == "seaweedfs":
        client = request.getfixturevalue("client")
        yield client, new_bucket(client)
        return
    with package("moto").mock_aws():
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "s3cr3t"}
        client = boto3.client("s3", region_name="us-east-1", **keys)
        client.create_bucket(Bucket="flags")
        yield client, "flags"


def keys_of(client, bucket):
    return [content["Key"] for content in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_what_every_store_does(either, caplog):
    use(S3FeatureFlagStore(*either))
    assert keys_of(*either) == ["G"] and "conditional" not in caplog.text


def test_the_key_and_text_of_a_flag(either):
    client, bucket = either
    store = S3FeatureFlagStore(client, bucket)
    store.create("F", is_enabled=True, client_data={"é": 1.0})
    response = client.get_object(Bucket=bucket, Key="F")
    assert response["Body"].read() == store.get("F").serialize() and response["Metadata"] == {}


def test_a_write_over_another_one_is_refused(either):
    store = S3FeatureFlagStore(*either)
    store.create("F")
    text, tag = store._read("F")
    store.set("F", True)
    assert not store._replace("F", text, tag) and not store._add("F", text) and not store._replace("NONE", text, tag)
    assert store.get("F").is_enabled() and store.get("NONE") is None


def test_lists_come_in_pages(either):
    client, bucket = either
    store = S3FeatureFlagStore(client, bucket, page_size=3)
    names = sorted(["b", "a", "B", "_", "é", "10", "9", "\U0001f600"])
    for name in reversed(names):
        store.create(name)
    assert [item.feature_name for item in store.list()] == names
    assert [item.feature_name for item in store.list(limit=4, offset=2)] == names[2:6]
    assert [*store.list(limit=0)] == [*store.list(offset=100)] == [*store.list(limit=-1)] == []
    assert len([*S3FeatureFlagStore(client, bucket, None).list(offset=-1)]) == len(names)


def test_objects_that_are_no_flags(either, caplog):
    client, bucket = either
    store = S3FeatureFlagStore(client, bucket)
    features = FeatureFlagClient(store)
    features.create("F", is_enabled=True)
    for key, text in (("BROKEN", b"{"), ("EMPTY", b""), ("LATIN", b"\xff"), ("LIST", b"[]"), ("folder/", b"")):
        client.put_object(Bucket=bucket, Key=key, Body=text)
    assert [flag.name for flag in features.list()] == ["F"]
    assert caplog.text.count("is no flag") == 5
    assert features.is_enabled("BROKEN", default="default") == "default"
    for read in (lambda: store.get("BROKEN"), lambda: features.set_client_data("BROKEN", {}), lambda: store.set("BROKEN", True)):
        with pytest.raises(UnreadableFlagError):
            read()
    features.create("BROKEN")
    assert features.exists("BROKEN")


def test_an_object_that_vanishes_while_it_is_listed(either, monkeypatch):
    client, bucket = either
    store = S3FeatureFlagStore(client, bucket)
    for name in "ABC":
        store.create(name)
    listed = store.list()
    assert next(listed).feature_name == "A"
    store.delete("B")
    assert [item.feature_name for item in listed] == ["C"]


def test_names(store):
    for name in ("é*~?#[]|%41", "x" * 250, "a b+c", "a/b"):
        store.create(name, is_enabled=True)
        store.set(name, False)
        assert store.get(name).feature_name == name and [item.feature_name for item in store.list()] == [name]
        store.delete(name)
    refuse(store, ("a\0b", "\ud800", "", "x" * 1100))
    for name in ("a\0b", "\ud800", ""):
        store.delete(name)


def test_fields_of_newer_versions_are_kept(client, bucket, store):
    fields = FeatureFlagStoreItem("F", False, FeatureFlagStoreMeta(1)).to_dict()
    fields["added"], fields["meta"]["added"] = 1, 2
    client.put_object(Bucket=bucket, Key="F", Body=json.dumps(fields).encode())
    features = FeatureFlagClient(store)
    features.enable("F")
    features.set_client_data("F", {"a": 1})
    stored = json.loads(client.get_object(Bucket=bucket, Key="F")["Body"].read())
    assert (stored["is_enabled"], stored["added"], stored["meta"]["added"]) == (True, 1, 2)


# Writers


def merge(port, bucket, index, number):
    features = FeatureFlagClient(S3FeatureFlagStore(s3_client(port), bucket))
    for each in range(number):
        features.set_client_data("F", {f"{index}-{each}": 1})


def test_no_change_of_eight_processes_is_lost(server, bucket, store):
    store.create("F")
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=merge, args=(server.port, bucket, index, 50)) for index in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    assert len(store.get("F").meta["client_data"]) == 400


def test_no_change_of_eight_threads_through_caches_is_lost(client, bucket, store):
    # Of a flag that no one has created yet.
    def work(index):
        cached = CachedFeatureFlagStore(S3FeatureFlagStore(client, bucket))
        cached.set("F", True)
        for number in range(5):
            FeatureFlagClient(cached).set_client_data("F", {f"{index}-{number}": 1})

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.get("F").meta["client_data"]) == 40


def test_a_request_that_boto3_repeats_counts_once(server, client, bucket, store):
    features, other, sent = FeatureFlagClient(store), s3_client(server.port), []
    features.create("F")
    features.enable("F")

    def send_before(params, **_):
        # The answer of this one is lost; the one that boto3 repeats finds its object.
        sent.append(params["body"])
        if len(sent) == 1:
            other.put_object(Bucket=bucket, Key="F", Body=params["body"])

    client.meta.events.register("before-call.s3.PutObject", send_before)
    features.add_condition("F", Condition(plan="pro"))
    assert len(sent) == 1 and len(features.get_meta("F")["conditions"]) == 1


# Servers and clients without conditional writes


def test_a_server_that_ignores_conditions(client, bucket, caplog):
    def without_conditions(request, **_):
        del request.headers["If-Match"], request.headers["If-None-Match"]

    client.meta.events.register("before-sign.s3.PutObject", without_conditions)
    use_without_conditions(client, bucket)
    assert caplog.text.count("no conditional writes") == 1 and "the server ignores" in caplog.text


def test_an_older_boto3(client, bucket, caplog):
    # It refuses the arguments itself.
    members = client.meta.service_model.operation_model("PutObject").input_shape.members
    for name in ("IfMatch", "IfNoneMatch"):
        members.pop(name)
    use_without_conditions(client, bucket)
    assert caplog.text.count("no conditional writes") == 1 and "older" in caplog.text


def use_without_conditions(client, bucket):
    store = S3FeatureFlagStore(client, bucket)
    features = FeatureFlagClient(store)
    store.set("F", True)
    features.set_client_data("F", {"a": 1})
    assert features.is_enabled("F") and features.get_client_data("F") == {"a": 1} and keys_of(client, bucket) == ["F"]


def test_a_mock_is_called_as_by_the_original():
    client = MagicMock()
    text = FeatureFlagStoreItem("F", False, FeatureFlagStoreMeta(1)).serialize()
    client.get_object.side_effect = lambda **_: {"Body": MagicMock(read=lambda: text)}
    S3FeatureFlagStore(client, "flags").set("F", True)
    client.put_object.assert_called_once_with(Bucket="flags", Key="F", Body=text.replace(b"false", b"true"))
    client.get_object.side_effect = KeyError("of its own")
    with pytest.raises(KeyError):
        S3FeatureFlagStore(client, "flags").get("F")


# Faults


def test_a_wrong_bucket(either):
    client, _ = either
    store = S3FeatureFlagStore(client, "none")
    with pytest.raises(client.exceptions.NoSuchBucket) as caught:
        store.get("F")
    assert isinstance(caught.value, FlipperError) and caught.value.response["Error"]["Code"] == "NoSuchBucket"
    with pytest.raises(FlipperError):
        store.create("F")
    with pytest.raises(FlipperError):
        store.set("F", True)


def test_rights(server, client, bucket, store):
    store.create("F", is_enabled=True)
    reader = S3FeatureFlagStore(s3_client(server.port, "reader"), bucket)
    assert FeatureFlagClient(reader).is_enabled("F") and [item.feature_name for item in reader.list()] == ["F"]
    for write in (lambda: reader.set("F", False), lambda: reader.create("G"), lambda: reader.delete("F")):
        with pytest.raises(UnauthorizedError) as caught:
            write()
        assert isinstance(caught.value, botocore.ClientError)
    stranger = S3FeatureFlagStore(s3_client(server.port, secret="wrong"), bucket)
    for call in (lambda: stranger.get("F"), lambda: [*stranger.list()]):
        with pytest.raises(UnauthorizedError) as caught:
            call()
        assert "s3cr3t" not in str(caught.value) and "wrong" not in str(caught.value)
    assert keys_of(client, bucket) == ["F"]


def test_a_server_that_is_lost_and_comes_back(tmp_path):
    with seaweedfs(tmp_path) as server:
        client = s3_client(server.port, connect_timeout=20, read_timeout=20)
        store = S3FeatureFlagStore(client, new_bucket(client))
        features, cached = FeatureFlagClient(store), FeatureFlagClient(CachedFeatureFlagStore(store, ttl=-1))
        features.create("F", is_enabled=True)
        assert cached.is_enabled("F")
        server.kill()
        for call in (lambda: features.is_enabled("F"), lambda: features.enable("F"), lambda: [*store.list()]):
            with pytest.raises(StoreUnavailableError) as caught:
                call()
            # As with the original, for programs that catch the driver's errors.
            assert isinstance(caught.value, botocore.BotoCoreError) and "s3cr3t" not in str(caught.value)
        assert cached.is_enabled("F")
        with pytest.raises(StoreUnavailableError):
            cached.is_enabled("OTHER")
        server.start()

        def is_back():
            try:
                features.disable("F")
            except FlipperError:
                return False
            return True

        wait_until(is_back, "SeaweedFS stores an object again")
        assert not features.is_enabled("F") and not cached.is_enabled("F")


def test_a_server_that_does_not_answer_is_left_to_the_client():
    # The elapsed time is the very thing under test.
    begin = time.monotonic()
    store = S3FeatureFlagStore(s3_client(free_port(), connect_timeout=1, read_timeout=1), "flags")
    with pytest.raises(StoreUnavailableError):
        store.get("F")
    assert time.monotonic() - begin < 15


def test_wrong_clients():
    class Asynchronous:
        async def get_object(self, **arguments):
            raise AssertionError

    for client in (Asynchronous(), boto3.resource("s3", region_name="us-east-1"), None, "s3"):
        with pytest.raises(TypeError, match="boto3.client"):
            S3FeatureFlagStore(client, "flags")


def test_no_secret_is_shown(store, caplog):
    caplog.set_level(logging.DEBUG, logger="flipper")
    store.create("F")
    assert "s3cr3t" not in repr(store) + repr(FeatureFlagClient(CachedFeatureFlagStore(store))) + caplog.text
