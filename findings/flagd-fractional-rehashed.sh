#!/usr/bin/env bash
# flagd: one percentage, two languages, and half of the callers get another variant. So does an update of the Python provider.
# Versions: npm @openfeature/flagd-core 4.0.1, PyPI openfeature-flagd-core 1.0.0 and 2.0.0, which openfeature-provider-flagd has up to 0.5.2 and from 0.6.0 on.
# Expected: `fractional` gives a caller the same variant in each of flagd's evaluators, which read one file, and after an update.
# Seen: JavaScript's and Python's 1.0.0 agree for each of 1,000 callers. Python's 2.0.0 gives 496 of them the other variant: it hashes the CBOR of a
# list of the flag's and the caller's keys, the others the text of both. By a number, JavaScript and Python's 1.0.0 give the default, and 2.0.0 chooses.
# Consequence: where a service in Node calls one in Python, half of the callers meet both sides of an experiment; and an update of the minor version
# of a provider that is not 1.0 yet ends a rollout for half of those who had it, and begins it for as many others. Shares stay right, so no graph shows it.
source "$(dirname "$0")/support/common.sh"

npm_packages @openfeature/flagd-core@4.0.1 @openfeature/core@1.10.0
common=(openfeature-sdk==0.10.0 openfeature-flagd-api==1.0.0 cbor2==5.9.0 mmh3==5.3.1 panzi-json-logic==1.0.1 semver==3.1.2 typing_extensions==4.16.0)
pip_into "$home/python-1" openfeature-flagd-core==1.0.0 "${common[@]}"
pip_into "$home/python-2" openfeature-flagd-core==2.0.0 "${common[@]}"
version "$(python3 --version): openfeature-flagd-core 1.0.0 and 2.0.0"

cat >"$home/flags.json" <<'JSON'
{"flags": {
  "by-key": {"state": "ENABLED", "variants": {"new": 1, "old": 2}, "defaultVariant": "old",
    "targeting": {"fractional": [["new", 50], ["old", 50]]}},
  "by-number": {"state": "ENABLED", "variants": {"new": 1, "old": 2, "default": 3}, "defaultVariant": "default",
    "targeting": {"fractional": [{"var": "account"}, ["new", 50], ["old", 50]]}}
}}
JSON
cat >"$home/probe.cjs" <<'JS'
const { FlagdCore } = require('@openfeature/flagd-core');
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const core = new FlagdCore(undefined, logger);
core.setConfigurations(require('fs').readFileSync(process.argv[2], 'utf8'));
for (let user = 0; user < 1000; user++) {
  const context = { targetingKey: `user-${user}`, account: user };
  console.log(...['by-key', 'by-number'].map((flag) => core.resolveNumberEvaluation(flag, 0, context, logger).variant));
}
JS
cat >"$home/probe.py" <<'PY'
import logging, sys
logging.disable(logging.CRITICAL)
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
core = FlagdCore()
core.set_flags(open(sys.argv[1]).read())
for user in range(1000):
    context = EvaluationContext(f"user-{user}", {"account": user})
    print(*(core.resolve_integer_value(flag, 0, context).variant for flag in ("by-key", "by-number")))
PY
(cd "$home" && node probe.cjs flags.json >node) || cannot "the probe in Node"
for major in 1 2; do
  PYTHONPATH=$home/python-$major python3 "$home/probe.py" "$home/flags.json" >"$home/python-$major.out" || cannot "the probe in Python"
done
same() { # COLUMN FILE FILE
  paste -d' ' <(cut -d' ' -f"$1" "$home/$2") <(cut -d' ' -f"$1" "$home/$3") | awk '$1 == $2' | wc -l
}
share() { cut -d' ' -f"$1" "$home/$2" | grep -c '^new$' || true; }
expected "all 1000 callers get the same variant everywhere"
seen "by key: Node and Python's 1.0.0 agree for $(same 1 node python-1.out), Node and Python's 2.0.0 for $(same 1 node python-2.out)"
seen "new, by key: $(share 1 node) in Node, $(share 1 python-2.out) in Python's 2.0.0; by a number: $(share 2 node), $(share 2 python-1.out) in 1.0.0, $(share 2 python-2.out) in 2.0.0"
[ "$(same 1 node python-1.out)" = 1000 ] || changed "Node and Python's 1.0.0"
[ "$(same 1 node python-2.out)" = 504 ] || changed "Node and Python's 2.0.0"
[ "$(share 2 node) $(share 2 python-1.out) $(share 2 python-2.out)" = "0 0 496" ] || changed "a number"
