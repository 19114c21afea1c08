/**
 * The quickstart: a real server on the embedded store, and client processes that bring it four kinds of feedback:
 * gradients, values, rankings and scores of text.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SingleBar } from 'cli-progress'
import type { PartMessage, PartResult } from './part.js'
import { plot } from './plot.js'

const DATA = 'asktell-data'
const PARTS = [
  { name: 'digits', title: 'Gradients: a network learns digits through a remote Adam session' },
  { name: 'tune', title: 'Values: two workers tune its learning rate, width, batch size and optimizer' },
  { name: 'rank', title: 'Rankings: a picture improves by what a stand-in judge prefers' },
  { name: 'prompt', title: 'Text: an instruction improves by its score on a task' },
]

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const print = (text = '') => process.stdout.write(`${text}\n`)

/** Starts a process that prints one JSON line when it is ready. */
async function start(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ process: ChildProcess; ready: Record<string, unknown> }> {
  const child = spawn(process.execPath, [here(script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume()
    return { process: child, ready: JSON.parse(line) }
  }
  throw new Error(`${script} ended before it was ready`)
}

/** Runs a part in a client process of its own and draws its progress. */
function runPart(name: string, target: string): Promise<PartResult> {
  const child = fork(here('./client.js'), [name, target], {
    env: { ...process.env, QUICKSTART_ENDPOINT: String(endpoint.ready.baseUrl) },
  })
  const bar = process.stdout.isTTY
    ? new SingleBar({ format: '  {bar} {percentage}%  {note}', hideCursor: true })
    : undefined
  let printed = 0
  bar?.start(1, 0, { note: '' })
  return new Promise((resolve, reject) => {
    let result: PartResult | undefined
    child.on('message', (message: PartMessage) => {
      if (message.type === 'result') {
        result = message.result
        return
      }
      const { done, total, note } = message.progress
      bar?.setTotal(total)
      bar?.update(done, { note })
      if (!bar && done / total >= printed + 0.25) print(`  ${Math.round((100 * done) / total)}%  ${note}`)
      if (done / total >= printed + 0.25) printed = done / total
    })
    child.once('exit', (code) => {
      bar?.stop()
      if (result && code === 0) resolve(result)
      else reject(new Error(`part ${name} ended with code ${code}`))
    })
  })
}

const began = performance.now()
// Named as what it is: a script that speaks the OpenAI protocol and follows simple written instructions. No model runs here.
const endpoint = await start('../local-endpoint/main.js', ['--json'])
const server = await start(
  '../../bin/asktell.js',
  ['serve', '--json', '--grpc-port', '0', '--http-port', '0', '--data-dir', DATA, '--log-level', 'warn'],
  {
    ASKTELL_LLM_ENDPOINTS: JSON.stringify({
      local: { baseUrl: endpoint.ready.baseUrl, apiKey: 'none', model: 'local-script' },
    }),
  },
)
const target = `${server.ready.host}:${server.ready.grpcPort}`
print(`asktell server: gRPC ${target}, HTTP http://${server.ready.host}:${server.ready.httpPort}\n`)

const results: PartResult[] = []
try {
  for (const [i, { name, title }] of PARTS.entries()) {
    print(`${i + 1}. ${title}`)
    results.push(await runPart(name, target))
  }
} finally {
  server.process.kill('SIGTERM')
  endpoint.process.kill('SIGTERM')
}

print('\nResults')
const width = Math.max(...results.flatMap(({ rows }) => rows.map(([what]) => what.length)))
for (const [i, { rows, session }] of results.entries()) {
  print(`\n  ${PARTS[i].title}  [${session}]`)
  for (const [what, figure] of rows) print(`    ${what.padEnd(width)}  ${figure}`)
}
for (const { curve, picture } of results) {
  if (curve) print(`\n${plot(curve)}`)
  if (picture) print(`\n${picture}`)
}
print(`
Done in ${((performance.now() - began) / 1000).toFixed(0)} s. The sessions with all their history lie in ./${DATA}.

Next:
  npx asktell serve                      start a server on this data
  npx asktell sessions                   list these sessions
  npx asktell trials ${results[1].session.replace('sessions/', '')}    the trials of the tuning session
  npx asktell methods tpe                what a method asks, with its settings
  docs/guide.md                          from Python, from curl, with people who rank`)
