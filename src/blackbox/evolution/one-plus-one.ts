/**
 * The (1+1) evolution strategy and random local search: one parent, which a child replaces that is no worse.
 * I. Rechenberg, "Evolutionsstrategie", 1973 (the 1/5 rule); H. Mühlenbein, "How Genetic Algorithms Really Work: Mutation and
 * Hillclimbing", PPSN 1992 (discrete coordinates).
 *
 * Continuous coordinates move together by a normal step whose length follows successes. Discrete ones change by chance, on
 * average one of them; or, as local search, exactly one. It never waits: children of the present parent are asked as long as
 * there is room, and each is compared with the parent that there is when its value comes. So is a point that was not asked.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { askValue, bestEstimate, type Progress, readValues, startProgress } from '../space/progress.js'
import { type Box, checkBox, reflect } from './box.js'
import { boxFor } from './generations.js'

const MAX_DIMENSION = 100_000
/** Share of successes at which the step stays as it is. */
const TARGET = 1 / 5
/** How far the step may get from the first one. */
const RANGE = { least: 1e-14, most: 1e4 }

const config = z.strictObject({
  sigma: field(z.number().positive().default(0.3), 'First step: a part of the range; of unbounded tensors absolute.', {
    source: 'ours',
    log: true,
  }),
  discrete: field(
    z.enum(['standard', 'local']).default('standard'),
    'How many discrete coordinates change: each with probability 1 over their number and at least one, or exactly one.',
    { source: 'Mühlenbein 1992' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  rng: RngState
  /** Null until a value is told. */
  parent: { x: Float64Array; value: number } | null
  sigma: number
  /** Children by the id of their query. */
  open: { [queryId: string]: Float64Array }
}

const discreteAxes = (box: Box) =>
  Array.from({ length: box.dimension }, (_, i) => i).filter((i) => box.share(i, box.start[i]) !== undefined)

/** Another value of a discrete coordinate: any for those without an order, else some steps away, few rather than many. */
function change(box: Box, i: number, x: number, rng: Rng): number {
  const share = (v: number) => box.share(i, v) as readonly [number, number]
  const within = (v: number) => reflect(v, box.low, box.high)
  const [here, end] = share(x)
  if (!box.ordered(i)) {
    let v = rng.uniform()
    while (v >= here && v < end) v = rng.uniform()
    return v
  }
  const up = rng.uniform() < 0.5
  let v = x
  do {
    const [from, to] = share(v)
    const inside = 1e-6 * (to - from)
    v = up ? to + inside : from - inside
    // A long walk is turned back at the bounds, and may end where it began.
  } while (rng.uniform() < 0.5 || share(within(v))[0] === here)
  return within(v)
}

function child({ config }: Run<Config>, { parent, sigma }: State, box: Box, rng: Rng): Float64Array {
  if (!parent) return box.start.map(() => box.low + rng.uniform() * (box.high - box.low))
  const x = parent.x.slice()
  const discrete = discreteAxes(box)
  for (let i = 0; i < x.length; i++) if (!box.share(i, x[i])) x[i] += sigma * rng.normal()
  if (discrete.length === 0) return x
  const sure = discrete[rng.integer(discrete.length)]
  for (const i of discrete) {
    const chance = config.discrete === 'standard' && rng.uniform() < 1 / discrete.length
    if (chance || i === sure) x[i] = change(box, i, x[i], rng)
  }
  return x
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const box = boxFor(run)
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  for (const event of events) {
    if (event.type === 'observation') {
      const { id } = event.query
      const asked = Object.hasOwn(state.open, id) ? state.open[id] : undefined
      delete state.open[id]
      for (const { point, status, value } of readValues(state.progress, run.problem, event)) {
        if (status === 'failed' || status === 'cancelled') continue
        const success = status === 'ok' && !(state.parent && value > state.parent.value)
        // The step follows the successes of mutation alone.
        if (state.parent && asked) {
          const { sigma } = run.config
          const next = state.sigma * Math.exp((Number(success) - TARGET) / Math.sqrt(box.dimension + 1))
          state.sigma = Math.min(Math.max(next, RANGE.least * sigma), RANGE.most * sigma)
        }
        if (success) state.parent = { x: asked ?? box.vector(point), value }
      }
    } else if (event.type === 'capacity') {
      for (let i = 0; i < event.count; i++) {
        const first = state.progress.asked === 0 || !Number.isFinite(box.high - box.low)
        const x = state.parent || !first ? child(run, state, box, rng) : box.start.slice()
        const query = askValue(state.progress, box.point(x))
        state.open[query.id] = x
        queries.push(query)
      }
    }
  }
  return { state, queries, status: { phase: 'running' } }
}

export const method = defineMethod<Config, State>({
  id: 'one-plus-one',
  version: 2,
  stateVersion: 1,
  family: 'evolution',
  title: '(1+1)-ES',
  summary:
    'Keeps one point and replaces it by a mutation that is no worse: local search for any space, that never waits.',
  references: [
    { authors: 'I. Rechenberg', title: 'Evolutionsstrategie', year: 1973 },
    {
      authors: 'H. Mühlenbein',
      title: 'How Genetic Algorithms Really Work: Mutation and Hillclimbing',
      year: 1992,
    },
  ],
  config,
  facts: {
    spaces: ['search', 'tensors'],
    parameters: ['float', 'int', 'ordinal', 'categorical', 'permutation', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
  },
  recipes: [
    { problem: 'sphere-5d', maxEvaluations: 600, target: 1e-4 },
    { problem: 'mixed', maxEvaluations: 600, target: 0.06 },
    { problem: 'rosenbrock', maxEvaluations: 1500, target: 0.1 },
  ],
  equations: () => [
    String.raw`y = x + \sigma z, \quad z \sim \mathcal{N}(0, I), \quad x \leftarrow y \text{ if } f(y) \le f(x)`,
    String.raw`\sigma \leftarrow \sigma \exp\left(\frac{\mathbb{1}[f(y) \le f(x)] - 1/5}{\sqrt{n + 1}}\right)`,
  ],
  needs: () => ['value'],
  check: (_, { space }) => checkBox('one-plus-one', space, MAX_DIMENSION),
  init: ({ config: { sigma } }, seed) => ({
    progress: startProgress(),
    rng: rngStream(seed, 'one-plus-one'),
    parent: null,
    sigma,
    open: {},
  }),
  step,
  estimate: (run, { progress, sigma }) => ({ ...bestEstimate(progress, run.problem), metrics: { sigma } }),
})
