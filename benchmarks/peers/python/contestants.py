"""The contestants: each prepares the flags of a row in its own form, and says how one check is written.

`contestants.py NAME ROW` is a process with one of them: it prints the bytes of a flag, then for each line of its input the
nanoseconds of a check.
"""

import json
import logging
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import rows


class Ready(NamedTuple):
    expression: str  # a check of `name`, for `who`
    names: dict
    who: list  # the form of each user
    answer: str = "{}"  # makes a boolean, or a variant, of the expression
    keep: object = None


def limit(row):
    """A dict, and a comparison."""
    flags = {flag["name"]: flag["on"] for flag in row.flags}
    rule = {None: "flags.get(name, False)", "one": "flags.get(name, False) and who['plan'] == 'pro'"}.get(row.rule)
    return rule and Ready(rule, {"flags": flags}, row.users)


def _flipper(row, bucketer=None, by_handle=False):
    from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore

    client = FeatureFlagClient(MemoryFeatureFlagStore())
    for flag in row.flags:
        client.create(flag["name"], is_enabled=flag["on"])
        if row.conditions:
            client.add_condition(flag["name"], Condition(**row.conditions))
        if row.rule == "percentage":
            client.set_bucketer(flag["name"], bucketer)
        if row.rule == "variants":
            weights = zip(rows.VARIANTS, [33_333, 33_333, 33_334])
            client.set_variants(flag["name"], {"by": "id", "values": [{"name": name, "weight": weight} for name, weight in weights]})
    context = ", **who" if row.rule else ""
    if by_handle:
        handles = {name: client.get(name) for name in row.names}
        return Ready(f"name.is_enabled({context.removeprefix(', ')})", {"client": client}, row.users, keep=handles)
    check = f"client.variant(name, ''{context})" if row.rule == "variants" else f"client.is_enabled(name{context})"
    return Ready(check, {"client": client}, row.users)


def _compatible(row):
    from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage

    return _flipper(row, ConsistentHashPercentageBucketer(percentage=Percentage(rows.SHARE), key_whitelist=["id"]))


ours = _compatible


def original(row):
    return None if row.rule == "variants" else _compatible(row)


def ours_salted(row):
    from flipper.bucketing import SaltedPercentageBucketer

    return _flipper(row, SaltedPercentageBucketer("id", rows.SHARE)) if row.rule == "percentage" else None


def ours_by_handle(row):
    return _flipper(row, by_handle=True) if row.rule is None and not row.missing else None


def ours_openfeature(row):
    from flipper.openfeature import FlipperProvider

    ready = _compatible(row)
    return _open_feature(FlipperProvider(ready.names["client"], targeting_key="id"), row)


def openfeature(row):
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    if row.rule in ("percentage", "variants"):
        return None

    def evaluate(flag, context):
        return FlagResolutionDetails(value=all(context.attributes.get(key) == value for key, value in row.conditions.items()))

    variants = {"on": True, "off": False}
    evaluator = {"context_evaluator": evaluate} if row.rule else {}
    flags = {flag["name"]: InMemoryFlag("on" if flag["on"] else "off", variants, **evaluator) for flag in row.flags}
    return _open_feature(InMemoryProvider(flags), row)


def _open_feature(provider, row):
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    api.set_provider_and_wait(provider)
    who = [EvaluationContext(user.get("id"), {key: value for key, value in user.items() if key != "id"}) for user in row.users]
    context = ", who" if row.rule else ""
    call = "get_string_value(name, ''" if row.rule == "variants" else "get_boolean_value(name, False"
    return Ready(f"client.{call}{context})", {"client": api.get_client()}, who)


