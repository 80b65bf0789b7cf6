#!/usr/bin/env bash
# LaunchDarkly: "version 2.0.0 or newer", a negated "older than", is on for 1.9.3.4, for v1.9.0 and for "unknown".
# Versions: npm @launchdarkly/node-server-sdk 9.13.7, PyPI launchdarkly-server-sdk 9.20.0; the same flags in a file.
# Expected: what is no semantic version fulfils no comparison of versions, negated or not, as a missing attribute does not.
# Seen: there is an operator for "older than", and none for "at least", so that is `semVerLessThan` with `negate`. A version that cannot be read is not
# older than 2.0.0, hence the negated clause holds: for four numbers, a "v" in front, a text, a number. Both SDKs agree. A missing version is off.
# Consequence: the old program that reports 1.9.3.4 gets what only 2.0.0 can do, and a fault in how a version is reported turns the flag on for all.
# Use two rules, `semVerEqual` and `semVerGreaterThan`, neither negated.
source "$(dirname "$0")/support/common.sh"

python_packages launchdarkly-server-sdk==9.20.0 launchdarkly-eventsource==1.7.4 certifi==2026.10.19.post1 urllib3==2.8.0 pyRFC3339==2.1.1 semver==3.1.2 expiringdict==1.2.2
npm_packages @launchdarkly/node-server-sdk@9.13.7
flag() { # KEY RULES
  printf '"%s": {"key": "%s", "version": 1, "on": true, "salt": "s", "targets": [], "prerequisites": [], "variations": ["on", "off"], "offVariation": 1,
    "fallthrough": {"variation": 1}, "rules": [%s]}' "$1" "$1" "$2"
}
rule() { # OPERATOR NEGATE
  printf '{"id": "%s", "variation": 0, "clauses": [{"attribute": "app", "op": "%s", "values": ["2.0.0"], "negate": %s}]}' "$1" "$1" "$2"
}
printf '{"flags": {%s, %s}}' "$(flag not-older "$(rule semVerLessThan true)")" \
  "$(flag equal-or-newer "$(rule semVerEqual false), $(rule semVerGreaterThan false)")" >"$home/flags.json"
echo '["1.9.0", "2.0.0", "2.1.0", "1.9.3.4", "v1.9.0", "unknown", "", 1.9, null]' >"$home/versions.json"
cat >"$home/probe.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
from ldclient import Context, LDClient
from ldclient.config import Config
from ldclient.integrations import Files
client = LDClient(Config("key", update_processor_class=Files.new_data_source(paths=[sys.argv[1]]), send_events=False))
for flag in ("not-older", "equal-or-newer"):
    print(*(client.variation(flag, Context.builder("user").set("app", app).build(), None) for app in json.load(open(sys.argv[2]))))
PY
cat >"$home/probe.cjs" <<'JS'
const { init } = require('@launchdarkly/node-server-sdk');
const { FileDataSourceFactory } = require('@launchdarkly/node-server-sdk/integrations');
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const updateProcessor = new FileDataSourceFactory({ paths: [process.argv[2]] }).getFactory();
const client = init('key', { updateProcessor, sendEvents: false, logger });
client.waitForInitialization({ timeout: 10 }).then(async () => {
  for (const flag of ['not-older', 'equal-or-newer']) {
    const answers = [];
    for (const app of require(process.argv[3])) answers.push(await client.variation(flag, { kind: 'user', key: 'user', app }, null));
    console.log(...answers);
  }
  process.exit(0);
});
JS
timeout 60 python3 "$home/probe.py" "$home/flags.json" "$home/versions.json" >"$home/python.out" || cannot "the probe in Python"
timeout 60 node "$home/probe.cjs" "$home/flags.json" "$home/versions.json" >"$home/node.out" || cannot "the probe in Node"
expected "of 1.9.0 2.0.0 2.1.0 1.9.3.4 v1.9.0 unknown '' 1.9 missing, in this order, on for 2.0.0 and 2.1.0 alone"
for language in python node; do
  { read -r negated; read -r positive; } <"$home/$language.out"
  seen "$language, negated: $negated; two rules: $positive"
  [ "$negated" = "off on on on on on on on off" ] || changed "the negated clause in $language"
  [ "$positive" = "off on on off off off off off off" ] || changed "the two rules in $language"
done
