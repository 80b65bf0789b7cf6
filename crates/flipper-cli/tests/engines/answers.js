// Answers of another tool's own engine. Standard input has the `tool`, the `file` of its flags, the `flags` with what is the answer without one,
// and the `callers`. Standard output: for each caller a value for each flag.
const { readFileSync } = require('node:fs');

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
