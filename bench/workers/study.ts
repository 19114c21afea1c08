/**
 * Workers of one asktell session as loops in one process: tell the last trial and ask for the next. Arguments: the server,
 * the session, how many loops. Answers "run n" with the number of trials once n are finished.
 */
import { createInterface } from 'node:readline'
import { Client, type Params, type Session } from '../../clients/typescript/src/index.js'

const [target, name, callers] = process.argv.slice(2)
const client = new Client(target, { timeout: 600 })
const session = client.session(name)

/** As the peers' workers have it: ten parameters, next to nothing to compute. */
const objective = (params: Params) => Object.values(params).reduce<number>((sum, x) => sum + (Number(x) - 0.3) ** 2, 0)

async function work(session: Session, more: () => boolean): Promise<number> {
  let done = 0
  const stream = session.stream()
  let { queries } = await stream.step({ wait: 60 })
  while (queries.length > 0) {
    const [{ id, points }] = queries
    const going = more()
    const told = { queryId: id, values: [objective(points[0].params!)] }
    ;({ queries } = await stream.step({ observations: [told], count: going ? 1 : 0, wait: 60 }))
    done++
    if (!going) break
  }
  stream.close()
  return done
}

console.log('{}')
for await (const line of createInterface({ input: process.stdin })) {
  let left = Number(line.split(' ')[1]) - Number(callers)
  const loops = Array.from({ length: Number(callers) }, () => work(session, () => left-- > 0))
  const done = await Promise.all(loops)
  console.log(done.reduce((sum, n) => sum + n, 0))
}
client.close()
