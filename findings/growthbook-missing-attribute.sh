#!/usr/bin/env bash
# GrowthBook: in JavaScript a missing attribute passes "less than", and a regular expression gets a text in its place; in Python neither.
# Versions: npm @growthbook/growthbook 1.8.0, PyPI growthbook 4.0.0; the same conditions.
# Expected: an attribute that a user does not have fulfils no comparison, as in Python.
# Seen: in JavaScript a missing attribute is below every number and every version, at most 0, at least 0, and equal to 0, and a regular expression
# is given a text in its place. In Python none of these hold.
# Consequence: "app version below 2.0 sees the notice to update" and "under 18" hold for visitors of whom nothing is known; the service
# in Python, with the same features, leaves them out. Add `"$exists": true` to each comparison.
source "$(dirname "$0")/support/common.sh"

python_packages growthbook==4.0.0 typing_extensions==4.16.0 urllib3==2.8.0 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 aiohttp==3.14.5 \
  aiohappyeyeballs==2.7.1 aiosignal==1.4.0 attrs==26.1.0 frozenlist==1.8.0 multidict==7.2.1 propcache==0.5.4 yarl==1.25.1 idna==3.20
npm_packages @growthbook/growthbook@1.8.0
cat >"$home/cases.json" <<'JSON'
[["under 18", {"age": {"$lt": 18}}], ["at least 0", {"age": {"$gte": 0}}], ["is 0", {"age": 0}],
 ["below version 2.0.0", {"app": {"$vlt": "2.0.0"}}], ["a text of letters", {"country": {"$regex": "^[a-z]+$"}}],
 ["over 18", {"age": {"$gt": 18}}], ["under 18, exists", {"age": {"$lt": 18, "$exists": true}}]]
JSON
cat >"$home/probe.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
from growthbook import GrowthBook
for name, condition in json.load(open(sys.argv[1])):
    features = {"flag": {"defaultValue": False, "rules": [{"condition": condition, "force": True}]}}
    print(f"{name}: {'on' if GrowthBook(attributes={}, features=features).is_on('flag') else 'off'};", end=" ")
PY
cat >"$home/probe.cjs" <<'JS'
const { GrowthBook } = require('@growthbook/growthbook');
for (const [name, condition] of JSON.parse(require('node:fs').readFileSync(process.argv[2]))) {
  const features = { flag: { defaultValue: false, rules: [{ condition, force: true }] } };
  process.stdout.write(`${name}: ${new GrowthBook({ attributes: {}, features }).isOn('flag') ? 'on' : 'off'}; `);
}
JS
python=$(timeout 60 python3 "$home/probe.py" "$home/cases.json") || cannot "the probe in Python"
node=$(timeout 60 node "$home/probe.cjs" "$home/cases.json") || cannot "the probe in Node"
expected "all off, for a user without attributes"
seen "Node: $node"
seen "Python: $python"
[ "$(grep -o ': on;' <<<"$node" | wc -l) $(grep -o ': off;' <<<"$node" | wc -l)" = "5 2" ] || changed "Node"
grep -q ': on' <<<"$python" && changed "Python"
exit 0
