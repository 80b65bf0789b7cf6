#!/usr/bin/env bash
# GrowthBook: "beta is true" is on for the text "false" in JavaScript, and off in Python even for the text "true".
# Versions: npm @growthbook/growthbook 1.8.0, PyPI growthbook 4.0.0; the same conditions.
# Expected: the text "false" is not true in any language, and a text, a list and a number equal the same things in both.
# Seen: the short form `{"beta": true}` asks in JavaScript whether the attribute is truthy, as every text but the empty one is; `{"seats": 7}` turns it
# into a number, and `{"plan": "pro"}` into a text, which a list of one becomes too. In Python type and value must be equal; with `{"$eq": true}` in both.
# Consequence: an attribute from a header, a cookie or the environment is a text. Who has `beta=false` in a cookie is in the beta on the page, and who
# has `beta=true` is not in that of the service in Python. Make booleans and numbers of such attributes first, or write `$eq`, which is off for texts in both.
source "$(dirname "$0")/support/common.sh"

python_packages growthbook==4.0.0 typing_extensions==4.16.0 urllib3==2.8.0 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 aiohttp==3.14.5 \
  aiohappyeyeballs==2.7.1 aiosignal==1.4.0 attrs==26.1.0 frozenlist==1.8.0 multidict==7.2.1 propcache==0.5.4 yarl==1.25.1 idna==3.20
npm_packages @growthbook/growthbook@1.8.0
cat >"$home/cases.json" <<'JSON'
[[{"beta": true}, {"beta": true}], [{"beta": true}, {"beta": "true"}], [{"beta": true}, {"beta": "false"}], [{"beta": false}, {"beta": "false"}],
 [{"beta": false}, {"beta": ""}], [{"beta": true}, {"beta": 1}], [{"seats": 7}, {"seats": "7"}], [{"plan": "pro"}, {"plan": ["pro"]}],
 [{"beta": {"$eq": true}}, {"beta": true}], [{"beta": {"$eq": true}}, {"beta": "false"}], [{"beta": {"$eq": true}}, {"beta": 1}],
 [{"seats": {"$eq": 7}}, {"seats": "7"}], [{"plan": {"$eq": "pro"}}, {"plan": ["pro"]}]]
JSON
cat >"$home/probe.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
from growthbook import GrowthBook
for condition, attributes in json.load(open(sys.argv[1])):
    features = {"flag": {"defaultValue": False, "rules": [{"condition": condition, "force": True}]}}
    print("on" if GrowthBook(attributes=attributes, features=features).is_on("flag") else "off")
PY
cat >"$home/probe.cjs" <<'JS'
const { GrowthBook } = require('@growthbook/growthbook');
for (const [condition, attributes] of JSON.parse(require('node:fs').readFileSync(process.argv[2]))) {
  const features = { flag: { defaultValue: false, rules: [{ condition, force: true }] } };
  console.log(new GrowthBook({ attributes, features }).isOn('flag') ? 'on' : 'off');
}
JS
python=$(timeout 60 python3 "$home/probe.py" "$home/cases.json") || cannot "the probe in Python"
node=$(timeout 60 node "$home/probe.cjs" "$home/cases.json") || cannot "the probe in Node"
expected "the same in both languages, and off for the text false where true is wanted"
cases=$(python3 -c 'import json, sys; [print(json.dumps(c), "given", json.dumps(a)) for c, a in json.load(open(sys.argv[1]))]' "$home/cases.json")
while IFS=$'\t' read -r case in_node in_python; do
  seen "$case: Node $in_node, Python $in_python"
done < <(paste <(echo "$cases") <(echo "$node") <(echo "$python"))
[ "$(xargs <<<"$node")" = "on on on off on on on on on off off off off" ] || changed "Node"
[ "$(xargs <<<"$python")" = "on off off off off off off off on off off off off" ] || changed "Python"
