"""What is checked: as in the Rust program (`../src/scenario.rs`), with names of its own."""

import random

SHARE = 0.25
VARIANTS = ["red", "green", "violet"]
TWENTY = {
    "country": "NL", "region": "utrecht", "city": "amersfoort", "language": "nl", "timezone": "Europe/Amsterdam", "device": "phone",
    "system": "android", "browser": "firefox", "app": "shop", "channel": "beta", "plan": "pro", "role": "admin", "team": "checkout",
    "tenant": "acme", "segment": "returning", "cohort": "2026-11", "campaign": "autumn", "referrer": "newsletter", "theme": "dark",
    "currency": "EUR",
}  # fmt: skip
TITLES = {
    "plain-10": "check by name, 10 flags",
    "plain-1000": "check by name, 1,000 flags",
    "plain-10000": "check by name, 10,000 flags",
    "threads-10": "check by name, 10 flags, two threads",
    "threads-1000": "check by name, 1,000 flags, two threads",
    "threads-10000": "check by name, 10,000 flags, two threads",
    "missing": "missing flag, 1,000 flags",
    "one-rule": "one rule on an attribute",
    "twenty-rules": "twenty rules, all of which hold",
    "percentage": "25 % of users",
    "variants": "three variants, by user",
}
MEMORY = "plain-10000"
RULES = {"one-rule": "one", "twenty-rules": "twenty", "percentage": "percentage", "variants": "variants"}


class Row:
    def __init__(self, key):
        kind, _, size = key.partition("-")
        self.rule = RULES.get(key)
        self.missing = key == "missing"
        self.threads = 2 if kind == "threads" else 1
        count = 10 if self.rule else 1_000 if self.missing else int(size)
        draw = random.Random(count)
        name = lambda number: "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 33))) + f"{number:07}"
        self.flags = [{"name": name(number), "on": bool(self.rule) or draw.random() < 0.5} for number in range(count)]
        self.conditions = {"one": {"plan": "pro"}, "twenty": TWENTY}.get(self.rule, {})
        users = {"one": 101, "twenty": 11, "percentage": 101, "variants": 101}.get(self.rule, 1)
        self.users = [self._user(number, draw) for number in range(users)]
        self.names = [name(count + number) for number in range(count)] if self.missing else [flag["name"] for flag in self.flags]
        draw.shuffle(self.names)
        # Each user checks each flag: their numbers have no common factor.
        self.checks = [(self.names[turn % count], turn % users) for turn in range(count * users)]

    def _user(self, number, draw):
        match self.rule:
            case "one":
                return {"plan": draw.choice(["pro", "free"])}
            case "twenty":
                return TWENTY
            case "percentage" | "variants":
                return {"id": f"user-{number * 7919:08}"}
        return {}

    def smallest(self):
        """A row of the same kind with few flags."""
        return next(key for key, rule in RULES.items() if rule == self.rule) if self.rule else "missing" if self.missing else "plain-10"

    def verify(self, answers):
        if self.rule == "percentage":
            right = abs(sum(answers) / len(answers) - SHARE) < 0.13
        elif self.rule == "variants":
            right = set(answers) == set(VARIANTS) and all(abs(answers.count(it) / len(answers) - 1 / 3) < 0.13 for it in VARIANTS)
        else:
            on = {flag["name"] for flag in self.flags if flag["on"]}
            holds = [self.rule != "one" or user["plan"] == "pro" for user in self.users]
            right = answers == [name in on and holds[user] for name, user in self.checks]
        if not right:
            raise SystemExit(f"wrong answers: {answers[:20]}")
