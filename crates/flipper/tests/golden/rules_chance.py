"""Part of rules.py: cases by chance."""

import xxhash

from rules_build import A, NOW, case, check, condition, flag, rule, salted, segment, variants
from rules_operators import OPERATORS
from rules_read import BUCKETS


class Chance:
    """The same numbers in all versions of Python."""

    def __init__(self, seed):
        self.seed, self.count = seed, 0

    def below(self, limit):
        self.count += 1
        return xxhash.xxh3_64_intdigest(b"%d" % self.count, seed=self.seed) % limit

    def one(self, items):
        return items[self.below(len(items))]

    def sometimes(self, of):
        return self.below(of) == 0


def by_chance(seed, count):
    chance = Chance(seed)
    tests = {operator: [value for value, _ in tests] for operator, tests in OPERATORS.items()}
    givens = [given for tests in OPERATORS.values() for _, some in tests for given in some]

    def any_check():
        operator = chance.one(list(OPERATORS))
        return check(A, operator) if operator == "exists" else check(A, operator, chance.one(tests[operator]))

    def any_condition():
        operator = chance.one(["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in"])
        return condition(A, chance.one(tests[operator]), None if operator == "eq" else operator)

    values = {A: givens, "plan": ["pro", "free", "team", None], "age": [17, 18, 18.0, "18", True], "id": list(range(50)), "app": ["2.1.0", "1.9.9", "x"]}
    checks = [lambda: check("plan", chance.one(["eq", "ne", "in", "not_in", "contains"]), chance.one(["pro", "free"])),
              lambda: check("age", chance.one(["eq", "ne", "gt", "gte", "lt", "lte"]), chance.one([18, 17.5, "18"])),
              lambda: check("id", chance.one(["in", "not_in"]), [chance.below(50) for _ in range(1 + chance.below(3))]),
              lambda: check("app", chance.one(["semver_lt", "semver_gte"]), chance.one(["2.0.0", "2.1.0"])), lambda: check("plan", "exists"), any_check, any_check]

    def when(depth):
        kind = chance.one(["check", "check", "all", "any", "not", "segment"] if depth else ["check"])
        if kind == "check":
            return chance.one(checks)()
        if kind == "segment":
            return {"segment": chance.one(["s", "t", "none"])}
        return {"not": when(depth - 1)} if kind == "not" else {kind: [when(depth - 1) for _ in range(chance.below(3))]}

    def one_rule(names):
        serves = ["on", "off", {"share": chance.one([0.1, 0.5, 0.9]), "by": chance.one(["id", "plan"])}] + [{"variant": name} for name in names]
        return rule(chance.one(serves), None if chance.sometimes(5) else when(1))

    def one_flag(name, others):
        meta, names = {}, []
        if chance.sometimes(2):
            first, names = chance.below(BUCKETS + 1), ["red", "green"]
            meta["variants"] = variants(first, BUCKETS - first, off=chance.one([None, *names]))
        if not chance.sometimes(4):
            meta["rules"] = [one_rule(names) for _ in range(1 + chance.below(2))]
        if others and chance.sometimes(2):
            meta["prerequisites"] = [{"flag": other} | ({"variant": "red"} if chance.sometimes(6) else {}) for other in others]
        if chance.sometimes(4):
            meta["schedule"] = {"enable_at": NOW - 5 + chance.below(8), "disable_at": NOW + 3 + chance.below(8)}
        elif chance.sometimes(4):
            meta["schedule"] = {"steps": [{"at": NOW + chance.below(3), "share": 0.5}, {"at": NOW + 3, "share": 0.9}], "by": "id"}
        if chance.sometimes(4):
            one = condition(*chance.one([("plan", "pro"), ("age", 18, "gte"), ("plan", ["pro", "team"], "in")]))
            meta["conditions"] = [one, any_condition()] if chance.sometimes(2) else [one]
        if chance.sometimes(6):
            meta["deny_conditions"] = [condition("plan", "free") if chance.sometimes(2) else any_condition()]
        if chance.sometimes(9):
            meta["strict_conditions"] = True
        if chance.sometimes(4):
            meta["bucketer"] = salted(chance.one([0.2, 0.8]))
        on = not chance.sometimes(8)
        if on and {"rules", "prerequisites", "schedule"} & set(meta) and chance.sometimes(2):
            return flag(name, False, enabled=True, **meta)
        return flag(name, on, **meta)

    for _ in range(count):
        flags = [one_flag("F", chance.one([[], ["P"], ["P", "Q"]])), one_flag("P", chance.one([[], ["Q"]])), one_flag("Q", [])]
        flags += [segment("s", when(1)), segment("t", when(0))]
        kept = flags[:1]
        for one in flags[1:]:
            kind, _, name = one["feature_name"].rpartition("/")
            if f"'{'segment' if kind else 'flag'}': '{name}'" in str(kept):
                kept.append(one)
        context = {name: chance.one(options) for name, options in values.items() if not chance.sometimes(4)}
        yield case("chance", kept, {} if chance.sometimes(10) else context, NOW + chance.below(8))
