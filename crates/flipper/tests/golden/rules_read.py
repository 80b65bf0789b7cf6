"""Part of rules.py: which stored flags are readable."""

import ipaddress
import re

from rules_checks import COMPARE, MEMBER, TEXTS, as_list, is_number, moment, pattern, states, version

BUCKETS = 100_000


class Unreadable(Exception):
    """Stored text that is no flag."""


def need(condition, what):
    if not condition:
        raise Unreadable(what)


def fields(part, required, optional=()):
    need(isinstance(part, dict), f"{part!r} is no object")
    need(set(required) <= set(part), f"{part!r} lacks a field")
    need(set(part) <= set(required) | set(optional), f"{part!r} has an unknown field")


def some(value):
    """The texts of a check: at least one."""
    need(as_list(value) and all(isinstance(text, str) for text in as_list(value)), "texts")
    return as_list(value)


def read_check(check):
    fields(check, ["attribute", "operator"], ["value"])
    operator, value = check["operator"], check.get("value")
    need(isinstance(check["attribute"], str), "attribute")
    need((operator == "exists") != ("value" in check), "exists has no value, all others have one")
    if operator in COMPARE or operator == "exists":
        return
    if operator in MEMBER:
        need(isinstance(value, (list, str, dict)) and value != [], "a list")
    elif operator == "matches":
        need(isinstance(value, str) and len(value.encode()) <= 1_000 and states(value) <= 100_000, "a regular expression")
        try:
            pattern(value)
        except re.error:
            raise Unreadable("a regular expression") from None
    elif operator == "in_network":
        for network in some(value):
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise Unreadable("a network") from None
    elif operator.removesuffix("_ignore_case") in TEXTS:
        some(value)
    else:
        kind, _, compare = operator.partition("_")
        need(kind in ("semver", "date") and compare in COMPARE, "an operator")
        need(isinstance(value, str) and (version if kind == "semver" else moment)(value) is not None, "a version or date")


def read_when(when, depth=0):
    need(isinstance(when, dict) and depth <= 32, "a WHEN")
    if "attribute" in when:
        return read_check(when)
    need(len(when) == 1, "one of all, any, not, segment")
    ((kind, inner),) = when.items()
    need(kind in ("all", "any", "not", "segment"), kind)
    if kind == "segment":
        need(isinstance(inner, str), "a segment's name")
    elif kind == "not":
        read_when(inner, depth + 1)
    else:
        need(isinstance(inner, list), "a list")
        for one in inner:
            read_when(one, depth + 1)


def read_serve(serve, variants):
    if serve in ("on", "off"):
        return
    if isinstance(serve, dict) and "variant" in serve:
        fields(serve, ["variant"])
        need(serve["variant"] in variants, "a variant of the flag")
    else:
        fields(serve, ["share", "by"])
        need(is_number(serve["share"]) and 0 <= serve["share"] <= 1 and serve["by"], "a share")


def kind(value):
    kinds = [(bool, "bool"), ((int, float), "number"), (str, "text"), ((list, dict), "JSON")]
    return next((name for types, name in kinds if isinstance(value, types)), None)


def read_variants(variants):
    """The names."""
    fields(variants, ["by", "values"], ["off"])
    values = variants["values"]
    for variant in values:
        fields(variant, ["name", "weight", "value"], ["buckets"])
        need(type(variant["weight"]) is int and variant["weight"] >= 0, "a weight")
    names = [variant["name"] for variant in values]
    need(all(names) and len(set(names)) == len(names) <= 100, "names")
    need(len({kind(variant["value"]) for variant in values}) == 1, "values of one type")
    need(sum(variant["weight"] for variant in values) == BUCKETS, "weights of 100 %")
    need(variants.get("off") in [None, *names], "the off-variant")
    ranges = sorted(tuple(one) for variant in values for one in variant.get("buckets", []))
    if ranges:
        for variant in values:
            need(sum(end - first for first, end in variant.get("buckets", [])) == variant["weight"], "as many buckets as the weight")
        ends = [0] + [end for _, end in ranges]
        need([first for first, _ in ranges] + [BUCKETS] == ends and all(first < end for first, end in ranges), "each bucket once")
    return names


def read_schedule(schedule):
    fields(schedule, [], ["enable_at", "disable_at", "steps", "by"])
    steps, begin, end = schedule.get("steps", []), schedule.get("enable_at"), schedule.get("disable_at")
    for step in steps:
        fields(step, ["at", "share"])
        need(0 <= step["share"] <= 1, "a share")
    times = [step["at"] for step in steps] + ([end] if end is not None else [])
    if begin is not None and not (steps and times[0] == begin):
        times.insert(0, begin)
    need(times and all(type(time) is int for time in times), "times")
    need(all(earlier < later for earlier, later in zip(times, times[1:])), "times in order")
    need(len(steps) <= 100 and (schedule.get("by") or not steps), "steps")


def read(record):
    """The parts of a stored flag."""
    meta = record["meta"]
    names = read_variants(meta["variants"]) if "variants" in meta else []
    need(len(meta.get("rules", [])) <= 1_000, "rules")
    for rule in meta.get("rules", []):
        fields(rule, ["serve"], ["name", "when"])
        read_serve(rule["serve"], names)
        need(isinstance(rule.get("name", "-"), str) and rule.get("name") != "", "a name")
        if "when" in rule:
            read_when(rule["when"])
    prerequisites = meta.get("prerequisites", [])
    for prerequisite in prerequisites:
        fields(prerequisite, ["flag"], ["variant"])
    need(len({prerequisite["flag"] for prerequisite in prerequisites}) == len(prerequisites) <= 100, "prerequisites")
    if "schedule" in meta:
        read_schedule(meta["schedule"])
    if "segment" in meta:
        read_when(meta["segment"])
    return meta
