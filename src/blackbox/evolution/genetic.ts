/**
 * Makes a method of a genetic algorithm for one or several objectives: parents are chosen by tournaments, children are bred from
 * them and asked, and the best of both become the parents of the next generation. Methods differ in who survives.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Method, type Outcome, type Recipe, type Reference, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Front, frontEstimate, readFront, startFront } from '../space/front.js'
import { hypervolume } from '../space/pareto.js'
import { type Box, checkBox } from './box.js'
import { boxFor, scatter } from './generations.js'
import { offspring, type Variation } from './variation.js'

const MAX_DIMENSION = 10_000
/** Points of the front that are kept. */
const MAX_FRONT = 500

/** Fields of every genetic algorithm. */
export const geneticFields = {
  crossover: field(z.number().min(0).max(1).default(0.9), 'Probability that two parents are crossed.', {
    source: 'Deb et al. 2002',
  }),
  crossoverIndex: field(z.number().positive().default(15), 'How near to their parents the children are.', {
    source: 'pymoo',
  }),
  mutation: field(
    z.number().min(0).max(1).optional(),
    'Probability that a coordinate is mutated; 1 over their number when absent.',
    { source: 'Deb et al. 2002' },
  ),
  mutationIndex: field(z.number().positive().default(20), 'How small mutations are.', {
    source: 'Deb et al. 2002',
  }),
  reference: field(
    z.array(z.number()).optional(),
    'A value per objective that is worse than any of interest: the hypervolume up to there is then reported.',
    { source: 'ours' },
  ),
}
export type GeneticConfig = Variation & { reference?: number[] }

/** Members with their values (one row each, to minimize) and by how much they violate constraints. */
export type Population = { x: Float64Array[]; values: number[][]; violations: number[] }
/** Who survives, best first, with the number of the front of each and how lonely it is there. */
export type Survivors = { chosen: number[]; ranks: number[]; distances: number[] }

export type Genetic<C> = {
  id: string
  version?: number
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  check?(config: C, problem: Problem): Issue[]
  size(config: C, problem: Problem): number
  /** The parents of the i-th child, of which only one is kept; by default both of two tournaments are. */
  mates?(run: Run<C>, parents: Population, i: number, rng: Rng): [number, number]
  survive(run: Run<C>, all: Population, size: number, rng: Rng): Survivors
}

export type GeneticState = {
  rng: RngState
  front: Front
  asked: number
  told: number
  generation: number
  /** Parents, with the number of their front and how lonely they are there; none before the first are told. */
  parents: Population
  ranks: number[]
  distances: number[]
  /** The generation under way: members, those yet to ask and those asked by query id. */
  children: Population
  waiting: number[]
  open: { [queryId: string]: number }
}

const NONE: Population = { x: [], values: [], violations: [] }
const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** The better of two parents drawn at random: by front, then the lonelier. */
function tournament({ ranks, distances }: GeneticState, rng: Rng): number {
  const [a, b] = [rng.integer(ranks.length), rng.integer(ranks.length)]
  if (ranks[a] !== ranks[b]) return ranks[a] < ranks[b] ? a : b
  return distances[a] >= distances[b] ? a : b
}

function breed<C extends Variation>(method: Genetic<C>, run: Run<C>, state: GeneticState, box: Box, rng: Rng) {
  const { x } = state.parents
  const size = method.size(run.config, run.problem)
  const children: Float64Array[] = []
  while (children.length < size) {
    const mates = method.mates?.(run, state.parents, children.length, rng)
    const pair = (mates ?? [tournament(state, rng), tournament(state, rng)]).map((k) => x[k])
    children.push(...offspring(pair, run.config, box, rng).slice(0, mates ? 1 : 2))
  }
  return children.slice(0, size)
}

function begin(state: GeneticState, x: Float64Array[]): void {
  state.children = { x, values: x.map(() => []), violations: x.map(() => Number.POSITIVE_INFINITY) }
  state.waiting = range(x.length).reverse()
}

/** Parents and children together, the best of them. */
function select<C>(method: Genetic<C>, run: Run<C>, state: GeneticState, rng: Rng): void {
  const { parents, children } = state
  const all: Population = {
    x: [...parents.x, ...children.x],
    values: [...parents.values, ...children.values],
    violations: [...parents.violations, ...children.violations],
  }
  const { chosen, ranks, distances } = method.survive(run, all, method.size(run.config, run.problem), rng)
  state.parents = {
    x: chosen.map((i) => all.x[i]),
    values: chosen.map((i) => all.values[i]),
    violations: chosen.map((i) => all.violations[i]),
  }
  state.ranks = ranks
  state.distances = distances
  state.generation++
}

