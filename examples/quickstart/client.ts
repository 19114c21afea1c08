/** One client process of the quickstart: runs a part and sends its progress and result to the parent. */
import { Client } from '../../clients/typescript/src/index.js'
import type { PartMessage, PartResult, Report } from './part.js'

type Part = { run(client: Client, report: Report, target: string): Promise<PartResult> }

const [name, target, ...more] = process.argv.slice(2)
const client = new Client(target)
const send = (message: PartMessage) => process.send?.(message)

if (name === 'tune-worker') {
  const { work } = await import('./tune.js')
  const [session, worker] = more
  await work(client, client.session(session), worker)
} else {
  const { run } = (await import(`./${name}.js`)) as Part
  const result = await run(client, (progress) => send({ type: 'progress', progress }), target)
  send({ type: 'result', result })
}
client.close()
process.disconnect?.()
