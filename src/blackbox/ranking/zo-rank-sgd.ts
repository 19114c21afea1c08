/**
 * ZO-RankSGD: descent from rankings alone.
 * Z. Tang, D. Rybin, T.-H. Chang, "Zeroth-Order Optimization Meets Human Feedback: Provable Learning via Ranking
 * Oracles", ICLR 2024 (arXiv:2303.03751), algorithms 1 and 2, line search of section 4.
 *
 * A round asks for the order of m points x + mu*xi_i, xi ~ N(0, I). Every known pair "i better than j" is an edge of a
 * graph, and the average of xi_j - xi_i over the edges estimates a descent direction's opposite:
 *   g = 1/|E| sum_{(i,j) in E} (xi_j - xi_i) = 1/|E| sum_i (better(i) - worse(i)) xi_i,
 * better(i) and worse(i) being the numbers of points known to be better and worse than i. Tied points share no edge.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Point, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { elements, type FloatArray, type TensorSpec, type Tensors } from '../../core/tensor.js'
import { cloneTree } from '../../core/tree.js'
import { type Encoding, encodingOf } from '../space/encoding.js'

const config = z.strictObject({
  m: field(z.int().min(2).default(10), 'Points to rank per round.', { source: 'paper, section 5' }),
  k: field(z.int().min(1).default(5), 'How many of the m points are put in order, best first; m for a full ranking.', {
    source: 'paper, section 5',
  }),
  mu: field(z.number().positive().default(0.01), 'Size of the perturbations; in a search space, of the unit cube.', {
    source: 'paper, section 5',
    mutable: true,
    log: true,
  }),
  learningRate: field(
    z.number().positive().default(0.1),
    'Step size; of the line search, its longest step. Depends on the problem.',
    { source: 'ours', mutable: true, log: true },
  ),
  lineSearch: field(
    z.boolean().default(false),
    'After each round, ask which of the present point, the steps learningRate * 2^-j and the best perturbed point wins.',
    { source: 'paper, section 4' },
  ),
  lineSearchSteps: field(z.int().min(1).default(6), 'Step sizes that a line search tries.', {
    source: "authors' code",
    advanced: true,
  }),
  accumulate: field(
    z.boolean().default(false),
    'While the present point wins its line searches, average the directions of those rounds.',
    { source: "authors' code" },
  ),
})
type Config = z.infer<typeof config>

type Vector = { [tensor: string]: FloatArray }
type State = {
  x: Vector
  /** Where the present round's directions begin: drawn from a copy to ask, from the stream itself when answered. */
  rng: RngState
  asked: number
  rounds: number
  open: string | null
  /** Size of the perturbations that are being ranked: the config's may change meanwhile. */
  mu: number
  /** The line search of this round: its direction, its longest step, and the best perturbed point. */
  line: { direction: Vector; learningRate: number; candidate: Vector } | null
  /** Mean direction of the last `count` rounds, none of which found a better point. */
  mean: { direction: Vector; count: number } | null
}

/** How the space of a problem is seen: as named vectors. A search space is one vector of the unit cube. */
type Frame = { specs: readonly TensorSpec[]; low: number; high: number; encoding?: Encoding }

function frameOf({ space }: Problem): Frame {
  if (space.kind === 'tensors')
    return { specs: space.tensors, low: space.low ?? -Infinity, high: space.high ?? Infinity }
  if (space.kind !== 'search') throw new TypeError(`zo-rank-sgd has no frame for ${space.kind} spaces`)
  const encoding = encodingOf(space)
  return { specs: [{ name: 'u', shape: [encoding.dimension], dtype: 'f64' }], low: 0, high: 1, encoding }
}

const toPoint = ({ encoding }: Frame, x: Vector): Point =>
  encoding ? { kind: 'params', params: encoding.decode(x.u) } : { kind: 'tensors', tensors: x }

