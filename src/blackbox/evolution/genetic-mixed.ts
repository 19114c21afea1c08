/**
 * A steady-state genetic algorithm for permutations and mixed spaces: every child replaces the worst member that it beats.
 * D. Whitley, "The GENITOR Algorithm and Selection Pressure", ICGA 1989.
 *
 * - Permutations: order crossover (L. Davis, "Applying Adaptive Algorithms to Epistatic Domains", IJCAI 1985) or partially
 *   mapped crossover (D. E. Goldberg, R. Lingle, "Alleles, Loci, and the Traveling Salesman Problem", ICGA 1985); mutation
 *   turns a stretch around, moves an item, or swaps two.
 * - Other parameters: the crossover and mutation of variation.ts, in the coordinates of the encoding.
 *
 * It never waits: a child is bred from the population that there is. Points of a finite space are not asked twice.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, Scalar, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { freshPoint, uniformPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, startProgress } from '../space/progress.js'
import { geneticFields } from './genetic.js'
import { offspring } from './variation.js'

const MAX_DIMENSION = 10_000

const config = z.strictObject({
  populationSize: field(z.int().min(2).max(10_000).default(50), 'Members of the population.', { source: 'ours' }),
  orderCrossover: field(
    z.enum(['order', 'pmx']).default('order'),
    'Of permutations: "order" keeps who comes after whom, "pmx" who is at which place.',
    { source: 'Davis 1985' },
  ),
  orderMutation: field(z.number().min(0).max(1).default(0.3), 'Probability that a permutation is mutated.', {
    source: 'ours',
  }),
  crossover: geneticFields.crossover,
  crossoverIndex: geneticFields.crossoverIndex,
  mutation: geneticFields.mutation,
  mutationIndex: geneticFields.mutationIndex,
})
type Config = z.infer<typeof config>
type Order = readonly Scalar[]

type State = {
  progress: Progress
  rng: RngState
  /** Best first; of equals the newer. */
  members: { params: Params; value: number }[]
  /** Keys of points of a finite space that were asked or told. */
  known: { [key: string]: true }
}

const encodingFor = ({ problem, memo }: Run<Config>): Encoding => {
  const encoding = (memo.get('encoding') as Encoding) ?? encodingOf(problem.space as SearchSpace)
  memo.set('encoding', encoding)
  return encoding
}
const keyOf = (encoding: Encoding, params: Params): string => encoding.encode(params).u.join(' ')

/** A stretch of places, the first to before the last. */
function stretch(n: number, rng: Rng): [number, number] {
  const [i, j] = [rng.integer(n), rng.integer(n)]
  return i < j ? [i, j + 1] : [j, i + 1]
}

/** A stretch of `a`; the other places are filled with what is left, in the order of `b`, beginning after the stretch. */
export function orderCrossover(a: Order, b: Order, from: number, to: number): Scalar[] {
  const n = a.length
  const kept = new Set(a.slice(from, to))
  const rest = b.map((_, k) => b[(to + k) % n]).filter((item) => !kept.has(item))
  const child = [...a]
  rest.forEach((item, k) => {
    child[(to + k) % n] = item
  })
  return child
}

/** A stretch of `a`; elsewhere the items of `b`, those that are in the stretch replaced along the mapping between both. */
export function mappedCrossover(a: Order, b: Order, from: number, to: number): Scalar[] {
  const mapped = new Map(a.slice(from, to).map((item, k) => [item, b[from + k]]))
  return a.map((own, k) => {
    if (k >= from && k < to) return own
    let item = b[k]
    while (mapped.has(item)) item = mapped.get(item)!
    return item
  })
}

function mutateOrder(order: Scalar[], rng: Rng): Scalar[] {
  const [from, to] = stretch(order.length, rng)
  const kind = rng.integer(3)
  if (kind === 0) return [...order.slice(0, from), ...order.slice(from, to).reverse(), ...order.slice(to)]
  const next = [...order]
  if (kind === 1) next.splice(to - 1, 0, ...next.splice(from, 1))
  else [next[from], next[to - 1]] = [next[to - 1], next[from]]
  return next
}

/** The better of two members drawn at random. */
const tournament = ({ members }: State, rng: Rng) =>
  members[Math.min(rng.integer(members.length), rng.integer(members.length))].params

