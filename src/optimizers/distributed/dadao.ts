/**
 * A. Nabli, E. Oyallon, "DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization", ICML 2023
 * (arXiv:2208.00779), algorithm 1.
 *
 * Workers minimize the sum of their functions without a common clock: gradients and messages between neighbours are separate
 * events of Poisson processes, and between them the variables of a worker follow a linear flow that it computes when next
 * something happens to it.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Run } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { type Constants, exchange, flow, flowMatrix, takeGradient, type Worker } from './dadao-flow.js'
import { type Gossip, gossipOf, gossipRates, uniform } from './gossip.js'
import { checkGraph, type Edge, edgesOf, graphField } from './graph.js'
import { gradientsOf, mean, spread, workersField } from './workers.js'

const config = z.strictObject({
  workers: workersField(),
  graph: graphField(),
  mu: real('Strong convexity of each function.', { default: 0.1, above: 0, log: true, source: 'ours' }),
  smoothness: real('L of each function, the Lipschitz constant of its gradient.', {
    default: 1,
    above: 0,
    log: true,
    source: 'ours',
  }),
  rates: field(
    z.union([z.enum(['uniform', 'optimized']), z.array(z.number().positive())]).default('uniform'),
    'Shares of the edges in the messages: equal, those of the fewest messages, or a number for each edge.',
    { source: 'section 4' },
  ),
  events: field(
    z.enum(['seeded', 'told']).default('seeded'),
    'seeded: the session draws what happens next. told: queries with the purpose `event` are for it, `time` (never falling; a ' +
      'worker takes a gradient per unit of time on average), `worker`, and the `neighbour` that it exchanges with, or again ' +
      'the worker where it is about to take a gradient.',
    { source: 'section 3' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  workers: Worker[]
  gossip: Gossip
  /** Whose gradient is due; null where the next event is to be told. */
  acting: number | null
  time: number
  rng: RngState
  gradients: number
  gossips: number
  stopped: string | null
}

/** Most workers whose graph is analysed, and whose rates are optimized. */
const ANALYSED = 200
const OPTIMIZED = 40

/** What follows from the config and the gossip of the state. */
function planOf({ config, memo }: Run<Config>, gossip: Gossip) {
  const known = memo.get('plan') as Plan | undefined
  if (known) return known
  const { workers, graph, mu, smoothness } = config
  const constants = { mu, smoothness, chi: gossip.rate > 0 ? gossip.chi1 / gossip.rate : 0 }
  const plan: Plan = { edges: edgesOf(graph, workers), constants, M: flowMatrix(constants) }
  memo.set('plan', plan)
  return plan
}
type Plan = { edges: readonly Edge[]; constants: Constants; M: Float64Array }

function gossipFor({ rates, graph, workers: n }: Config): Gossip {
  if (n === 1) return { weights: [], chi1: 0, chi2: 0, rate: 0 }
  const edges = edgesOf(graph, n)
  if (rates === 'optimized') return gossipRates(edges, n)
  const told = rates === 'uniform' ? uniform(edges) : rates
  const sum = told.reduce((total, w) => total + w, 0)
  const weights = told.map((w) => w / sum)
  return gossipOf(edges, weights, n)
}

function gossipBetween(run: Run<Config>, own: State, i: number, j: number) {
  const { constants, M } = planOf(run, own.gossip)
  for (const k of [i, j]) flow(own.workers[k], M, own.time)
  exchange(own.workers[i], own.workers[j], constants)
  own.gossips++
}

function beginGradient(run: Run<Config>, own: State, worker: number) {
  flow(own.workers[worker], planOf(run, own.gossip).M, own.time)
  own.acting = worker
}

/** A number below the count of the weights, with their probabilities. */
function pick(weights: readonly number[], rng: Rng): number {
  let left = rng.uniform()
  for (const [k, weight] of weights.entries()) {
    left -= weight
    if (left < 0) return k
  }
  return weights.length - 1
}

/** Lets messages go between neighbours until a gradient is due. */
function draw(run: Run<Config>, own: State) {
  const { gossip } = own
  const { edges } = planOf(run, gossip)
  const total = own.workers.length + gossip.rate
  const rng = new Rng(own.rng)
  for (;;) {
    own.time -= Math.log(1 - rng.uniform()) / total
    if (rng.uniform() * total < own.workers.length) return beginGradient(run, own, rng.integer(own.workers.length))
    gossipBetween(run, own, ...edges[pick(gossip.weights, rng)])
  }
}

/** Takes an event as it was told. */
function take(run: Run<Config>, own: State, time: number, i: number, j: number) {
  const { edges } = planOf(run, own.gossip)
  const n = own.workers.length
  const meet = edges.some(([a, b]) => (a === i && b === j) || (a === j && b === i))
  if (time < own.time) own.stopped = `an event at ${time} was told after one at ${own.time}`
  else if (!Number.isInteger(i) || i < 0 || i >= n) own.stopped = `an event of worker ${i} of ${n} was told`
  else if (i !== j && !meet) own.stopped = `workers ${i} and ${j}, of which an exchange was told, are no neighbours`
  if (own.stopped) return
  own.time = time
  if (i === j) beginGradient(run, own, i)
  else gossipBetween(run, own, i, j)
}