/** x + scale*d, inside the box, as fresh arrays of x's types. */
function plus({ specs, low, high }: Frame, x: Vector, scale: number, d: Tensors): Vector {
  const sum: Vector = {}
  for (const { name } of specs) {
    const from = x[name]
    const by = d[name]
    sum[name] = from.map((value, i) => Math.min(Math.max(value + scale * by[i], low), high))
  }
  return sum
}

function draw({ specs }: Frame, rng: Rng, m: number): Vector[] {
  const one = (): Vector =>
    Object.fromEntries(
      specs.map(({ name, shape }) => [name, Float64Array.from({ length: elements(shape) }, () => rng.normal())]),
    )
  return Array.from({ length: m }, one)
}

/** Weight of each xi in g, 0 throughout when all points are tied. Points that no group lists are tied last. */
export function edgeWeights(m: number, ranking: readonly (readonly number[])[]): Float64Array {
  const listed = new Set(ranking.flat())
  const rest = Array.from({ length: m }, (_, i) => i).filter((i) => !listed.has(i))
  const weights = new Float64Array(m)
  let better = 0
  let pairs = 0
  for (const group of [...ranking, rest]) {
    const worse = m - better - group.length
    for (const i of group) weights[i] = better - worse
    pairs += group.length * worse
    better += group.length
  }
  return pairs === 0 ? weights : weights.map((w) => w / pairs)
}

function combine({ specs }: Frame, weights: ArrayLike<number>, vectors: readonly Vector[]): Vector {
  const sum: Vector = {}
  for (const { name, shape } of specs) {
    sum[name] = new Float64Array(elements(shape))
    vectors.forEach((vector, v) => {
      for (let i = 0; i < sum[name].length; i++) sum[name][i] += weights[v] * vector[name][i]
    })
  }
  return sum
}

/** The order of the m perturbed points is known. */
function learn({ config }: Run<Config>, frame: Frame, state: State, ranking: readonly (readonly number[])[]) {
  const directions = draw(frame, new Rng(state.rng), config.m)
  const weights = edgeWeights(config.m, ranking)
  const g = combine(frame, weights, directions)
  state.rounds++
  if (!config.lineSearch) {
    state.x = plus(frame, state.x, -config.learningRate, g)
    return
  }
  if (weights.every((w) => w === 0)) return
  const count = state.mean?.count ?? 0
  const direction = state.mean ? combine(frame, [count / (count + 1), 1 / (count + 1)], [state.mean.direction, g]) : g
  if (config.accumulate) state.mean = { direction, count: count + 1 }
  const candidate = plus(frame, state.x, state.mu, directions[ranking[0][0]])
  state.line = { direction, learningRate: config.learningRate, candidate }
}

/** The present point, the steps along the direction, the best perturbed point. */
function lineOf({ config }: Run<Config>, frame: Frame, { x, line }: State): Vector[] {
  const { direction, learningRate, candidate } = line!
  const step = (_: unknown, j: number) => plus(frame, x, -learningRate * 2 ** -j, direction)
  return [x, ...Array.from({ length: config.lineSearchSteps }, step), candidate]
}

/** The winner of a line search is known. The present point stays unless it was beaten. */
function move(run: Run<Config>, frame: Frame, state: State, [winners]: readonly (readonly number[])[]) {
  if (!winners.includes(0)) {
    state.x = lineOf(run, frame, state)[winners[0]]
    state.mean = null
  }
  state.line = null
}

function observe(run: Run<Config>, frame: Frame, state: State, { status, ranking = [] }: Observation) {
  const groups = ranking.filter((group) => group.length > 0)
  if (status === 'ok' && groups.length > 0) {
    if (state.line) move(run, frame, state, groups)
    else learn(run, frame, state, groups)
  } else if (status === 'infeasible' || status === 'pruned') {
    // These points will never be ranked: a new round with other directions.
    if (!state.line) draw(frame, new Rng(state.rng), run.config.m)
    state.line = null
  }
}

function around({ config }: Run<Config>, frame: Frame, state: State): Vector[] {
  state.mu = config.mu
  return draw(frame, new Rng(cloneTree(state.rng)), config.m).map((xi) => plus(frame, state.x, config.mu, xi))
}

