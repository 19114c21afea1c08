/** Runs the local endpoint: `node dist/examples/local-endpoint/main.js [--port 8000] [--json]`. */
import { Command } from 'commander'
import { MODEL, startLocalEndpoint } from './server.js'

const { port, json } = new Command('local-endpoint')
  .description('An OpenAI-compatible endpoint that answers from a script. No language model runs here.')
  .option('--port <number>', 'port on 127.0.0.1; 0 picks a free one', '0')
  .option('--json', 'one line of JSON when ready')
  .parse()
  .opts<{ port: string; json?: boolean }>()

const { baseUrl, close } = await startLocalEndpoint(Number(port))
const line = json
  ? JSON.stringify({ ready: true, baseUrl, model: MODEL })
  : `scripted endpoint (no language model) at ${baseUrl}, model ${MODEL}`
process.stdout.write(`${line}\n`)
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => close().then(() => process.exit(0)))
