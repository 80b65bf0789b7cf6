#!/usr/bin/env bash
# OpenFeature: replacing a ready provider gives callers their defaults for all flags until the new one is ready.
# Versions: PyPI openfeature-sdk 0.10.0 (0.8.4 is the same), npm @openfeature/server-sdk 1.23.0.
# Expected: the old provider answers until the new one is ready, at least with `set_provider_and_wait`.
# Seen: the old provider is removed at once. While the new one initializes, with either call, every other thread or
# request gets its default and PROVIDER_NOT_READY.
# Consequence: a service that reloads its provider while it runs (a new configuration, a renewed token) turns features off, or
# on, in production for that long. Make the new provider ready before passing it to OpenFeature.
source "$(dirname "$0")/support/common.sh"

cat >"$home/probe.py" <<'PY'
import logging, threading, time
logging.disable(logging.CRITICAL)
from openfeature import api
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import AbstractProvider, Metadata

class Provider(AbstractProvider):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds
    def get_metadata(self):
        return Metadata("on")
    def initialize(self, context):
        time.sleep(self.seconds)
    def on(self, flag_key, default_value, evaluation_context=None):
        return FlagResolutionDetails(value=True)
    resolve_boolean_details = resolve_string_details = resolve_integer_details = resolve_float_details = resolve_object_details = on

client = api.get_client()
def details():
    found = client.get_boolean_details("flag", False)
    return f"{found.value} {found.error_code.value if found.error_code else '-'}"
def wait_until_on():
    end = time.time() + 10
    while details() != "True -":
        assert time.time() < end
        time.sleep(0.02)

for name in ("set_provider", "set_provider_and_wait"):
    api.set_provider(Provider(0))
    wait_until_on()
    replacing = threading.Thread(target=getattr(api, name), args=(Provider(1),))
    replacing.start()
    time.sleep(0.4)
    print(name, details())
    replacing.join()
    wait_until_on()
PY
cat >"$home/probe.mjs" <<'JS'
import { OpenFeature } from '@openfeature/server-sdk';
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const on = async () => ({ value: true });
const provider = (ms) => ({
  metadata: { name: 'on' }, initialize: () => pause(ms),
  resolveBooleanEvaluation: on, resolveStringEvaluation: on, resolveNumberEvaluation: on, resolveObjectEvaluation: on,
});
const client = OpenFeature.getClient();
const details = async () => { const d = await client.getBooleanDetails('flag', false); return `${d.value} ${d.errorCode ?? '-'}`; };
for (const name of ['setProvider', 'setProviderAndWait']) {
  await OpenFeature.setProviderAndWait(provider(0));
  if (await details() !== 'true -') throw new Error('the first provider is not ready');
  const replaced = OpenFeature[name](provider(1000));
  await pause(400);
  console.log(name, await details());
  await replaced;
  await pause(800);
}
process.exit(0);
JS
python_packages openfeature-sdk==0.10.0
npm_packages @openfeature/server-sdk@1.23.0 @openfeature/core@1.12.0
timeout 60 python3 "$home/probe.py" >"$home/out"
timeout 60 node "$home/probe.mjs" >>"$home/out"
expected "during the replacement: True or true, without an error"
while read -r line; do seen "during the replacement by $line"; done <"$home/out"
[ "$(cut -d' ' -f2- "$home/out" | tr F f | sort -u | xargs)" = 'false PROVIDER_NOT_READY' ] && [ "$(wc -l <"$home/out")" = 4 ] || changed "the answers"
