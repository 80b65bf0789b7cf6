"""Times the checks of `evaluation.rs` with the Python library. Prints a line `key<TAB>nanoseconds` for each.

The argument is the duration in seconds. As in Rust, the checks take turns, and a figure is the median of the rounds.
"""

import platform
import statistics
import sys
import time
from importlib.metadata import version

from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.bucketing import (
    ConsistentHashPercentageBucketer,
    LinearRampPercentage,
    Percentage,
    PercentageBucketer,
)

CHECKS_A_BATCH = 20
DAY = 86_400

features = FeatureFlagClient(MemoryFeatureFlagStore())


def flag(name, conditions=(), bucketer=None):
    features.create(name, is_enabled=True)
    if conditions:
        features.set_conditions(name, conditions)
    if bucketer:
        features.set_bucketer(name, bucketer)


def ramp():
    return LinearRampPercentage(0.0, 1.0, DAY, int(time.time()) - DAY // 2)


flag("BARE")
flag("ONE_CONDITION", [Condition(plan="pro")])
flag(
    "FIVE_CONDITIONS",
    [
        Condition(is_admin=True),
        Condition(plan="pro"),
        Condition(horses__gt=9000),
        Condition(country="NL"),
        Condition(age__gte=18),
    ],
)
flag("PERCENTAGE", bucketer=PercentageBucketer(Percentage(0.5)))
flag("RAMP", bucketer=PercentageBucketer(ramp()))
flag("HASH", bucketer=ConsistentHashPercentageBucketer(percentage=Percentage(0.5)))
flag("HASH_RAMP", bucketer=ConsistentHashPercentageBucketer(percentage=ramp()))

five = dict(is_admin=True, plan="pro", horses=9001, country="NL", age=18)
eight = dict(five, user_id=7, tenant="acme", beta=False)
check = features.is_enabled
cases = {
    "bare": lambda: check("BARE"),
    "one": lambda: check("ONE_CONDITION", plan="pro"),
    "one_of_eight": lambda: check("ONE_CONDITION", **eight),
    "five": lambda: check("FIVE_CONDITIONS", **five),
    "five_of_eight": lambda: check("FIVE_CONDITIONS", **eight),
    "percentage": lambda: check("PERCENTAGE"),
    "ramp": lambda: check("RAMP"),
    "hash": lambda: check("HASH", user_id=7),
    "hash_eight": lambda: check("HASH", **eight),
    "hash_ramp": lambda: check("HASH_RAMP", user_id=7),
}


def batch(case):
    begin = time.perf_counter_ns()
    for _ in range(CHECKS_A_BATCH):
        case()
    return (time.perf_counter_ns() - begin) / CHECKS_A_BATCH


rounds = {key: [] for key in cases}
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for key, case in cases.items():
        rounds[key].append(batch(case))

print(f"flipper-client {version('flipper-client')}, CPython {platform.python_version()}")
for key, times in rounds.items():
    print(f"{key}\t{statistics.median(times):.0f}")
