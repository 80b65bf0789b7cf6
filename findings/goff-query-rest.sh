#!/usr/bin/env bash
# GO Feature Flag: of a query in which AND is in capitals, or that goes over two lines, all that follows is ignored.
# Versions: the evaluation 0.2.4 of GO Feature Flag, its Go compiled to WASI, of PyPI gofeatureflag-python-provider 1.3.0; run by Node.
# Expected: the words of the language are read in capitals too, as EQ, IN and NOT are, and a line break is a space; or the query is an error.
# Seen: `plan eq "pro" and beta eq true` is on for 1 of 4 callers, and with AND, a line break, or two spaces before `and` for each caller of the plan. No error
# and no reason shows it.
# Consequence: a rule that was to limit a flag to few is on for many more, and a trial with a caller who may have the flag shows nothing of it.
# Write `and` and `or` small, on one line with one space, and try each rule out with a caller who fulfils only its first part.
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
function ask(query, caller) {
  const flag = { variations: { on: true, off: false }, targeting: [{ query, variation: 'on' }], defaultRule: { variation: 'off' } };
  const flagContext = { defaultSdkValue: false, evaluationContextEnrichment: {} };
  const text = Buffer.from(`${JSON.stringify({ flagKey: 'F', flag, evalContext: { targetingKey: 'k', ...caller }, flagContext })}\0`);
  const place = malloc(text.length);
  new Uint8Array(memory.buffer).set(text, place);
  const packed = BigInt.asUintN(64, evaluate(place, text.length - 1));
  const answer = JSON.parse(Buffer.from(memory.buffer, Number(packed >> 32n), Number(packed & 0xffffffffn)).toString());
  return answer.errorCode || answer.value;
}
const callers = [true, false].flatMap((beta) => ['pro', 'free'].map((plan) => ({ plan, beta })));
for (const query of [
  'plan eq "pro" and beta eq true', 'plan EQ "pro" and NOT (beta eq false)',
  'plan eq "pro" AND beta eq true', 'plan eq "pro"\nand beta eq true', 'plan eq "pro"  and beta eq true',
]) {
  const on = callers.filter((caller) => ask(query, caller) === true);
  console.log(`${JSON.stringify(query)}: on for ${on.length} of ${callers.length}`);
}
JS
node "$home/probe.js" "$home"/python/gofeatureflag_python_provider/wasm/gofeatureflag-evaluation_0.2.4.wasi >"$home/out" 2>"$home/errors" || cannot "the probe: $(tail -1 "$home/errors")"
expected "on for 1 of 4 each time"
while read -r line; do seen "$line"; done <"$home/out"
[ "$(sed 's/.*: on for //' "$home/out" | paste -sd,)" = "1 of 4,1 of 4,2 of 4,2 of 4,2 of 4" ] || changed "how many callers"
