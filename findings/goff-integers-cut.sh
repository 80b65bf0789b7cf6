#!/usr/bin/env bash
# GO Feature Flag: "created after" a time in milliseconds is on for everyone, and "created before" it for no one: its WASI build has 32 bits for an integer.
# Versions: the evaluation 0.2.4 of GO Feature Flag, its Go compiled to WASI, of PyPI gofeatureflag-python-provider 1.3.0; run by Node. Only this build.
# Expected: integers are compared as they are, or a query with one that is too large is an error.
# Seen: the number of a query keeps its lowest 32 bits, so 1700000000000 is -807049216 and 4294967301 is 5. A caller's number is 2147483647 at most.
# `a gt 1700000000000` is on for 5 and for all later times that were asked, `a lt 1700000000000` for none; `a in [3000000000]` is off for 3000000000.
# Neither an error nor a reason shows it. Seconds are right, until 2038, and so are ids as text.
# Consequence: a flag for new accounts, or for files above 3 GB, is on for the others too. A trial with a caller who may have the flag shows nothing of it.
# Give times in seconds, sizes in megabytes, and ids as text.
source "$(dirname "$0")/support/common.sh"
command -v node >/dev/null || cannot "node is missing"

pip_into "$home/python" gofeatureflag-python-provider==1.3.0
version "PyPI gofeatureflag-python-provider 1.3.0, Node $(node --version)"
cat >"$home/probe.js" <<'JS'
const { readFileSync } = require('node:fs');
process.removeAllListeners('warning'); // that WASI is experimental
const { WASI } = require('node:wasi');
const wasi = new WASI({ version: 'preview1', returnOnExit: true });
const program = new WebAssembly.Module(readFileSync(process.argv[2]));
const instance = new WebAssembly.Instance(program, wasi.getImportObject());
wasi.start(instance);
const { memory, malloc, evaluate } = instance.exports;
function ask(query, a) {
  const flag = { variations: { on: true, off: false }, targeting: [{ query, variation: 'on' }], defaultRule: { variation: 'off' } };
  const flagContext = { defaultSdkValue: false, evaluationContextEnrichment: {} };
  const text = Buffer.from(`${JSON.stringify({ flagKey: 'F', flag, evalContext: { targetingKey: 'k', a }, flagContext })}\0`);
  const place = malloc(text.length);
  new Uint8Array(memory.buffer).set(text, place);
  const packed = BigInt.asUintN(64, evaluate(place, text.length - 1));
  const answer = JSON.parse(Buffer.from(memory.buffer, Number(packed >> 32n), Number(packed & 0xffffffffn)).toString());
  return answer.errorCode || (answer.value ? 'on' : 'off');
}
for (const [query, ...values] of [
  ['a gt 1700000000', 1699999999, 1700000001], ['a lt 1700000000', 1699999999, 1700000001],
  ['a gt 2147483646', 2147483646, 2147483647],
  ['a gt 1700000000000', 1699999999999, 1700000000001, 5, -807049216], ['a lt 1700000000000', 1699999999999, 1700000000001, 5],
  ['a gt 4294967301', 4, 5, 6], ['a in [3000000000]', 3000000000], ['a in ["3000000000"]', '3000000000', '3000000001'], ['a eq 2147483647', 3000000000],
]) console.log(`${query}: ${values.map((value) => `${value} ${ask(query, value)}`).join(', ')}`);
JS
node "$home/probe.js" "$home"/python/gofeatureflag_python_provider/wasm/gofeatureflag-evaluation_0.2.4.wasi >"$home/out" 2>"$home/errors" || cannot "the probe: $(tail -1 "$home/errors")"
expected "on where the comparison holds, as in the first three"
while read -r line; do seen "$line"; done <"$home/out"
diff - "$home/out" <<'SEEN' >/dev/null || changed "what holds"
a gt 1700000000: 1699999999 off, 1700000001 on
a lt 1700000000: 1699999999 on, 1700000001 off
a gt 2147483646: 2147483646 off, 2147483647 on
a gt 1700000000000: 1699999999999 on, 1700000000001 on, 5 on, -807049216 off
a lt 1700000000000: 1699999999999 off, 1700000000001 off, 5 off
a gt 4294967301: 4 off, 5 off, 6 on
a in [3000000000]: 3000000000 off
a in ["3000000000"]: 3000000000 on, 3000000001 off
a eq 2147483647: 3000000000 on
SEEN
