"""Percentages: what the original has wrong, right."""

import os
import random
import time

import pytest

from flipper.bucketing import LinearRampPercentage, Percentage, PercentageBucketer, PercentageFactory
from flipper.exceptions import InvalidPercentageTypeError


def ramp(monkeypatch, now, *values):
    from golden import clock

    monkeypatch.setattr("flipper.bucketing.percentage.linear_ramp_percentage.datetime", clock(now))
    return LinearRampPercentage(*values)


@pytest.mark.parametrize(
    ("now", "value"), [(900, 0.8), (1000, 0.8), (1050, 0.5), (1100, 0.2), (5000, 0.2)], ids=lambda each: str(each)
)
def test_ramps_go_down_too(monkeypatch, now, value):
    assert ramp(monkeypatch, now, 0.8, 0.2, 100, 1000).value == pytest.approx(value)


def test_ramps_go_up_and_stay(monkeypatch):
    values = [ramp(monkeypatch, now, 0.25, 1.0, 100, 1000).value for now in (0, 1000, 1050, 1100, 9999)]
    assert values == [0.25, 0.25, 0.625, 1.0, 1.0]
    assert ramp(monkeypatch, 5, 0.1, 0.9, 0, 1000).value == 0.9


@pytest.fixture
def new_york():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("start", [1_710_054_000, 1_730_611_800], ids=["an hour left out", "an hour twice"])
def test_ramps_do_not_jump_when_clocks_change(monkeypatch, new_york, start):
    assert ramp(monkeypatch, start + 1800, 0.0, 1.0, 3600, start).value == pytest.approx(0.5)
    assert ramp(monkeypatch, start + 3600, 0.0, 1.0, 7200, start).value == pytest.approx(0.5)


def test_a_bare_number_is_a_percentage():
    assert PercentageBucketer(0.0).check() is False
    assert PercentageBucketer(0).check() is False
    assert PercentageBucketer(1).check() is True
    assert PercentageBucketer().percentage == 1.0
    random.seed(1)
    assert 400 < sum(PercentageBucketer(0.5).check() for _ in range(1000)) < 600


def test_percentages_compare_with_numbers():
    assert Percentage(0.5) == 0.5 and Percentage(0.5) > 0.4 and Percentage(0.5) <= True
    with pytest.raises(ValueError):
        Percentage(0.5) == "0.5"  # noqa: B015
    with pytest.raises(TypeError):
        hash(Percentage(0.5))
    with pytest.raises(InvalidPercentageTypeError):
        PercentageFactory.create({"type": "Other"})
