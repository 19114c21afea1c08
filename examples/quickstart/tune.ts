/**
 * Tunes learning rate, width, batch size and optimizer of the digits network: worker processes share one `tpe` session,
 * every trial trains through a gradient session of its own, and the median rule stops the hopeless ones.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  type Client,
  categorical,
  float,
  int,
  ordinal,
  type Params,
  type Session,
} from '../../clients/typescript/src/index.js'
import { type Digits, loadDigits, PIXELS } from '../digits/data.js'
import { accuracy } from '../digits/network.js'
import type { PartResult, Report } from './part.js'
import { train } from './train.js'

const TRIALS = 24
const WORKERS = 2
/** Digits that a trial sees: the same for every batch size. */
const SEEN = 9600
const CHECKS = 4
const DEFAULT: Params = { optimizer: 'adam', learningRate: 0.001, width: 32, batch: 64 }

export const space = {
  optimizer: categorical(['sgd', 'adam']),
  learningRate: float(1e-4, 1, { log: true }),
  momentum: float(0, 0.99, { when: ['optimizer', 'sgd'] }),
  width: int(8, 96, { log: true }),
  batch: ordinal([16, 32, 64, 128]),
}

const slice = (digits: Digits, from: number, to: number): Digits => ({
  count: to - from,
  pixels: digits.pixels.subarray(from * PIXELS, to * PIXELS),
  labels: digits.labels.subarray(from, to),
})

/** Tuning sees the training digits alone: the last 1,600 of them judge the trials. */
export function split() {
  const { train: all, test } = loadDigits()
  return { train: slice(all, 0, all.count - 1600), validation: slice(all, all.count - 1600, all.count), test }
}

/** Trains with these hyperparameters; `check` hears the validation accuracy at each quarter and may stop the run. */
export async function evaluate(
  client: Client,
  data: ReturnType<typeof split>,
  params: Params,
  check: (quarter: number, accuracy: number) => Promise<boolean> = async () => true,
) {
  const { optimizer, learningRate, momentum, width, batch } = params as Record<string, number> & { optimizer: string }
  const steps = Math.floor(SEEN / batch)
  const config: Record<string, number> = optimizer === 'sgd' ? { learningRate, momentum } : { learningRate }
  const every = Math.floor(steps / CHECKS)
  return train(client, data.train, { method: optimizer, config, width, batch, steps }, async (step, _, weights) =>
    step % every === 0 && step < steps ? check(step / every, accuracy(weights, data.validation)) : true,
  )
}

/** One worker: asks for a trial, runs it, tells, until the session is done. */
export async function work(client: Client, session: Session, worker: string): Promise<void> {
  const data = split()
  let { queries, state } = await session.ask(1, { wait: 20, worker })
  while (queries.length > 0 || state === 'running') {
    const observations = []
    for (const query of queries) {
      let pruned = false
      const { weights } = await evaluate(client, data, query.points[0].params as Params, async (quarter, value) => {
        pruned = (await session.report(query, quarter, value)).shouldPrune
        return !pruned
      })
      observations.push(
        pruned
          ? { queryId: query.id, status: 'pruned' as const }
          : { queryId: query.id, values: [accuracy(weights, data.validation)] },
      )
    }
    ;({ queries, state } = await session.step({ observations, wait: 20, worker }))
  }
}

export async function run(client: Client, report: Report, target: string): Promise<PartResult> {
  const session = await client.createSession({
    method: 'tpe',
    space,
    direction: 'maximize',
    pruner: { method: 'median', config: { nStartupTrials: 4 } },
    budget: { maxEvaluations: TRIALS },
    seed: 7,
    displayName: 'tuning the digits network',
  })
  await session.ask(0, { enqueue: [{ params: DEFAULT }] })
  const entry = fileURLToPath(new URL('./client.js', import.meta.url))
  const workers = Array.from({ length: WORKERS }, (_, i) => {
    const child = fork(entry, ['tune-worker', target, session.name, `worker-${i}`], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    return new Promise<void>((resolve, reject) =>
      child.once('exit', (code) =>
        code === 0 ? resolve() : reject(new Error(`a tuning worker ended with code ${code}`)),
      ),
    )
  })
  const curve = { name: 'best validation accuracy of the trials so far', x: [] as number[], y: [] as number[] }
  const following = (async () => {
    let told = 0
    let pruned = 0
    for await (const event of session.watch(0)) {
      if (event.type === 'told') {
        told++
        if (event.best !== undefined) {
          curve.x.push(told)
          curve.y.push(event.best)
        }
        const known = event.best === undefined ? '' : `best ${(100 * event.best).toFixed(1)}%`
        report({ done: told, total: TRIALS, note: `${known}, ${pruned} stopped early` })
        pruned += event.status === 'pruned' ? 1 : 0
      }
      if (event.type === 'done') return
    }
  })()
  await Promise.all([following, ...workers])

  const data = split()
  const [best] = (await session.estimate()).points
  const tuned = best.point.params as Params
  const [byDefault, byTuning] = [await evaluate(client, data, DEFAULT), await evaluate(client, data, tuned)]
  const trials = []
  for await (const trial of session.trials()) trials.push(trial)
  const percent = (weights: typeof byTuning.weights) => `${(100 * accuracy(weights, data.test)).toFixed(1)}%`
  const readable = Object.entries(tuned).map(
    ([name, v]) => `${name} ${typeof v === 'number' ? Number(v.toPrecision(3)) : v}`,
  )
  return {
    session: session.name,
    curve,
    rows: [
      ['trials, of them stopped early', `${trials.length}, ${trials.filter((t) => t.state === 'pruned').length}`],
      ['best settings', readable.join(', ')],
      ['held-out digits, default settings', percent(byDefault.weights)],
      ['held-out digits, tuned settings', percent(byTuning.weights)],
    ],
  }
}
