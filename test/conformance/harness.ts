/**
 * Plays a session for a method, without one: delivers events, keeps queries open, and checks at every step what the
 * contract (core/method.ts) promises whoever drives a method.
 */
import { createHash } from 'node:crypto'
import type { AnyMethod, Estimate, Run } from '../../src/core/method.js'
import type { Event, Observation, Point, Query, WantKind } from '../../src/core/query.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { parseConfig } from '../../src/core/schema.js'
import { checkParams, isActive, type Params, type Space } from '../../src/core/space.js'
import { elements, type Tensors } from '../../src/core/tensor.js'
import { decodeTree, encodeTree, type Tree } from '../../src/core/tree.js'
import type { TestProblem } from '../problems/index.js'

export type Options = {
  seed?: number
  engine?: Run<unknown>['engine']
  /** Queries kept open; 1 for methods that take no parallel evaluations. */
  width?: number
  /** Stop after so many answers. */
  maxEvaluations: number
  /** Stop when the estimate's value gets here. */
  target?: number
  /** After every step: state through the codec and an empty memo, as after a restart. */
  restart?: boolean
  /** Answers in random order, some of them with these statuses instead of ok. */
  faults?: readonly Exclude<Observation['status'], 'ok'>[]
  /** Points told before anything is asked. */
  unsolicited?: readonly Point[]
  /** A new config, in force after so many answers. */
  reconfigure?: { after: number; config: Record<string, unknown>; changed: readonly string[] }
}

export type Play = {
  /** Digest of queries, estimate and state after each step. */
  trace: readonly string[]
  /** Digest of all queries alone. */
  asked: string
  wants: ReadonlySet<WantKind>
  evaluations: number
  reached: boolean
  value: number
  estimate: Estimate
  done?: string
  /** Encoded bytes of the state at the start and at the end. */
  bytes: { first: number; last: number }
}

const digest = (tree: unknown) =>
  createHash('sha256')
    .update(encodeTree(tree as Tree))
    .digest('hex')

/** Share of answers that go wrong in a run with faults. */
const FAULTS = 0.2

export class BrokenContract extends Error {}
function promise(holds: boolean, message: string): asserts holds {
  if (!holds) throw new BrokenContract(message)
}

/** A random point of a space that is no text. */
export function samplePoint(space: Space, rng: Rng): Point {
  if (space.kind === 'tensors') {
    const tensors: Tensors = Object.fromEntries(
      space.tensors.map(({ name, shape, dtype }) => {
        const values = Array.from({ length: elements(shape) }, () => rng.uniform())
        return [name, dtype === 'f64' ? Float64Array.from(values) : Float32Array.from(values)]
      }),
    )
    return { kind: 'tensors', tensors }
  }
  if (space.kind !== 'search') throw new Error(`no random points of ${space.kind} spaces`)
  const params: Record<string, Params[string]> = {}
  for (const p of space.parameters) {
    if (!isActive(p, params)) continue
    if (p.type === 'categorical' || p.type === 'ordinal') params[p.name] = p.choices[rng.integer(p.choices.length)]
    else if (p.type === 'permutation') {
      const left = [...p.items]
      params[p.name] = p.items.map(() => left.splice(rng.integer(left.length), 1)[0])
    } else if (p.type === 'int') params[p.name] = p.low + rng.integer(p.high - p.low + 1)
    else params[p.name] = p.low + rng.uniform() * (p.high - p.low)
  }
  return { kind: 'params', params }
}

function checkPoint(point: Point, space: Space, resolve: (name: string) => Tensors, exact: boolean) {
  if (point.kind === 'params') {
    promise(space.kind === 'search', 'a params point in a space that is not a search space')
    const [issue] = checkParams(space, point.params, 'params')
    promise(!issue, `asked a point outside of the space: ${issue?.path} ${issue?.message}`)
  }
  if (point.kind === 'text' && space.kind === 'text')
    promise(
      space.components.every(
        ({ name, maxLength }) => point.text[name] !== undefined && point.text[name].length <= (maxLength ?? Infinity),
      ),
      'a text point lacks a component or is too long',
    )
  if ((point.kind !== 'tensors' && point.kind !== 'view') || space.kind !== 'tensors') return
  const tensors = point.kind === 'view' ? resolve(point.name) : point.tensors
  for (const { name, shape, dtype } of space.tensors) {
    const array = tensors[name]
    promise(array !== undefined, `tensor ${name} is missing from a point`)
    promise(array.length === elements(shape), `tensor ${name} has ${array.length} elements, not ${elements(shape)}`)
    const Kind = dtype === 'f64' ? Float64Array : Float32Array
    promise(!exact || array instanceof Kind, `tensor ${name} of dtype ${dtype} came as ${array.constructor.name}`)
    for (const x of array) promise(Number.isFinite(x), `tensor ${name} has an element ${x}`)
  }
}

/** Ruins the tensors that were told, as whoever uses their memory next does. */
function scribble(events: readonly Event[]): void {
  for (const event of events)
    if (event.type === 'observation')
      for (const tensors of event.observation.gradients ?? [])
        for (const array of Object.values(tensors)) array.fill(Number.NaN)
}