export function geneticMethod<C extends GeneticConfig>(genetic: Genetic<C>): Method<C, GeneticState> {
  const { id, version = 1, title, summary, references, config, recipes, equations } = genetic

  function observe(
    run: Run<C>,
    state: GeneticState,
    box: Box,
    event: Extract<Event, { type: 'observation' }>,
    rng: Rng,
  ) {
    const readings = readFront(state.front, run.problem, event, MAX_FRONT)
    state.told += readings.filter(({ status }) => status === 'ok').length
    const queryId = event.query.id
    if (!Object.hasOwn(state.open, queryId)) return
    const member = state.open[queryId]
    delete state.open[queryId]
    const [{ status, values, violation }] = readings
    if (status === 'failed' || status === 'cancelled') {
      state.waiting.push(member)
      return
    }
    // One that is infeasible, or pruned, is worse than any other.
    const usable = status === 'ok'
    state.children.values[member] = usable ? values : run.problem.objectives.map(() => Number.POSITIVE_INFINITY)
    state.children.violations[member] = usable ? violation : Number.POSITIVE_INFINITY
    if (state.waiting.length > 0 || Object.keys(state.open).length > 0) return
    select(genetic, run, state, rng)
    begin(state, breed(genetic, run, state, box, rng))
  }

  function step(run: Run<C>, state: GeneticState, events: readonly Event[]): Outcome<GeneticState> {
    const box = boxFor(run)
    const rng = new Rng(state.rng)
    const queries: Query[] = []
    let wanted = 0
    for (const event of events) {
      if (event.type === 'observation') observe(run, state, box, event, rng)
      if (event.type !== 'capacity') continue
      wanted += event.count
      for (let i = 0; i < event.count && state.waiting.length > 0; i++) {
        const member = state.waiting.pop() as number
        const queryId = `q${state.asked++}`
        state.open[queryId] = member
        queries.push({ id: queryId, points: [box.point(state.children.x[member])], wants: [{ kind: 'value' }] })
      }
    }
    const open = Object.keys(state.open).length
    const short = { reason: `generation ${state.generation} waits for ${open} answers`, until: 'tell' } as const
    return { state, queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
  }

  return defineMethod<C, GeneticState>({
    id,
    version,
    stateVersion: 1,
    family: 'evolution',
    title,
    summary,
    references,
    config,
    facts: {
      spaces: ['search', 'tensors'],
      parameters: ['float', 'int', 'ordinal', 'categorical', 'permutation', 'conditional', 'constrained'],
      objectives: 'many',
      constraints: true,
      parallel: true,
      unsolicited: 'accept',
      invariances: [],
    },
    recipes,
    equations,
    needs: () => ['value'],
    check(parsed, problem) {
      const { space, objectives } = problem
      const issues = [...checkBox(id, space, MAX_DIMENSION), ...(genetic.check?.(parsed, problem) ?? [])]
      const { reference } = parsed
      if (!reference || reference.length === objectives.length) return issues
      const message = `expected ${objectives.length} numbers, one per objective, got ${reference.length}`
      return [...issues, { path: 'config.reference', message }]
    },
    init(run, seed) {
      const box = boxFor(run)
      const rng = new Rng(rngStream(seed, id))
      const state: GeneticState = {
        rng: rng.state,
        front: startFront(),
        asked: 0,
        told: 0,
        generation: 0,
        parents: NONE,
        ranks: [],
        distances: [],
        children: NONE,
        waiting: [],
        open: {},
      }
      const size = genetic.size(run.config, run.problem)
      const first = scatter(box, size, undefined, rng)
      const n = box.dimension
      begin(
        state,
        range(size).map((k) => first.slice(k * n, (k + 1) * n)),
      )
      return state
    },
    step,
    estimate({ config: { reference }, problem }, { front, told, generation }) {
      const signs = problem.objectives.map(({ direction }) => (direction === 'maximize' ? -1 : 1))
      const volume = reference && {
        hypervolume: hypervolume(
          front.points.map(({ values }) => values),
          reference.map((r, k) => signs[k] * r),
        ),
      }
      return { ...frontEstimate(front, problem, told), metrics: { generation, front: front.points.length, ...volume } }
    },
  })
}
