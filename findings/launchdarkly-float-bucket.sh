#!/usr/bin/env bash
# LaunchDarkly: a rollout to 10 % of the accounts, by a number that Python holds as a float, is on for all of them.
# Versions: PyPI launchdarkly-server-sdk 9.20.0, npm @launchdarkly/node-server-sdk 9.13.7; the same flag in a file.
# Expected: account 7.0 is account 7, as it is in Node, or the rollout is refused.
# Seen: Python puts each float into bucket 0, so all of them get the first variation, that of the rollout; Node does so for 7.5, not for 7.0.
# Nothing is logged. An account that is missing is in bucket 0 too, in both.
# Consequence: a column of ids that once had a gap comes out of pandas, JSON or a spreadsheet as floats, and a trial of 10 % is live for
# every one of them in the Python service, while the Node service next to it stays at 10 %. Bucket by text.
source "$(dirname "$0")/support/common.sh"

python_packages launchdarkly-server-sdk==9.20.0 launchdarkly-eventsource==1.7.4 certifi==2026.10.19.post1 urllib3==2.8.0 pyRFC3339==2.1.1 semver==3.1.2 expiringdict==1.2.2
npm_packages @launchdarkly/node-server-sdk@9.13.7
cat >"$home/flags.json" <<'JSON'
{"flags": {"trial": {"key": "trial", "version": 1, "on": true, "salt": "s", "rules": [], "targets": [], "prerequisites": [],
  "variations": [true, false], "offVariation": 1,
  "fallthrough": {"rollout": {"bucketBy": "account", "variations": [{"variation": 0, "weight": 10000}, {"variation": 1, "weight": 90000}]}}}}}
JSON
cat >"$home/probe.py" <<'PY'
import logging, sys
logging.disable(logging.CRITICAL)
from ldclient import Context, LDClient
from ldclient.config import Config
from ldclient.integrations import Files
client = LDClient(Config("key", update_processor_class=Files.new_data_source(paths=[sys.argv[1]]), send_events=False))
on = lambda account: client.variation("trial", Context.builder("user").set("account", account).build(), None)
for name, kind in [("7", int), ("7.0", float), ("7.5", lambda number: number + 0.5), ("'7'", str), ("missing", lambda number: None)]:
    print(name, sum(on(kind(number)) for number in range(1000)))
PY
cat >"$home/probe.cjs" <<'JS'
const { init } = require('@launchdarkly/node-server-sdk');
const { FileDataSourceFactory } = require('@launchdarkly/node-server-sdk/integrations');
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const updateProcessor = new FileDataSourceFactory({ paths: [process.argv[2]] }).getFactory();
const client = init('key', { updateProcessor, sendEvents: false, logger });
client.waitForInitialization({ timeout: 10 }).then(async () => {
  const kinds = { 7: (number) => number, '7.5': (number) => number + 0.5, "'7'": String, missing: () => undefined };
  for (const [name, kind] of Object.entries(kinds)) {
    let on = 0;
    for (let number = 0; number < 1000; number++) on += await client.variation('trial', { kind: 'user', key: 'user', account: kind(number) }, null);
    console.log(name, on);
  }
  process.exit(0);
});
JS
expected "of 1,000 accounts about 100 are on, whatever type their number has"
python=$(timeout 60 python3 "$home/probe.py" "$home/flags.json" | paste -sd' ') || cannot "the probe in Python"
node=$(timeout 60 node "$home/probe.cjs" "$home/flags.json" | paste -sd' ') || cannot "the probe in Node"
seen "Python: $python"
seen "Node: $node"
[ "$python" = "7 106 7.0 1000 7.5 1000 '7' 106 missing 1000" ] || changed "Python's accounts"
[ "$node" = "7 106 7.5 1000 '7' 106 missing 1000" ] || changed "Node's accounts"
