"""Rules that are objects of a program's own, on the memory store; and bucketers of its own, on all stores."""

import gc
import uuid
import weakref
from unittest.mock import MagicMock

import pytest

from flipper import Condition, FeatureFlagClient, exceptions
from flipper.bucketing import AbstractBucketer, BucketerFactory, Percentage, PercentageBucketer, SaltedPercentageBucketer


class Own(AbstractBucketer):
    def __init__(self, odd=True):
        self.odd = odd

    def check(self, user_id=0, **checks):
        return user_id % 2 == self.odd

    @classmethod
    def get_type(cls):
        return "OwnBucketer"

    def to_dict(self):
        return {**super().to_dict(), "odd": self.odd}

    @classmethod
    def from_dict(cls, fields):
        return cls(fields["odd"])


class Unknown(Own):
    @classmethod
    def get_type(cls):
        return "UnknownBucketer"


def test_a_mock_for_a_bucketer(client):
    bucketer = MagicMock()
    bucketer.check.return_value = False
    client.create("F", is_enabled=True)
    client.set_bucketer("F", bucketer)
    assert client.is_enabled("F") is False and client.is_enabled("F", a=1) is False
    bucketer.check.assert_called_with(a=1)
    bucketer.check.return_value = "anything"
    assert client.is_enabled("F") == "anything"
    client.disable("F")
    assert client.is_enabled("F") is False
    client.enable("F")
    client.set_client_data("F", {"a": 1})
    assert client.is_enabled("F") == "anything" and client.get_client_data("F") == {"a": 1}
    client.set_bucketer("F", PercentageBucketer())
    assert client.is_enabled("F") is True


def test_conditions_that_json_cannot_hold(client):
    ids = {uuid.uuid4(), uuid.uuid4()}
    client.create("F", is_enabled=True)
    client.add_condition("F", Condition(plan="pro"))
    client.add_condition("F", Condition(id__in=ids))
    assert client.is_enabled("F", id=next(iter(ids)), plan="pro") is True
    assert client.is_enabled("F", id=next(iter(ids)), plan="free") is False
    assert client.is_enabled("F", id=uuid.uuid4()) is False
    assert client.is_enabled("F", plan="pro") is True and client.is_enabled("F", id=5) is False
    client.set_conditions("F", [])
    assert client.is_enabled("F", id=5) is True


def test_objects_are_freed_when_neither_their_flag_nor_its_history_has_them(client):
    bucketer = Unknown()
    dead = weakref.ref(bucketer)
    client.create("F", is_enabled=True)
    client.set_bucketer("F", bucketer)
    assert client.is_enabled("F", user_id=1) is True
    del bucketer
    gc.collect()
    assert dead() is not None
    client.create("F")
    # It could be restored until then.
    for _ in range(1000):
        client.disable("F")
    gc.collect()
    assert dead() is None


def test_a_registered_bucketer_is_stored(tmp_path):
    BucketerFactory.BUCKETER_MAP["OwnBucketer"] = Own
    BucketerFactory.BUCKETER_MAP["OwnBucketer"] = Own
    client = FeatureFlagClient.connect(f"sqlite:{tmp_path / 'flags.db'}")
    client.create("F", is_enabled=True)
    client.set_bucketer("F", Own(odd=False))
    other = FeatureFlagClient.connect(f"sqlite:{tmp_path / 'flags.db'}")
    for each in (client, other):
        assert [each.is_enabled("F", user_id=index) for index in range(3)] == [True, False, True]
        assert each.get_meta("F")["bucketer"] == {"type": "OwnBucketer", "odd": False}
    client.enable("F")
    assert client.is_enabled("F", user_id=2) is True
    with pytest.raises(exceptions.InvalidBucketerTypeError):
        client.set_bucketer("F", Unknown())


def test_the_salted_bucketer_is_the_same_in_python(client):
    bucketer = SaltedPercentageBucketer("user_id", Percentage(0.5))
    client.create("F", is_enabled=True)
    client.set_bucketer("F", bucketer)
    item = client._store.get("F")
    answers = [client.is_enabled("F", user_id=index) for index in range(200)]
    assert answers == [item.is_enabled(user_id=index) for index in range(200)]
    assert 70 < sum(answers) < 130
    for value in ["", "7", "ü😀", "\ud800", "x" * 1000, None, True, 1.5, float("inf"), 1 << 70, [1, "x"], {"k": [None]}, list(range(99))]:
        assert client.is_enabled("F", user_id=value) == item.is_enabled(user_id=value), value
    # As the Rust documentation has it.
    assert [bucketer.score("CHECKOUT", {"user_id": value}) for value in (7, "7")] == [0.01889, 0.64719]
    assert client.is_enabled("F") is False and client.is_enabled("F", other=uuid.uuid4()) is False
