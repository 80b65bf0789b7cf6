#!/usr/bin/env bash
# Flagsmith: in Python a whole number is neither below nor above 9.5, and a text of digits contains no digit; in Node "7" is above 18.
# Versions: npm flagsmith-nodejs 8.1.2, PyPI flagsmith 6.3.0 (flagsmith-flag-engine 11.1.1); the same environment document, evaluated locally.
# Expected: 5 is below 9.5, and 20 above it, also where a trait holds whole numbers only; 7 is below 18, also as a text; "17" contains "7".
# Seen: Python reads the segment's value with the type of the trait: "9.5" is no whole number, so no comparison with one holds, though 5.0 and 20.5 compare
# well. A trait that is a text of digits counts as a number there, so "contains 7" is off for "17". Node compares 5 and 20 well, and texts as texts: "7" is
# above "18", and "20" is not above "9.5".
# Consequence: "score above 9.5" leaves out exactly those customers in Python whose score is whole. A trait that came as text from a form or a header has
# another order in each language. Send numbers as numbers, and write a threshold that the trait's type can hold.
source "$(dirname "$0")/support/common.sh"

python_packages flagsmith==6.3.0 flagsmith-flag-engine==11.1.1 jsonpath-rfc9535==0.2.0 iregexp-check==0.1.4 regex==2026.11.19 semver==3.1.2 requests==2.34.2 \
  requests-futures==1.1.0 sseclient-py==1.9.0 urllib3==2.8.0 certifi==2026.10.19.post1 charset-normalizer==3.5.3 idna==3.20 typing_extensions==4.16.0
npm_packages flagsmith-nodejs@8.1.2
cat >"$home/cases.json" <<'JSON'
[["LESS_THAN", "9.5", 5], ["LESS_THAN", "9.5", 7.25], ["GREATER_THAN", "9.5", 20], ["GREATER_THAN", "9.5", 20.5], ["EQUAL", "5.0", 5], ["LESS_THAN", "9", 5],
 ["GREATER_THAN", "9.5", "20"], ["GREATER_THAN", "18", "7"], ["LESS_THAN", "18", "9"], ["CONTAINS", "7", "17"], ["CONTAINS", "7", "a7"]]
JSON
cat >"$home/document.py" <<'PY'
import json, sys
def state(number, enabled):
    return {"id": number, "django_id": number, "featurestate_uuid": f"00000000-0000-4000-8000-{number:012}", "enabled": enabled, "feature_state_value": None,
        "feature": {"id": number, "name": f"flag-{number}", "type": "STANDARD"}, "multivariate_feature_state_values": [],
        "feature_segment": {"priority": 0} if enabled else None}
cases = list(enumerate(json.load(open(sys.argv[1])), 1))
segments = [{"id": number, "name": f"segment-{number}", "feature_states": [state(number, True)], "rules": [{"type": "ALL", "rules": [],
    "conditions": [{"operator": operator, "property_": "trait", "value": value}]}]} for number, (operator, value, _) in cases]
organisation = {"id": 1, "name": "probe", "feature_analytics": False, "stop_serving_flags": False, "persist_trait_data": True}
print(json.dumps({"id": 1, "api_key": "key", "name": "probe", "updated_at": "2026-01-01T00:00:00Z", "identity_overrides": [],
    "feature_states": [state(number, False) for number, _ in cases],
    "project": {"id": 1, "name": "probe", "hide_disabled_flags": False, "organisation": organisation, "segments": segments}}))
PY
python3 "$home/document.py" "$home/cases.json" >"$home/document.json"
cat >"$home/probe.py" <<'PY'
import json, sys
from flagsmith import Flagsmith
from flagsmith.offline_handlers import LocalFileHandler
client = Flagsmith(offline_mode=True, offline_handler=LocalFileHandler(sys.argv[1]))
for number, (_, _, trait) in enumerate(json.load(open(sys.argv[2])), 1):
    print("on" if client.get_identity_flags("user", {"trait": trait}).is_feature_enabled(f"flag-{number}") else "off")
PY
cat >"$home/probe.cjs" <<'JS'
const { Flagsmith, LocalFileHandler } = require('flagsmith-nodejs');
const client = new Flagsmith({ offlineMode: true, offlineHandler: new LocalFileHandler(process.argv[2]) });
(async () => {
  for (const [n, [, , trait]] of JSON.parse(require('node:fs').readFileSync(process.argv[3])).entries()) {
    console.log((await client.getIdentityFlags('user', { trait })).isFeatureEnabled(`flag-${n + 1}`) ? 'on' : 'off');
  }
})();
JS
python=$(timeout 120 python3 "$home/probe.py" "$home/document.json" "$home/cases.json") || cannot "the probe in Python"
node=$(timeout 120 node "$home/probe.cjs" "$home/document.json" "$home/cases.json") || cannot "the probe in Node"
expected "on on on on on on, on off on on on, in both"
while IFS=$'\t' read -r case in_node in_python; do
  seen "$case: Node $in_node, Python $in_python"
done < <(paste <(python3 -c 'import json, sys; [print(a, b + ", given", json.dumps(c)) for a, b, c in json.load(open(sys.argv[1]))]' "$home/cases.json") \
  <(echo "$node") <(echo "$python"))
[ "$(xargs <<<"$node")" = "on on on on on on off on off on on" ] || changed "Node"
[ "$(xargs <<<"$python")" = "off on off on off on off off on off on" ] || changed "Python"
