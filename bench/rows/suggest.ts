/** Seconds per suggestion: a tell with the next ask, as the caller sees them through gRPC, against Optuna's samplers in process. */
import { float, type Query, type Session } from '../../clients/typescript/src/index.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { interleave } from '../lib/measure.js'
import { Child, python, source } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Options, Row } from '../lib/row.js'
import { startAsktell } from '../lib/server.js'

const DIMENSIONS = 10
const BATCH = 500
const CASES = [
  { method: 'tpe', trials: 100, asks: 20 },
  { method: 'tpe', trials: 1000, asks: 20 },
  { method: 'tpe', trials: 10_000, asks: 10, mark: 20 },
  { method: 'gp', trials: 50, asks: 5 },
  { method: 'gp', trials: 200, asks: 3 },
  { method: 'gp', trials: 1000, asks: 1, mark: 5 },
]
const NAMES = Array.from({ length: DIMENSIONS }, (_, i) => `x${i}`)
type Params = { readonly [name: string]: number }

/** A sphere around 0.3. The time of a suggestion hardly depends on it. */
const objective = (params: Params) => NAMES.reduce((sum, name) => sum + (params[name] - 0.3) ** 2, 0)

export const suggest: Row = {
  name: 'suggest',
  title: 'seconds per suggestion, 10 dimensions',
  async run(options) {
    const server = await startAsktell()
    try {
      const lines: Line[] = []
      for (const one of CASES) {
        options.say(`suggest: ${one.method} at ${one.trials} trials`)
        lines.push(...(await measure(one, server, options)))
      }
      return lines
    } finally {
      await server.close()
    }
  },
}

async function measure(
  { method, trials, asks, mark }: (typeof CASES)[number],
  { client }: Awaited<ReturnType<typeof startAsktell>>,
  { effort, version, quick }: Options,
): Promise<Line[]> {
  const space = Object.fromEntries(NAMES.map((name) => [name, float(0, 1)]))
  const peer = new Child(await python(), [source('peers/optuna_suggest.py'), method, '1'])
  try {
    version('optuna', (await peer.read<{ optuna: string }>()).optuna)
    const most = quick && method === 'gp' ? 1 : asks
    const ours = async (method: string) => {
      const session = await client.createSession({ method, space, direction: 'minimize', seed: 1 })
      await preload(session, trials)
      const stream = session.stream()
      let { queries } = await stream.step()
      return async () => {
        const begun = performance.now()
        for (let k = 0; k < most; k++) ({ queries } = await stream.step({ observations: [answer(queries[0])] }))
        return (performance.now() - begun) / 1000 / most
      }
    }
    await peer.ask('load', trials, 1)
    const samples = await interleave(
      [
        { name: 'asktell', run: await ours(method) },
        { name: 'optuna', run: async () => (await peer.ask('suggest', most)) / most },
        { name: 'random', run: await ours('random') },
      ],
      effort,
    )
    const line = (theirs: string, against: string, extra: Partial<Line>): Line => ({
      ...compare({
        row: 'suggest',
        what: `${method}, ${trials.toLocaleString('en-US')} trials`,
        unit: 'ms',
        figure: (seconds) => 1000 * seconds,
        samples,
        ours: 'asktell',
        theirs,
        against,
      }),
      ...extra,
    })
    const sampler = method === 'gp' ? 'GPSampler' : 'TPESampler, multivariate'
    return [
      line('optuna', `Optuna ${sampler}, in process`, {
        mark,
        note: 'asktell: a step (tell and ask) of a stream through gRPC, journalled; Optuna: ask and tell in process, in memory, one thread',
      }),
      line('random', 'the same step with random: wire and disk alone', { limit: true }),
    ]
  } finally {
    await peer.close()
  }
}

const answer = ({ id, points }: Query) => ({ queryId: id, values: [objective(points[0].params as Params)] })

/** Finished trials that the session did not ask for. */
async function preload(session: Session, trials: number): Promise<void> {
  const rng = new Rng(rngStream(1, 'suggest'))
  for (let from = 0; from < trials; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, trials - from) }, () => {
      const params = Object.fromEntries(NAMES.map((name) => [name, rng.uniform()]))
      return { point: { params }, values: [objective(params)] }
    })
    await session.tell(batch)
  }
}