function breed({ config, problem }: Run<Config>, state: State, encoding: Encoding, rng: Rng): Params {
  const [a, b] = [tournament(state, rng), tournament(state, rng)]
  const [ua, ub] = [a, b].map((params) => encoding.encode(params).u)
  const { axes } = encoding
  const plain = axes.flatMap(({ parameter }, i) => (parameter.type === 'permutation' ? [] : [i]))
  const u = axes.map(() => rng.uniform())
  if (plain.length > 0) {
    const box = { dimension: plain.length, low: 0, high: 1, ordered: (j: number) => axes[plain[j]].ordered }
    const parents = [ua, ub].map((parent) => Float64Array.from(plain, (i) => parent[i]))
    const [child] = offspring(parents, config, box, rng)
    plain.forEach((i, j) => {
      u[i] = child[j]
    })
  }
  const orders: Record<string, Order> = {}
  for (const { name, type } of (problem.space as SearchSpace).parameters) {
    if (type !== 'permutation' || !(a[name] && b[name])) continue
    const [mother, father] = [a[name], b[name]] as Order[]
    const [from, to] = stretch(mother.length, rng)
    const cross = config.orderCrossover === 'order' ? orderCrossover : mappedCrossover
    const child = rng.uniform() < config.crossover ? cross(mother, father, from, to) : [...mother]
    orders[name] = rng.uniform() < config.orderMutation ? mutateOrder(child, rng) : child
  }
  // Keys of the orders among the coordinates, so that conditions and constraints are looked at once.
  const keys = encoding.encode({ ...a, ...orders }).u
  axes.forEach(({ parameter: { name } }, i) => {
    if (orders[name]) u[i] = keys[i]
  })
  return encoding.decode(u)
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const encoding = encodingFor(run)
  const { populationSize } = run.config
  const remember = Number.isFinite(encoding.cardinality)
  const rng = new Rng(state.rng)
  const { members, known } = state
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    if (event.type === 'observation')
      for (const { point, status, value } of readValues(state.progress, run.problem, event)) {
        if (point.kind !== 'params') continue
        const key = keyOf(encoding, point.params)
        if (status === 'failed' || status === 'cancelled') delete known[key]
        else if (remember) known[key] = true
        if (status !== 'ok') continue
        const at = members.findIndex((member) => member.value >= value)
        members.splice(at < 0 ? members.length : at, 0, { params: point.params, value })
        members.length = Math.min(members.length, populationSize)
      }
    if (event.type !== 'capacity') continue
    for (let i = 0; i < event.count && !exhausted; i++) {
      const scattering = state.progress.asked < populationSize && members.length < populationSize
      const draw = () =>
        scattering || members.length < 2 ? uniformPoint(encoding, rng) : breed(run, state, encoding, rng)
      const isKnown = (params: Params) => Object.hasOwn(known, keyOf(encoding, params))
      const params = remember ? freshPoint(encoding, isKnown, draw, (n) => Math.floor(rng.uniform() * n)) : draw()
      exhausted = params === undefined
      if (!params) break
      if (remember) known[keyOf(encoding, params)] = true
      queries.push(askValue(state.progress, { kind: 'params', params }))
    }
  }
  const short = { reason: 'every point of the finite space was asked', until: 'never' } as const
  return { state, queries, status: { phase: 'running' }, short: exhausted ? short : undefined }
}

export const method = defineMethod<Config, State>({
  id: 'genetic',
  version: 1,
  stateVersion: 1,
  family: 'evolution',
  title: 'Genetic algorithm for permutations and mixed spaces',
  summary:
    'Breeds children of a steady population: orders by order crossover, other parameters by theirs. Takes every kind of parameter, never waits.',
  references: [
    { authors: 'D. Whitley', title: 'The GENITOR Algorithm and Selection Pressure', year: 1989 },
    {
      authors: 'L. Davis',
      title: 'Applying Adaptive Algorithms to Epistatic Domains',
      year: 1985,
      url: 'https://www.ijcai.org/Proceedings/85-1/Papers/031.pdf',
    },
    { authors: 'D. E. Goldberg, R. Lingle', title: 'Alleles, Loci, and the Traveling Salesman Problem', year: 1985 },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
  },
  recipes: [
    { problem: 'branin', config: { populationSize: 30 }, maxEvaluations: 600, target: 0.5 },
    { problem: 'mixed', config: { populationSize: 30 }, maxEvaluations: 600, target: 0.05 },
  ],
  needs: () => ['value'],
  check(_, { space }) {
    const n = space.kind === 'search' ? encodingOf(space).dimension : 0
    const message = `genetic takes up to ${MAX_DIMENSION} coordinates, got ${n}`
    return n > MAX_DIMENSION ? [{ path: 'space.parameters', message }] : []
  },
  init: (_, seed) => ({ progress: startProgress(), rng: rngStream(seed, 'genetic'), members: [], known: {} }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
