// Answers of another tool's own engine. Standard input has the `tool`, the `file` of its flags, the `flags` with what is the answer without one,
// and the `callers`. Standard output: for each caller a value for each flag.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { WASI } = require('node:wasi');

const engines = {
  flagd(file) {
    const { FlagdCore } = require('@openfeature/flagd-core');
    const core = new FlagdCore();
    core.setConfigurations(readFileSync(file, 'utf8'));
    const methods = { boolean: 'resolveBooleanEvaluation', string: 'resolveStringEvaluation' };
    const ask = (flag, fallback, caller) => {
      try {
        return core[methods[typeof fallback]](flag, fallback, caller).value;
      } catch {
        return fallback; // as OpenFeature's clients do
      }
    };
    return { ask, close() {} };
  },
  async launchdarkly(file) {
    const { basicLogger, init } = require('@launchdarkly/node-server-sdk');
    const { FileDataSourceFactory } = require('@launchdarkly/node-server-sdk/integrations');
    const client = init('none', {
      logger: basicLogger({ level: 'error' }),
      sendEvents: false,
      updateProcessor: new FileDataSourceFactory({ paths: [file] }).getFactory(),
    });
    await client.waitForInitialization({ timeout: 20 });
    return { ask: (flag, fallback, caller) => client.variation(flag, caller, fallback), close: () => client.close() };
  },
  // Its engine in Go, compiled to WASI.
  goff(file) {
    const folder = join(__dirname, '../../../../.cache/clients/goff/wheel/gofeatureflag_python_provider/wasm');
    const version = readFileSync(join(folder, '_wasi_version.txt'), 'utf8').trim();
    const program = new WebAssembly.Module(readFileSync(join(folder, `gofeatureflag-evaluation_${version}.wasi`)));
    process.removeAllListeners('warning'); // that WASI is experimental
    const wasi = new WASI({ version: 'preview1', returnOnExit: true });
    const instance = new WebAssembly.Instance(program, wasi.getImportObject());
    wasi.start(instance);
    const { memory, malloc, free, evaluate } = instance.exports;
    const flags = JSON.parse(readFileSync(file, 'utf8'));
    const ask = (flag, fallback, caller) => {
      const flagContext = { defaultSdkValue: fallback, evaluationContextEnrichment: {} };
      const text = JSON.stringify({ flagKey: flag, flag: flags[flag], evalContext: caller, flagContext });
      const question = Buffer.from(`${text}\0`);
      const place = malloc(question.length);
      new Uint8Array(memory.buffer).set(question, place);
      // Both halves are unsigned: where the answer is, and how long.
      const packed = BigInt.asUintN(64, evaluate(place, question.length - 1));
      const answer = Buffer.from(memory.buffer, Number(packed >> 32n), Number(packed & 0xffffffffn)).toString();
      free(place);
      const { errorCode, value } = JSON.parse(answer);
      return errorCode ? fallback : value;
    };
    return { ask, close() {} };
  },
};

async function main() {
  const { tool, file, flags, callers } = JSON.parse(readFileSync(0, 'utf8'));
  const engine = await engines[tool](file);
  const answers = [];
  for (const caller of callers) {
    const row = [];
    for (const [flag, fallback] of flags) row.push(await engine.ask(flag, fallback, caller));
    answers.push(row);
  }
  engine.close();
  process.stdout.write(JSON.stringify(answers));
}

main();
