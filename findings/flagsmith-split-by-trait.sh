#!/usr/bin/env bash
# Flagsmith: a percentage split by a trait, such as the organisation, is on for no user in Node, even at 100 %, and for its share in Python.
# Versions: npm flagsmith-nodejs 8.1.2, PyPI flagsmith 6.3.0 (flagsmith-flag-engine 11.1.1); the same environment document, evaluated locally.
# Expected: a segment with a split of 50 % by the trait `org` has half of the organisations, the same ones in each SDK, and at 100 % all of them.
# Seen: of 1,000 organisations 522 are on in Python at 50 %, and all at 100 %; in Node none at either. By the user, or by the path
# `$.identity.traits.org`, both SDKs choose the same ones. Other operators find a trait by its plain name in Node too.
# Consequence: a rollout by organisation reaches the services in Python, and none in Node, without an error or a line in the log. To raise it to 100 %
# does not help. Who then takes away the old way in Python, since "everyone has the new one", leaves Node behind. Write the trait as a path.
source "$(dirname "$0")/support/common.sh"

python_packages flagsmith==6.3.0 flagsmith-flag-engine==11.1.1 jsonpath-rfc9535==0.2.0 iregexp-check==0.1.4 regex==2026.11.19 semver==3.1.2 requests==2.34.2 \
  requests-futures==1.1.0 sseclient-py==1.9.0 urllib3==2.8.0 certifi==2026.10.19.post1 charset-normalizer==3.5.3 idna==3.20 typing_extensions==4.16.0
npm_packages flagsmith-nodejs@8.1.2
cat >"$home/document.py" <<'PY'
import json
def state(number, name, enabled):
    return {"id": number, "django_id": number, "featurestate_uuid": f"00000000-0000-4000-8000-{number:012}", "enabled": enabled, "feature_state_value": None,
        "feature": {"id": number, "name": name, "type": "STANDARD"}, "multivariate_feature_state_values": [], "feature_segment": {"priority": 0} if enabled else None}
splits = [("user-50", "", "50"), ("trait-50", "org", "50"), ("trait-100", "org", "100"), ("path-50", "$.identity.traits.org", "50")]
segments = [{"id": number, "name": name, "feature_states": [state(number, name, True)], "rules": [{"type": "ALL", "conditions": [], "rules": [
    {"type": "ANY", "rules": [], "conditions": [{"operator": "PERCENTAGE_SPLIT", "property_": trait, "value": share}]}]}]}
    for number, (name, trait, share) in enumerate(splits, 1)]
organisation = {"id": 1, "name": "probe", "feature_analytics": False, "stop_serving_flags": False, "persist_trait_data": True}
print(json.dumps({"id": 1, "api_key": "key", "name": "probe", "updated_at": "2026-01-01T00:00:00Z", "identity_overrides": [],
    "feature_states": [state(number, name, False) for number, (name, *_) in enumerate(splits, 1)],
    "project": {"id": 1, "name": "probe", "hide_disabled_flags": False, "organisation": organisation, "segments": segments}}))
PY
python3 "$home/document.py" >"$home/document.json"
cat >"$home/probe.py" <<'PY'
import sys
from flagsmith import Flagsmith
from flagsmith.offline_handlers import LocalFileHandler
client = Flagsmith(offline_mode=True, offline_handler=LocalFileHandler(sys.argv[1]))
answers = [client.get_identity_flags(f"user-{n}", {"org": f"org-{n}"}) for n in range(1000)]
for flag in ("user-50", "trait-50", "trait-100", "path-50"):
    print(flag, *(n for n, flags in enumerate(answers) if flags.is_feature_enabled(flag)))
PY
cat >"$home/probe.cjs" <<'JS'
const { Flagsmith, LocalFileHandler } = require('flagsmith-nodejs');
const client = new Flagsmith({ offlineMode: true, offlineHandler: new LocalFileHandler(process.argv[2]) });
(async () => {
  const answers = [];
  for (let n = 0; n < 1000; n++) answers.push(await client.getIdentityFlags(`user-${n}`, { org: `org-${n}` }));
  for (const flag of ['user-50', 'trait-50', 'trait-100', 'path-50']) {
    console.log(flag, ...answers.flatMap((flags, n) => (flags.isFeatureEnabled(flag) ? [n] : [])));
  }
})();
JS
timeout 120 python3 "$home/probe.py" "$home/document.json" >"$home/python.out" || cannot "the probe in Python"
timeout 120 node "$home/probe.cjs" "$home/document.json" >"$home/node.out" || cannot "the probe in Node"
expected "the same organisations in both, about 500 at 50 % and 1,000 at 100 %"
counts=''
while read -r flag in_node in_python in_both; do
  seen "$flag: $in_node in Node, $in_python in Python, $in_both in both"
  counts+="$flag $in_node $in_python $in_both;"
done < <(python3 - "$home" <<'PY'
import sys
node, python = ([line.split() for line in open(f"{sys.argv[1]}/{name}.out")] for name in ("node", "python"))
for (flag, *a), (_, *b) in zip(node, python):
    print(flag, len(a), len(b), len(set(a) & set(b)))
PY
)
[ "$counts" = "user-50 495 495 495;trait-50 0 522 0;trait-100 0 1000 0;path-50 493 493 493;" ] || changed "$counts"
