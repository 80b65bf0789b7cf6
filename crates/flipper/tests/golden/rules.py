"""A second implementation of docs/rules.md and docs/evaluation.md: plain and slow. It was written from these pages, then compared.

    python3 rules.py check FILE       compares the cases of a file with this implementation
    python3 rules.py generate [FILE]  writes the cases
    python3 rules.py chance SEED N    writes other cases, by chance

Needs Python 3.11 and xxhash (tests/python/requirements.txt). Of regular expressions it has what Python's have in common with the documented
ones, and of bucketers the one that shares are defined by.
"""

import json
import sys
from fractions import Fraction

import xxhash

from rules_checks import COMPARE, MEMBER, check_holds
from rules_read import BUCKETS, Unreadable, read


def bucket(flag, value, seed):
    text = value.encode() if isinstance(value, str) else b"\0" + json.dumps(value).encode()
    return xxhash.xxh3_64_intdigest(text, seed=xxhash.xxh3_64_intdigest(flag.encode(), seed=seed)) % BUCKETS


def nearest(share):
    return int(Fraction(float(share) * BUCKETS) + Fraction(1, 2))


def in_share(flag, by, share, context):
    if by not in context:
        return nearest(share) == BUCKETS
    return bucket(flag, context[by], 0) < nearest(share)


def chosen_variant(flag, variants, context):
    values, by = variants["values"], variants["by"]
    if by not in context:
        return next((variant["name"] for variant in values if variant["weight"] == BUCKETS), None)
    mine, begin = bucket(flag, context[by], 1), 0
    for variant in values:
        ranges = variant.get("buckets", [[begin, begin + variant["weight"]]])
        begin += variant["weight"]
        if any(first <= mine < end for first, end in ranges):
            return variant["name"]
    return None


def condition_checks(conditions):
    for condition in conditions:
        for checks in condition.values():
            yield from checks


def condition_check(check, context):
    """Whether a check of a condition holds, or None for values that cannot be compared."""
    operator = check["operator"] or "eq"
    try:
        return (COMPARE | MEMBER)[operator](context[check["variable"]], check["value"])
    except TypeError:
        return None


def denies(condition, context):
    """The reason, if it does."""
    checks = list(condition_checks([condition]))
    if not checks or any(check["variable"] not in context for check in checks):
        return None
    found = [condition_check(check, context) for check in checks]
    return None if False in found else "type_mismatch" if None in found else "denied"


def by_conditions(conditions, strict, context):
    for check in condition_checks(conditions):
        if check["variable"] not in context:
            if strict:
                return False, "not_given"
            continue
        holds = condition_check(check, context)
        if not holds:
            return False, "type_mismatch" if holds is None else "condition_failed"
    return True, "conditions_met"


class Flags:
    """The stored flags, and the time."""

    def __init__(self, records, now):
        self.records = {record["feature_name"]: record for record in records}
        self.now = now

    def when_holds(self, when, context):
        return self.truth(when, context) is True

    def truth(self, when, context, within=()):
        """None: it is not known."""
        if "attribute" in when:
            return check_holds(when, context)
        ((kind, inner),) = when.items()
        if kind in ("all", "any"):
            found, decides = {self.truth(one, context, within) for one in inner}, kind == "any"
            return decides if decides in found else None if None in found else not decides
        if kind == "not":
            truth = self.truth(inner, context, within)
            return None if truth is None else not truth
        if inner in within or len(within) >= 64:
            return None
        try:
            segment = read(self.records[f"segments/{inner}"])["segment"]
        except (KeyError, Unreadable):
            return None
        return self.truth(segment, context, (*within, inner))

    def evaluate(self, name, context, path=()):
        if name not in self.records:
            return {"enabled": False, "reason": "no_such_flag"}
        try:
            meta = read(self.records[name])
        except Unreadable:
            return {"enabled": False, "reason": "corrupt"}
        answer = self.decide(name, meta, context, path + (name,))
        variants = meta.get("variants")
        if variants and "variant" not in answer:
            variant = chosen_variant(name, variants, context) if answer["enabled"] else variants.get("off")
            if variant is not None:
                answer["variant"] = variant
        return answer

    def prerequisite_holds(self, prerequisite, context, path):
        other = prerequisite["flag"]
        if other in path or len(path) >= 64:
            return False
        answer = self.evaluate(other, context, path)
        return answer["enabled"] and prerequisite.get("variant") in (None, answer.get("variant"))

    def decide(self, name, meta, context, path):
        """The table "Which part decides"; the numbers are its rows."""
        answer = lambda enabled, reason, **more: {"enabled": enabled, "reason": reason} | more
        limited = any(meta.get(part) for part in ("rules", "prerequisites", "schedule"))
        if self.records[name]["is_enabled"] is False and not (limited and meta.get("enabled") is True):  # 2
            return answer(False, "disabled")
        schedule = meta.get("schedule", {})
        if self.now < schedule.get("enable_at", self.now) or self.now >= schedule.get("disable_at", self.now + 1):  # 3
            return answer(False, "scheduled")
        if not all(self.prerequisite_holds(one, context, path) for one in meta.get("prerequisites", [])):  # 4
            return answer(False, "prerequisite")
        for condition in meta.get("deny_conditions", []):  # 5
            if reason := denies(condition, context):
                return answer(False, reason)
        for index, rule in enumerate(meta.get("rules", [])):  # 6
            if "when" in rule and not self.when_holds(rule["when"], context):
                continue
            serve = rule["serve"]
            if serve in ("on", "off"):
                return answer(serve == "on", "rule", rule=index)
            if "variant" in serve:
                return answer(True, "rule", rule=index, variant=serve["variant"])
            return answer(in_share(name, serve["by"], serve["share"], context), "rule", rule=index)
        conditions, strict = meta.get("conditions", []), meta.get("strict_conditions", False)
        if conditions and (context or strict):  # 7
            return answer(*by_conditions(conditions, strict, context))
        if schedule.get("steps"):  # 8
            share = [0] + [step["share"] for step in schedule["steps"] if step["at"] <= self.now]
            return answer(*self.bucketed(name, schedule["by"], share[-1], context))
        bucketer = meta.get("bucketer", {"type": "NoOpBucketer"})  # 9
        if bucketer["type"] == "NoOpBucketer":
            return answer(True, "enabled")
        assert bucketer["type"] == "SaltedPercentageBucketer", "the other bucketers are in golden.jsonl.gz"
        return answer(*self.bucketed(name, bucketer["bucket_by"], bucketer["percentage"]["value"], context))

    def bucketed(self, name, by, share, context):
        return in_share(name, by, share, context), "bucket" if by in context else "no_bucket_attribute"


def expected(case):
    return Flags(case["flags"], case["now"]).evaluate(case["flag"], case["context"])


def check(path):
    with open(path, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    wrong = [case for case in cases if expected(case) != case["expect"]]
    for case in wrong:
        print(f"here {expected(case)}, in the file {case['expect']}: {json.dumps(case)}")
    print(f"{len(cases) - len(wrong)} of {len(cases)} cases agree")
    return 0 if cases and not wrong else 1


def lines(cases):
    return "".join(json.dumps(case, separators=(",", ":")) + "\n" for case in cases)


def main(arguments):
    # These import this module.
    import rules_cases
    import rules_chance

    match arguments:
        case ["check", path]:
            return check(path)
        case ["generate"]:
            sys.stdout.write(lines(rules_cases.cases()))
        case ["generate", path]:
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(lines(rules_cases.cases()))
        case ["chance", seed, count]:
            sys.stdout.write(lines(rules_chance.by_chance(int(seed), int(count))))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