def unleash(row):
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    constraints = [{"contextName": key, "operator": "IN", "values": [value]} for key, value in row.conditions.items()]
    strategy = {"name": "default", "parameters": {}, "constraints": constraints}
    if row.rule == "percentage":
        strategy = {"name": "flexibleRollout", "parameters": {"rollout": str(round(rows.SHARE * 100)), "stickiness": "userId", "groupId": "g"}}
    variants = [{"name": name, "weight": 1, "weightType": "variable", "stickiness": "userId"} for name in rows.VARIANTS]
    more = {"variants": variants} if row.rule == "variants" else {}
    features = [{"name": flag["name"], "enabled": flag["on"], "strategies": [strategy], **more} for flag in row.flags]
    cache = FileCache("bench", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict({"version": 1, "features": features})
    options = {"disable_metrics": True, "disable_registration": True, "cache": cache}
    client = UnleashClient("http://127.0.0.1:1/api", "bench", **options)
    client.initialize_client(fetch_toggles=False)
    who = [{"userId": user.get("id", ""), "properties": user} for user in row.users]
    if row.rule == "variants":
        return Ready("client.get_variant(name, who)['name']", {"client": client}, who)
    context = ", who" if row.rule else ""
    return Ready(f"client.is_enabled(name{context})", {"client": client}, who)


def launchdarkly(row):
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations import Files

    clauses = [{"attribute": key, "op": "in", "values": [value], "negate": False} for key, value in row.conditions.items()]
    share = round(rows.SHARE * 100_000)
    weights = [33_333, 33_333, 33_334] if row.rule == "variants" else [share, 100_000 - share]
    split = {"rollout": {"variations": [{"variation": index, "weight": weight} for index, weight in enumerate(weights)]}}
    variations, default = (rows.VARIANTS, "") if row.rule == "variants" else ([True, False], False)
    base = {"version": 1, "salt": "s", "variations": variations, "offVariation": 1, "targets": [], "prerequisites": []}
    flags = {
        flag["name"]: {
            **base,
            "key": flag["name"],
            "on": flag["on"],
            "rules": [{"id": "r", "variation": 0, "clauses": clauses}] if clauses else [],
            "fallthrough": split if row.rule in ("percentage", "variants") else {"variation": 1 if clauses else 0},
        }
        for flag in row.flags
    }
    file = Path(tempfile.mkdtemp(), "flags.json")
    file.write_text(json.dumps({"flags": flags}))
    source = Files.new_data_source(paths=[str(file)])
    client = LDClient(Config("key", update_processor_class=source, send_events=False, diagnostic_opt_out=True))
    who = []
    for user in row.users:
        builder = Context.builder(user.get("id", "user"))
        for key, value in user.items():
            if key != "id":
                builder.set(key, value)
        who.append(builder.build())
    return Ready(f"client.variation(name, who, {default!r})", {"client": client}, who)


def growthbook(row):
    from growthbook import GrowthBook

    def feature(flag):
        if row.rule == "percentage":
            return {"defaultValue": False, "rules": [{"force": True, "coverage": rows.SHARE, "hashAttribute": "id"}]}
        if row.rule == "variants":
            return {"defaultValue": "", "rules": [{"variations": rows.VARIANTS, "hashAttribute": "id", "coverage": 1.0}]}
        if row.conditions:
            return {"defaultValue": False, "rules": [{"condition": row.conditions, "force": True}]}
        return {"defaultValue": flag["on"]}

    features = {flag["name"]: feature(flag) for flag in row.flags}
    # It has the attributes of one user; its own advice for a service is an instance for each request.
    who = [GrowthBook(attributes=user, features=features) for user in row.users]
    return Ready("who.get_feature_value(name, '')" if row.rule == "variants" else "who.is_on(name)", {}, who)


def configcat(row):
    from configcatclient import ConfigCatClient
    from configcatclient.configcatoptions import ConfigCatOptions
    from configcatclient.localfiledatasource import LocalFileFlagOverrides
    from configcatclient.overridedatasource import OverrideBehaviour
    from configcatclient.user import User

    def setting(flag):
        found = {"t": 0, "v": {"b": flag["on"] and not row.rule}}
        if row.conditions:
            found["r"] = [{"c": [{"u": {"a": key, "c": 28, "s": value}} for key, value in row.conditions.items()], "s": {"v": {"b": True}}}]
        if row.rule == "percentage":
            share = round(rows.SHARE * 100)
            found["p"] = [{"p": share, "v": {"b": True}}, {"p": 100 - share, "v": {"b": False}}]
        if row.rule == "variants":
            found = {"t": 1, "v": {"s": ""}, "p": [{"p": share, "v": {"s": name}} for share, name in zip([33, 33, 34], rows.VARIANTS)]}
        return found

    file = Path(tempfile.mkdtemp(), "flags.json")
    file.write_text(json.dumps({"f": {flag["name"]: setting(flag) for flag in row.flags}}))
    overrides = LocalFileFlagOverrides(str(file), OverrideBehaviour.LocalOnly)
    client = ConfigCatClient.get(f"bench-{len(row.flags)}", ConfigCatOptions(flag_overrides=overrides))
    who = [User(user.get("id", "user"), custom=user) for user in row.users]
    context, default = ", who" if row.rule else "", "''" if row.rule == "variants" else "False"
    return Ready(f"client.get_value(name, {default}{context})", {"client": client}, who)


def split(row):
    from splitio import get_factory

    if row.rule:
        return None  # the file of its local mode has no conditions
    file = Path(tempfile.mkdtemp(), "flags.split")
    file.write_text("".join(f"{flag['name']} {'on' if flag['on'] else 'off'}\n" for flag in row.flags))
    factory = get_factory("localhost", config={"splitFile": str(file)})
    factory.block_until_ready(30)
    return Ready("client.get_treatment('user', name)", {"client": factory.client()}, row.users, "{} == 'on'")


def memory():
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compiled(text, ready):
    found = {}
    exec(f"def run(pairs, out):\n  for name, who in pairs:\n    {text}\n", dict(ready.names), found)
    return found["run"]


def main(name, key):
    logging.disable(logging.CRITICAL)
    row = rows.Row(key)
    # What it imports is no part of a flag.
    if globals()[name](rows.Row(row.smallest())) is None:
        return print(json.dumps(None), flush=True)
    before = memory()
    ready = globals()[name](row)
    size = (memory() - before) / len(row.flags)
    of_name = ready.keep.get if ready.keep else lambda name: name
    pairs = [(of_name(name), ready.who[user]) for name, user in row.checks]
    answers = []
    compiled(f"out.append({ready.answer.format(f'({ready.expression})')})", ready)(pairs, answers)
    row.verify(answers)
    check = compiled(ready.expression, ready)
    begin = time.perf_counter_ns()
    check(pairs[:100], None)
    once = (time.perf_counter_ns() - begin) / 100
    # 20 ms a round; slow ones check at least ten.
    count = max(10, min(int(20e6 / once), 200_000))
    pairs = (pairs * (count // len(pairs) + 1))[:count]
    print(json.dumps({"bytes": size}), flush=True)
    for _ in sys.stdin:
        print(round_of(check, pairs, row.threads), flush=True)
    os._exit(0)  # some have threads that run on


def round_of(check, pairs, threads):
    """The nanoseconds of a check: of this thread's processor, or by the clock with several."""
    if threads == 1:
        begin = time.thread_time_ns()
        check(pairs, None)
        return (time.thread_time_ns() - begin) / len(pairs)
    running = [threading.Thread(target=check, args=(pairs, None)) for _ in range(threads)]
    begin = time.perf_counter_ns()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (time.perf_counter_ns() - begin) / len(pairs)


if __name__ == "__main__":
    main(*sys.argv[1:])