/** Runs a method on a problem. Throws BrokenContract where the method breaks a promise. */
export function play(method: AnyMethod, rawConfig: unknown, oracle: TestProblem, options: Options): Play {
  const { problem } = oracle
  const { seed = 1, engine = 'wasm', restart = false, faults, target } = options
  const width = method.facts.parallel ? (options.width ?? 1) : 1
  const maximize = problem.objectives[0].direction === 'maximize'
  const reaches = (value: number) => target !== undefined && (maximize ? value >= target : value <= target)

  let config = parseConfig(method.config, rawConfig)
  let memo = new Map<string, unknown>()
  const run = (): Run<unknown> => ({ config, problem, engine, memo })
  let state: Tree = method.init(run(), seed)
  const view = (name: string): Tensors => {
    promise(method.view !== undefined, `a view point ${name} from a method without a view hook`)
    return method.view(run(), state, name)
  }

  const rng = new Rng(rngStream(seed, 'conformance'))
  const open: Query[] = []
  const ids = new Set<string>()
  const wants = new Set<WantKind>()
  const needs = method.needs(config, problem)
  const trace: string[] = []
  const asked: string[] = []
  let trials = 0
  let evaluations = 0
  let done: string | undefined
  let value = Number.NaN
  const reconfigure = options.reconfigure

  const estimateNow = () => {
    const estimate = method.estimate(run(), state)
    for (const { point } of estimate.points) checkPoint(point, problem.space, view, engine === 'wasm')
    return estimate
  }
  const settled = (estimate: Estimate) => ({
    ...estimate,
    points: estimate.points.map(({ point, ...rest }) => ({
      ...rest,
      point: point.kind === 'view' ? { kind: 'tensors', tensors: view(point.name) } : point,
    })),
  })

  const step = (events: readonly Event[]) => {
    const outcome = method.step(run(), state, events)
    state = outcome.state as Tree
    if (method.facts.transient) scribble(events)
    const capacity = events.reduce((n, e) => n + (e.type === 'capacity' ? e.count : 0), 0)
    const observed = events.reduce((n, e) => n + (e.type === 'observation' ? 1 : 0), 0)
    const { queries, short, status } = outcome
    promise(queries.length <= capacity + observed, `${queries.length} queries for a capacity of ${capacity}`)
    promise(
      queries.length >= capacity || status.phase === 'done' || short !== undefined,
      `${queries.length} queries for a capacity of ${capacity}, and no word why`,
    )
    if (status.phase === 'done') done = status.reason
    const encoded = restart || trace.length === 0 ? encodeTree(state) : undefined
    if (encoded && restart) {
      state = decodeTree(encoded)
      memo = new Map()
    }
    for (const query of queries) {
      promise(!ids.has(query.id), `query id ${query.id} was used before`)
      ids.add(query.id)
      for (const want of query.wants) {
        promise(needs.includes(want.kind), `asks for ${want.kind}, which is not among its needs (${needs})`)
        wants.add(want.kind)
      }
      for (const point of query.points) checkPoint(point, problem.space, view, engine === 'wasm')
      const trial = query.points.length === 1 && query.points[0].kind === 'params' ? { trial: trials++ } : {}
      open.push({ ...query, ...trial })
    }
    promise(
      open.length <= Math.max(width, options.unsolicited?.length ?? 0),
      `${open.length} queries are open where ${width} may be`,
    )
    const estimate = estimateNow()
    trace.push(digest({ queries, estimate: settled(estimate), state }))
    asked.push(digest(queries))
    value = oracle.value(estimate, view)
  }

  const first = encodeTree(state).length
  estimateNow()
  const told = (options.unsolicited ?? []).map((point, i): Event => {
    const query: Query = { id: `told-${i}`, points: [point], wants: [{ kind: 'value' }], trial: trials++ }
    return { type: 'observation', query, observation: oracle.answer(query, view) }
  })
  if (told.length > 0) step(told)
  step([{ type: 'capacity', count: width }])
  while (!done && evaluations < options.maxEvaluations && !reaches(value)) {
    promise(open.length > 0, 'nothing is open, nothing is asked and it is not done')
    if (reconfigure && evaluations === reconfigure.after) {
      config = parseConfig(method.config, reconfigure.config)
      step([{ type: 'reconfigure', changed: reconfigure.changed }])
    }
    const [query] = open.splice(faults ? rng.integer(open.length) : 0, 1)
    let observation = oracle.answer(query, view)
    const events: Event[] = []
    if (faults) {
      if (query.trial !== undefined && rng.uniform() < 0.3)
        events.push({ type: 'report', query, step: 1, value: observation.values?.[0]?.[0] ?? 0 })
      if (rng.uniform() < FAULTS)
        observation = { queryId: query.id, status: faults[rng.integer(faults.length)], message: 'injected' }
    }
    events.push({ type: 'observation', query, observation })
    evaluations++
    // With faults, observations and capacity come in steps of their own.
    if (faults) step(events.splice(0))
    if (!done && open.length < width) step([...events, { type: 'capacity', count: width - open.length }])
    else if (events.length > 0) step(events)
  }
  return {
    trace,
    asked: digest(asked),
    wants,
    evaluations,
    reached: reaches(value),
    value,
    estimate: method.estimate(run(), state),
    done,
    bytes: { first, last: encodeTree(state).length },
  }
}