function ask(run: Run<Config>, frame: Frame, state: State): Query {
  const vectors = state.line ? lineOf(run, frame, state) : around(run, frame, state)
  state.open = `q${state.asked++}`
  return {
    id: state.open,
    points: vectors.map((x) => toPoint(frame, x)),
    wants: [{ kind: 'ranking', top: state.line ? 1 : run.config.k }],
    purpose: state.line ? 'line-search' : 'perturbation',
  }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const frame = frameOf(run.problem)
  const queries: Query[] = []
  let wanted = 0
  for (const event of events) {
    if (event.type === 'observation' && event.query.id === state.open) {
      state.open = null
      observe(run, frame, state, event.observation)
    }
    if (event.type !== 'capacity') continue
    wanted += event.count
    if (state.open === null && event.count > 0) queries.push(ask(run, frame, state))
  }
  const short = { reason: 'the next round depends on the ranking of the open one', until: 'tell' } as const
  return { state, queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
}

function check({ m, k, lineSearch, accumulate }: Config): Issue[] {
  const issues: Issue[] = []
  if (k > m) issues.push({ path: 'config.k', message: `expected at most m = ${m}, got ${k}` })
  if (accumulate && !lineSearch)
    issues.push({ path: 'config.accumulate', message: 'only a line search tells when directions accumulate' })
  return issues
}

/** Zeros where the space gives no start; the middle of a search space. */
function init({ config, problem }: Run<Config>, seed: number): State {
  const { specs, encoding } = frameOf(problem)
  const initial = problem.space.kind === 'tensors' ? problem.space.initial : undefined
  const start = ({ name, shape, dtype }: TensorSpec): FloatArray => {
    if (encoding) return new Float64Array(elements(shape)).fill(0.5)
    const x = dtype === 'f64' ? new Float64Array(elements(shape)) : new Float32Array(elements(shape))
    if (initial?.[name]) x.set(initial[name])
    return x
  }
  return {
    x: Object.fromEntries(specs.map((spec) => [spec.name, start(spec)])),
    rng: rngStream(seed, 'directions'),
    asked: 0,
    rounds: 0,
    open: null,
    mu: config.mu,
    line: null,
    mean: null,
  }
}

export const method = defineMethod<Config, State>({
  id: 'zo-rank-sgd',
  version: 1,
  stateVersion: 1,
  family: 'ranking',
  title: 'ZO-RankSGD',
  summary: 'Descent from rankings: someone puts the best k of m points in order, and only the order counts.',
  references: [
    {
      authors: 'Z. Tang, D. Rybin, T.-H. Chang',
      title: 'Zeroth-Order Optimization Meets Human Feedback: Provable Learning via Ranking Oracles',
      year: 2023,
      url: 'https://arxiv.org/abs/2303.03751',
    },
  ],
  config,
  facts: {
    spaces: ['tensors', 'search'],
    parameters: ['float'],
    objectives: 'one',
    constraints: false,
    parallel: false,
    unsolicited: 'reject',
    invariances: ['monotone-values', 'translation'],
  },
  recipes: [
    { problem: 'rank-sphere', config: { learningRate: 0.03 }, maxEvaluations: 300, target: 0.02 },
    { problem: 'rank-sphere', config: { lineSearch: true, accumulate: true }, maxEvaluations: 200, target: 1e-3 },
    { problem: 'sphere-5d', config: { lineSearch: true }, maxEvaluations: 200, target: 0.1 },
  ],
  equations: () => [
    String.raw`g = \frac{1}{|E|} \sum_{(i,j) \in E} (\xi_j - \xi_i)`,
    String.raw`x \leftarrow x - \eta\, g`,
  ],
  needs: () => ['ranking'],
  check,
  init,
  step,
  estimate: (run, state) => ({
    kind: run.config.lineSearch ? 'best' : 'iterate',
    points: [{ point: toPoint(frameOf(run.problem), state.x) }],
    step: state.rounds,
  }),
})
