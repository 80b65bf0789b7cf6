"""A service with the original library beside one with this package, on one Redis, and back."""

import json
import os
import subprocess
import sys

import pytest
import redis
from servers import ROOT, missing, redis_server

ORIGINAL = ROOT / ".cache/python/bin/python"

# Run by both libraries: `write PREFIX` makes flags, `read PREFIX` prints the answers for them.
PROGRAM = """
import json, sys
import redis
from flipper import Condition, FeatureFlagClient, RedisFeatureFlagStore
from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage, PercentageBucketer

port, what, prefix = sys.argv[1:]
client = FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=int(port)), base_key="features"))
if what == "write":
    client.create(prefix + "PLAIN", is_enabled=True, client_data={"owner": "me", "n": [1, 2.5, None]})
    client.create(prefix + "OFF")
    client.create(prefix + "CONDITIONS", is_enabled=True)
    client.set_conditions(prefix + "CONDITIONS", [Condition(plan="pro", age__gte=18), Condition(country__in=["DE", "FR"])])
    client.create(prefix + "HASH", is_enabled=True)
    hashed = ConsistentHashPercentageBucketer(percentage=Percentage(0.5), key_whitelist=["user"])
    client.set_bucketer(prefix + "HASH", hashed)
    client.create(prefix + "NONE", is_enabled=True)
    client.set_bucketer(prefix + "NONE", PercentageBucketer(Percentage(1.0)))
    client.create(prefix + "GONE")
    client.destroy(prefix + "GONE")
else:
    contexts = [{}] + [{"user": n, "plan": p, "age": a, "country": "DE"} for n in range(20) for p in ("pro", "free") for a in (17, 18)]
    answers = {}
    for name in ("PLAIN", "OFF", "CONDITIONS", "HASH", "NONE", "GONE"):
        name = prefix + name
        answers[name] = [client.is_enabled(name, default=None, **context) for context in contexts]
        if client.exists(name):
            answers[name].append(client.get_client_data(name))
    print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def run(python, server, *arguments):
    # Not from the folder of the tests, where this package may be.
    environment = {**os.environ, "PYTHONPATH": ""} if python == ORIGINAL else None
    command = [python, "-c", PROGRAM, str(server.port), *arguments]
    return subprocess.check_output(command, cwd="/", env=environment, timeout=60)


def test_each_answers_by_the_flags_of_the_other(server):
    if not ORIGINAL.exists():
        missing("the original library", "scripts/setup installs it into .cache/python")
    both = {"OURS_": sys.executable, "THEIRS_": ORIGINAL}
    for prefix, python in both.items():
        run(python, server, "write", prefix)
    answers = {}
    for prefix in both:
        ours, theirs = (json.loads(run(python, server, "read", prefix)) for python in both.values())
        assert ours == theirs
        answers[prefix] = [*ours.values()]
    assert answers["OURS_"] == answers["THEIRS_"]
    hashed = answers["OURS_"][3][:-1]
    assert {True, False} <= set(hashed), "it shows nothing if all are alike"


def test_the_original_cannot_read_a_salted_bucketer(server):
    if not ORIGINAL.exists():
        missing("the original library", "scripts/setup installs it into .cache/python")
    run(sys.executable, server, "write", "SALTED_")
    salted = """
from flipper import FeatureFlagClient
from flipper.bucketing import SaltedPercentageBucketer
import sys
client = FeatureFlagClient.connect(f"redis://localhost:{sys.argv[1]}?base_key=features")
client.set_bucketer("SALTED_NONE", SaltedPercentageBucketer("user", 1.0))
"""
    subprocess.run([sys.executable, "-c", salted, str(server.port)], check=True, timeout=60)
    with pytest.raises(subprocess.CalledProcessError):
        run(ORIGINAL, server, "read", "SALTED_")
    assert redis.Redis(port=server.port).exists("features/SALTED_NONE")
