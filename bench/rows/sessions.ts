/** Many sessions at once: whether each gets its turn. */
import { generate } from '../lib/load.js'
import { interleave } from '../lib/measure.js'
import { compare, type Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

const SESSIONS = 1000
const ELEMENTS = 10_000
/** Steps of each session in a round. */
const STEPS = 10

export const sessions: Row = {
  name: 'sessions',
  title: 'many gradient sessions stepping at once',
  async run({ quick, effort, say }) {
    const count = quick ? SESSIONS / 5 : SESSIONS
    say(`sessions: ${count} of ${ELEMENTS} parameters`)
    const server = await startAsktell()
    try {
      for (let i = 0; i < count; i++)
        await server.client.createSession({
          id: `many-${i}`,
          method: 'adam',
          space: zeros(ELEMENTS),
          direction: 'minimize',
          durability: 'snapshot',
        })
      const ratios: number[] = []
      const run = async (sessions: number) => {
        const steps = sessions * STEPS
        const name = 'sessions/many-'
        const result = await generate('steps', server.port, OPTIMIZE, name, sessions, ELEMENTS, steps)
        if (sessions === count) ratios.push(result.p99 / result.p50)
        return result.seconds / steps
      }
      const subjects = [
        { name: 'all', run: () => run(count) },
        { name: 'one', run: () => run(1) },
      ]
      const samples = await interleave(subjects, effort)
      const line: Line = {
        ...compare({
          row: 'sessions',
          what: `${count} sessions of 10 k parameters, steps of all`,
          unit: '/s',
          figure: (seconds) => 1 / seconds,
          samples,
          ours: 'all',
          theirs: 'one',
          against: 'one session alone',
          limit: true,
        }),
        note: `the 99th percentile of a step is ${Math.max(...ratios).toFixed(2)} times the median at most, all sessions at once`,
      }
      return [line]
    } finally {
      await server.close()
    }
  },
}
