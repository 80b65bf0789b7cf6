#!/usr/bin/env python3
"""What a check costs, beside the original library and a bare method, in one run.

    python benches/check.py ORIGINAL

ORIGINAL: the `python` of a venv with `flipper-client==1.3.2` (`--make-original FOLDER` makes one). Both measure themselves in turns, so that
a busy machine slows both; of each, the fastest of all rounds counts.
"""

import json
import subprocess
import sys
import timeit
import venv
from pathlib import Path

ROUNDS, LOOPS = 7, 100_000
PINS = ["flipper-client==1.3.2", "redis==4.4.4", "pyee==6.0.0", "setuptools<81"]


def cases():
    from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
    from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage

    client = FeatureFlagClient(MemoryFeatureFlagStore())
    for index in range(100):
        client.create(f"FLAG_{index}", is_enabled=True)
    client.add_condition("FLAG_1", Condition(plan="pro"))
    five = Condition(plan="pro", age__gte=18, country__in=["DE", "FR"], beta=True, name__ne="x")
    client.add_condition("FLAG_2", five)
    bucketer = ConsistentHashPercentageBucketer(percentage=Percentage(0.5), key_whitelist=["user_id"])
    client.set_bucketer("FLAG_3", bucketer)
    flag = client.get("FLAG_0")
    names = {"client": client, "flag": flag}
    return names, {
        "plain": "client.is_enabled('FLAG_0')",
        "missing": "client.is_enabled('NONE')",
        "handle": "flag.is_enabled()",
        "one condition": "client.is_enabled('FLAG_1', plan='pro')",
        "one condition, off": "client.is_enabled('FLAG_1', plan='free')",
        "five conditions": "client.is_enabled('FLAG_2', plan='pro', age=20, country='FR', beta=True, name='y')",
        "consistent hash": "client.is_enabled('FLAG_3', user_id=7)",
    }


def measure():
    """The nanoseconds of each case."""
    names, all_cases = cases()
    times = {}
    # The loop itself is no part of it.
    empty = min(timeit.repeat("pass", repeat=3, number=LOOPS))
    for name, call in all_cases.items():
        timer = timeit.Timer(call, globals=names)
        times[name] = (min(timer.repeat(3, LOOPS)) - empty) / LOOPS * 1e9
    limit = timeit.Timer("flags.get('FLAG_0')", globals={"flags": {"FLAG_0": 1}})
    times["limit: `dict.get`"] = (min(limit.repeat(3, LOOPS)) - empty) / LOOPS * 1e9
    return times


def best(python, rounds, found):
    for name, time in json.loads(subprocess.check_output([python, __file__, "--measure"])).items():
        rounds.setdefault(name, []).append(time)
        found[name] = min(rounds[name])


def main(original):
    ours, theirs, rounds = {}, {}, ({}, {})
    for _ in range(ROUNDS):
        best(sys.executable, rounds[0], ours)
        best(original, rounds[1], theirs)
    print("| check | ours, ns | original, ns | times faster |\n|---|---:|---:|---:|")
    for name, time in ours.items():
        print(f"| {name} | {time:.0f} | {theirs[name]:.0f} | {theirs[name] / time:.1f} |")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--measure"]:
            print(json.dumps(measure()))
        case ["--make-original", folder]:
            venv.create(folder, with_pip=True)
            subprocess.run([Path(folder, "bin/pip"), "install", "--quiet", *PINS], check=True)
        case [original]:
            main(original)
        case _:
            sys.exit(__doc__)