const EVENT: Turn['wants'] = [
  {
    kind: 'quantities',
    quantities: [
      { name: 'time', shape: [1], description: 'when it happens' },
      { name: 'worker', shape: [1], description: 'number of the worker, from 0' },
      { name: 'neighbour', shape: [1], description: 'number of the other worker, or of the same' },
    ],
  },
]

const issuesOf = ({ workers, graph, rates, mu, smoothness }: Config): Issue[] => {
  const most = rates === 'optimized' ? OPTIMIZED : ANALYSED
  if (workers > most) return [{ path: 'config.workers', message: `expected at most ${most} with these rates` }]
  const issues = checkGraph(graph, workers)
  const edges = edgesOf(graph, workers).length
  if (Array.isArray(rates) && rates.length !== edges)
    issues.push({ path: 'config.rates', message: `expected a number for each of ${edges} edges, got ${rates.length}` })
  if (mu > smoothness) issues.push({ path: 'config.mu', message: 'is larger than the smoothness' })
  return issues
}

export const method = turnsMethod<Config, State>({
  id: 'dadao',
  family: 'gradient',
  title: 'DADAO',
  summary:
    'Accelerated, decentralized and asynchronous: workers minimize the sum of smooth strongly convex functions by gradients ' +
    'and messages that keep no order. Queries are for the gradient of one worker’s function, with the purpose `worker.i`, i ' +
    'from 0.',
  references: [
    {
      authors: 'A. Nabli, E. Oyallon',
      title: 'DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization',
      year: 2022,
      url: 'https://arxiv.org/abs/2208.00779',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { mu: 0.5, smoothness: 10, workers: 3 }, maxEvaluations: 900, target: 1e-3 },
  ],
  equations: () => [
    String.raw`\dot x = \eta(\tilde x - x),\quad \dot{\tilde x} = \eta(x - \tilde x),\quad \dot y = \alpha(\tilde y - y),\quad \dot{\tilde y} = -\theta(\nu \tilde x + y + z),\quad \dot z = \alpha(\tilde z - z),\quad \dot{\tilde z} = \tilde\alpha(z - \tilde z)`,
    String.raw`\text{gradient: } q = \nabla f_i(x_i) - \nu x_i - \tilde y_i,\quad x_i \leftarrow x_i - \tfrac{q}{4L},\quad \tilde x_i \leftarrow \tilde x_i - \tfrac{q}{4\sqrt{L\nu}},\quad \tilde y_i \leftarrow \tilde y_i + \left(\tfrac s4 + 1\right) q`,
    String.raw`\text{message: } p = (y_i + z_i) - (y_j + z_j),\quad z_i \leftarrow z_i - \tfrac p2,\ z_j \leftarrow z_j + \tfrac p2,\quad \tilde z_i \leftarrow \tilde z_i - \tfrac{2\chi p}{s},\ \tilde z_j \leftarrow \tilde z_j + \tfrac{2\chi p}{s}`,
  ],
  needs: ({ events }) => (events === 'told' ? ['gradient', 'quantities'] : ['gradient']),
  check: (config, problem) => [...issuesOf(config), ...checkUnbounded('dadao', problem)],
  init(run, flat, seed) {
    const zeros = () => new Float64Array(flat.dimension)
    const worker = (): Worker => ({ v: [flat.start(), zeros(), zeros(), zeros(), zeros(), zeros()], at: 0 })
    const own: State = {
      workers: Array.from({ length: run.config.workers }, worker),
      gossip: gossipFor(run.config),
      acting: null,
      time: 0,
      rng: rngStream(seed, 'events'),
      gradients: 0,
      gossips: 0,
      stopped: null,
    }
    if (run.config.events === 'seeded') draw(run, own)
    return own
  },
  ask(_, __, { acting, workers }) {
    if (acting === null) return { points: [mean(workers.map(({ v }) => v[0]))], wants: EVENT, purpose: 'event' }
    return { points: [workers[acting].v[0]], wants: [{ kind: 'gradient' }], purpose: `worker.${acting}` }
  },
  learn(run, flat, own, told) {
    if (own.acting === null) {
      const { time, worker, neighbour } = told.quantities![0]
      return take(run, own, time[0], worker[0], neighbour[0])
    }
    takeGradient(own.workers[own.acting], planOf(run, own.gossip).constants, gradientsOf(told, run.problem, flat)[0])
    own.acting = null
    own.gradients++
    if (run.config.events === 'seeded') draw(run, own)
  },
  finished: (_, { stopped }) => stopped ?? undefined,
  estimate(_, { workers, gossip, time, gradients, gossips }) {
    const { chi1, chi2, rate } = gossip
    const points = workers.map(({ v }) => v[0])
    const x = mean(points)
    return {
      x,
      kind: 'iterate',
      step: gradients,
      metrics: { time, gradients, gossips, consensusError: spread(points, x), chi1, chi2, gossipRate: rate },
    }
  },
})
