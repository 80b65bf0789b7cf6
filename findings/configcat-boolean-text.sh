#!/usr/bin/env bash
# ConfigCat: "optedOut not equals true" is on in Python for a user whose attribute is the boolean true, and off in Node.
# Versions: npm @configcat/sdk 1.1.0, PyPI configcat-client 10.0.1; the same config, as a local override.
# Expected: both SDKs make the same text of a boolean. ConfigCat compares attributes as texts, numbers, times or versions; it has no operator for booleans.
# Seen: Python makes "True" and "False" of it, and Node "true" and "false". So "equals", "is one of", "contains" and their opposites have opposite
# answers. As a number it is 1 or 0 in Python, and none in Node: "less than 100" is on in Python alone. 0.00001 is the text "1e-05" in Python.
# Consequence: a flag that leaves out those who opted out is off for them in Node, and on for all of them in Python. Python's warning says that the
# attribute became a text, not that this text is another one elsewhere. Give the texts "true" and "false".
source "$(dirname "$0")/support/common.sh"

python_packages configcat-client==10.0.1 requests==2.34.2 certifi==2026.10.19.post1 charset-normalizer==3.5.3 idna==3.20 urllib3==2.8.0 semver==3.1.2
npm_packages @configcat/sdk@1.1.0
cat >"$home/cases.json" <<'JSON'
[["equals", "true", true], ["not equals", "true", true], ["is one of", ["true"], true], ["is not one of", ["true"], true], ["contains", ["true"], true],
 ["not contains", ["true"], true], ["equals", "false", false], ["not equals", "false", false], ["less than", 100, true], ["equals", "0.00001", 0.00001],
 ["equals", "true", "true"], ["not equals", "true", "true"], ["equals", "7", 7], ["equals", "7.5", 7.5]]
JSON
python3 - "$home" <<'PY'
import json, sys
numbers = {"is one of": 0, "is not one of": 1, "contains": 2, "not contains": 3, "less than": 12, "equals": 28, "not equals": 29}
def flag(operator, value):
    field = "l" if isinstance(value, list) else "s" if isinstance(value, str) else "d"
    clause = {"u": {"a": "attribute", "c": numbers[operator], field: value}}
    return {"t": 0, "v": {"b": False}, "r": [{"c": [clause], "s": {"v": {"b": True}}}]}
cases = json.load(open(f"{sys.argv[1]}/cases.json"))
json.dump({"p": {"s": "salt"}, "f": {f"flag-{n}": flag(*case[:2]) for n, case in enumerate(cases)}}, open(f"{sys.argv[1]}/config.json", "w"))
PY
key=configcat-sdk-1/1234567890123456789012/1234567890123456789012
cat >"$home/probe.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
import configcatclient
from configcatclient import ConfigCatOptions
from configcatclient.localfiledatasource import LocalFileFlagOverrides
from configcatclient.overridedatasource import OverrideBehaviour
from configcatclient.user import User
overrides = LocalFileFlagOverrides(f"{sys.argv[1]}/config.json", OverrideBehaviour.LocalOnly)
client = configcatclient.get(sys.argv[2], ConfigCatOptions(flag_overrides=overrides))
for n, case in enumerate(json.load(open(f"{sys.argv[1]}/cases.json"))):
    print("on" if client.get_value(f"flag-{n}", None, User("user", custom={"attribute": case[2]})) else "off")
configcatclient.ConfigCatClient.close_all()
PY
cat >"$home/probe.cjs" <<'JS'
const { createConsoleLogger, getClient, LogLevel, OverrideBehaviour, PollingMode, prepareConfig, User } = require('@configcat/sdk/node');
const [folder, key] = process.argv.slice(2);
const read = (name) => JSON.parse(require('node:fs').readFileSync(`${folder}/${name}`));
const flags = prepareConfig(read('config.json')).f;
const flagOverrides = { dataSource: { getOverrides: () => flags }, behaviour: OverrideBehaviour.LocalOnly };
const client = getClient(key, PollingMode.ManualPoll, { flagOverrides, logger: createConsoleLogger(LogLevel.Off) });
(async () => {
  for (const [n, [, , attribute]] of read('cases.json').entries()) {
    const user = new User('user', undefined, undefined, { attribute });
    console.log((await client.getValueAsync(`flag-${n}`, null, user)) ? 'on' : 'off');
  }
  client.dispose();
})();
JS
python=$(timeout 60 python3 "$home/probe.py" "$home" "$key") || cannot "the probe in Python"
node=$(timeout 60 node "$home/probe.cjs" "$home" "$key") || cannot "the probe in Node"
expected "the same in both languages"
cases=$(python3 -c 'import json, sys; [print(a, json.dumps(b) + ", given", json.dumps(c)) for a, b, c in json.load(open(sys.argv[1]))]' "$home/cases.json")
while IFS=$'\t' read -r case in_node in_python; do
  seen "$case: Node $in_node, Python $in_python"
done < <(paste <(echo "$cases") <(echo "$node") <(echo "$python"))
[ "$(xargs <<<"$node")" = "on off on off on off on off off on on off on on" ] || changed "Node"
[ "$(xargs <<<"$python")" = "off on off on off on off on on off on off on on" ] || changed "Python"
