"""Part of rules.py: stored flags, parts of them, and cases."""

import itertools

from rules import Flags, bucket

NOW = 1_800_000_000
A, B = "a", "b"


def flag(name="F", on=True, **meta):
    return {"feature_name": name, "is_enabled": on, "meta": {"created_date": 1} | meta}


def segment(name, when):
    return flag(f"segments/{name}", False, segment=when)


def case(about, flags, context=None, now=NOW, name="F"):
    flags = flags if isinstance(flags, list) else [flags]
    context = {} if context is None else context
    return {"about": about, "flags": flags, "flag": name, "context": context, "now": now, "expect": Flags(flags, now).evaluate(name, context)}


def check(attribute, operator, *value):
    return {"attribute": attribute, "operator": operator} | ({"value": value[0]} if value else {})


def rule(serve="on", when=None):
    return {"serve": serve} if when is None else {"when": when, "serve": serve}


def choosing(when, **meta):
    """Rule 0 if it holds, else rule 1."""
    return flag(rules=[rule("on", when), rule("off")], **meta)


def condition(variable, value, operator=None):
    return {variable: [{"variable": variable, "value": value, "operator": operator}]}


def salted(share, by="id"):
    return {"type": "SaltedPercentageBucketer", "bucket_by": by, "percentage": {"type": "Percentage", "value": share}}


def variants(*weights, by="id", off=None, buckets=None):
    values = [{"name": name, "weight": weight, "value": f"#{name}"} for name, weight in zip(("red", "green", "blue"), weights)]
    for value, ranges in zip(values, buckets or []):
        value["buckets"] = ranges
    return {"by": by, "values": values} | ({"off": off} if off else {})


def who(wanted, seed=0, name="F", make=lambda number: number):
    """The first caller whose bucket is as wanted."""
    return next(make(number) for number in itertools.count() if wanted(bucket(name, make(number), seed)))
