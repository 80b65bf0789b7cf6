// Evaluates flags by the server SDK: a line of JSON in, a line of JSON out.
import { createInterface } from 'node:readline';
import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const [baseUrl, token] = process.argv.slice(2);
const headers = token ? [['Authorization', `Bearer ${token}`]] : [];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const methods = {
  boolean: 'getBooleanDetails', string: 'getStringDetails', integer: 'getNumberDetails', float: 'getNumberDetails',
  object: 'getObjectDetails',
};

// As a program has them; the lines are JSON, which has no dates.
const dated = (value) => (value?.$date === undefined ? value : new Date(value.$date * 1000));

for await (const line of createInterface({ input: process.stdin })) {
  const { type, key, default: fallback, context: given } = JSON.parse(line);
  const context = Object.fromEntries(Object.entries(given ?? {}).map(([name, value]) => [name, dated(value)]));
  const { value, variant, reason, errorCode, errorMessage, flagMetadata } =
    await client[methods[type]](key, fallback, context);
  console.log(JSON.stringify({ value, variant, reason, errorCode, errorMessage, metadata: flagMetadata }));
}
