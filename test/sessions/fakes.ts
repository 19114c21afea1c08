/** Methods small enough to follow by eye, a store that can be broken, and sessions on a clock that tests turn. */
import { z } from 'zod'
import { AsktellError } from '../../src/core/errors.js'
import { defineMethod } from '../../src/core/method.js'
import { definePruner } from '../../src/core/pruner.js'
import type { Event, Query } from '../../src/core/query.js'
import { Rng, type RngState, rngStream } from '../../src/core/rng.js'
import { field } from '../../src/core/schema.js'
import type { Problem, SearchSpace } from '../../src/core/space.js'
import { openManager, type SessionsOptions } from '../../src/sessions/index.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import type { Write } from '../../src/sessions/stores/store.js'

const about = { version: 1, stateVersion: 1, references: [], recipes: [] }

type DiceState = { rng: RngState; asked: number; told: number; sum: number; best: number | null }

const diceConfig = z.object({
  scale: field(z.number().positive().default(1), 'Width of the draws.', { mutable: true }),
  most: field(z.number().int().positive().default(1_000_000), 'Queries before it is done.'),
})

function roll(state: DiceState, space: SearchSpace, scale: number): Query {
  const draw = new Rng(state.rng)
  const params = Object.fromEntries(
    space.parameters.map((p) => {
      if (p.type !== 'float') throw new TypeError('floats only')
      // The past matters: a lost or doubled observation changes every later point.
      const at = (draw.uniform() * scale + Math.abs(Math.sin(state.sum))) % 1
      return [p.name, p.low + at * (p.high - p.low)]
    }),
  )
  return { id: `q${state.asked++}`, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }
}

/** Random search whose draws depend on everything it was told. */
export const dice = defineMethod<z.infer<typeof diceConfig>, DiceState>({
  ...about,
  id: 'dice',
  family: 'sampling',
  title: 'Dice',
  summary: 'Random points that depend on all that was told.',
  config: diceConfig,
  facts: {
    spaces: ['search'],
    parameters: ['float'],
    objectives: 'many',
    constraints: true,
    parallel: true,
    unsolicited: 'accept',
    invariances: [],
  },
  needs: () => ['value'],
  init: (_run, seed) => ({ rng: rngStream(seed, 'dice'), asked: 0, told: 0, sum: 0, best: null }),
  step({ config, problem }, state, events) {
    const queries: Query[] = []
    for (const event of events as readonly Event[]) {
      if (event.type === 'observation') {
        state.told++
        const value = event.observation.values?.[0]?.[0]
        state.sum += (value ?? 0.5) * (state.told % 7)
        if (value !== undefined && event.observation.status === 'ok')
          state.best = Math.min(state.best ?? Infinity, value)
      } else if (event.type === 'capacity') {
        for (let i = 0; i < event.count && state.asked < config.most; i++)
          queries.push(roll(state, problem.space as SearchSpace, config.scale))
      } else if (event.type === 'report') state.sum += event.value / 1000
      else state.sum += config.scale
    }
    const done = state.told >= config.most
    return {
      state,
      queries,
      status: done ? { phase: 'done', reason: 'all points were tried' } : { phase: 'running' },
      short: state.asked >= config.most ? { reason: 'all points are out', until: 'tell' } : undefined,
    }
  },
  estimate: (_run, state) => ({ kind: 'best', points: [], step: state.told, metrics: { best: state.best ?? 0 } }),
})

type SlopeState = { x: { w: Float32Array; b: Float64Array }; step: number; open: boolean }

/** Gradient descent with one query at a time, at a view of its state. */
export const slope = defineMethod<{ learningRate: number }, SlopeState>({
  ...about,
  id: 'slope',
  family: 'gradient',
  title: 'Slope',
  summary: 'Plain gradient descent.',
  config: z.object({ learningRate: field(z.number().default(0.1), 'Step size.', { mutable: true }) }),
  facts: {
    spaces: ['tensors'],
    objectives: 'one',
    constraints: false,
    parallel: false,
    unsolicited: 'reject',
    invariances: [],
  },
  needs: () => ['gradient'],
  init: ({ problem }) => {
    if (problem.space.kind !== 'tensors') throw new TypeError('tensors only')
    const { initial } = problem.space
    return {
      x: { w: Float32Array.from(initial?.w ?? new Float32Array(20)), b: Float64Array.from(initial?.b ?? [0]) },
      step: 0,
      open: false,
    }
  },
  step({ config }, state, events) {
    const queries: Query[] = []
    const ask = () => {
      if (state.open) return
      state.open = true
      queries.push({ id: `g${state.step}`, points: [{ kind: 'view', name: 'x' }], wants: [{ kind: 'gradient' }] })
    }
    for (const event of events) {
      if (event.type === 'observation') {
        const g = event.observation.gradients?.[0]
        if (g)
          for (const name of ['w', 'b'] as const)
            state.x[name].forEach((v, i) => {
              state.x[name][i] = v - config.learningRate * g[name][i]
            })
        state.step++
        state.open = false
        ask()
      } else if (event.type === 'capacity') ask()
    }
    return {
      state,
      queries,
      status: { phase: 'running' },
      short: state.open ? { reason: 'one gradient at a time', until: 'tell' } : undefined,
    }
  },
  estimate: (_run, state) => ({
    kind: 'iterate',
    points: [{ point: { kind: 'view', name: 'x' } }],
    step: state.step,
    metrics: { step: state.step },
  }),
  view: (_run, state) => state.x,
})

/** Asks for the value at a large literal point. */
export const bulky = defineMethod<Record<string, never>, { asked: number }>({
  ...about,
  id: 'bulky',
  family: 'zeroth',
  title: 'Bulky',
  summary: 'Large points.',
  facts: slope.facts,
  config: z.object({}) as never,
  needs: () => ['value'],
  init: () => ({ asked: 0 }),
  step(_run, state, events) {
    const count = events.reduce((n, event) => n + (event.type === 'capacity' ? event.count : 0), 0)
    const queries = Array.from({ length: count }, (): Query => {
      const w = new Float32Array(50_000).fill(++state.asked)
      return { id: `b${state.asked}`, points: [{ kind: 'tensors', tensors: { w } }], wants: [{ kind: 'value' }] }
    })
    return { state, queries, status: { phase: 'running' } }
  },
  estimate: (_run, state) => ({ kind: 'iterate', points: [], step: state.asked }),
})

/** Alternates between a completion and the score of what came back. */
export const chat = defineMethod<Record<string, never>, { asked: number; told: string[] }>({
  ...about,
  id: 'chat',
  family: 'prompt',
  title: 'Chat',
  summary: 'A completion, then a score of it.',
  config: z.object({}) as never,
  facts: {
    spaces: ['text'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'reject',
    invariances: [],
  },
  needs: () => ['completion', 'score'],
  init: () => ({ asked: 0, told: [] }),
  step(_run, state, events) {
    const queries: Query[] = []
    for (const event of events) {
      if (event.type === 'observation') {
        const text = event.observation.completions?.[0]
        if (text === undefined) continue
        state.told.push(text)
        queries.push({
          id: `s${state.asked++}`,
          points: [{ kind: 'text', text: { prompt: text } }],
          wants: [{ kind: 'score', examples: [0, 1] }],
        })
      } else if (event.type === 'capacity' && state.told.length === 0 && state.asked === 0)
        queries.push({
          id: `c${state.asked++}`,
          points: [],
          wants: [{ kind: 'completion', purpose: 'propose', messages: [], count: 2, temperature: 1 }],
        })
    }
    return { state, queries, status: { phase: 'running' } }
  },
  estimate: (_run, state) => ({ kind: 'prompt', points: [], step: state.told.length }),
})

/** Prunes what is above a limit. */
export const ceiling = definePruner<{ limit: number }, { seen: number; finished: string[] }>({
  id: 'ceiling',
  version: 1,
  title: 'Ceiling',
  summary: 'Prunes above a limit.',
  references: [],
  facts: { judgedBy: 'limits' },
  config: z.object({ limit: field(z.number().default(1), 'The limit.') }),
  check: ({ limit }) => (limit < 0 ? [{ field: 'limit', message: 'expected 0 or more' }] : []),
  init: () => ({ seen: 0, finished: [] }),
  step({ config }, state, event) {
    if (event.type === 'finished') {
      state.finished.push(`${event.trial} ${event.status} ${event.value}`)
      return { state, decision: { prune: false, reason: '' } }
    }
    state.seen++
    const prune = event.value > config.limit
    return { state, decision: { prune, reason: prune ? `above ${config.limit}` : `below ${config.limit}` } }
  },
})

/** A memory store whose next writes fail, and whose bytes tests can damage. */
export class BreakableStore extends MemoryStore {
  failing?: AsktellError
  /** Writes wait for it. */
  gate?: Promise<void>
  writes = 0
  override async write(writes: readonly Write[]) {
    this.writes++
    await this.gate
    if (this.failing) throw this.failing
    return super.write(writes)
  }
  override async probe() {
    if (this.failing) throw this.failing
  }
  /** Survives the manager that used it. */
  override async close() {}
}

export const search: Problem = {
  space: {
    kind: 'search',
    parameters: [
      { name: 'x', type: 'float', low: -1, high: 1 },
      { name: 'y', type: 'float', low: 0, high: 10 },
    ],
  },
  objectives: [{ name: 'loss', direction: 'minimize' }],
}
export const tensors: Problem = {
  space: {
    kind: 'tensors',
    tensors: [
      { name: 'w', shape: [4, 5], dtype: 'f32' },
      { name: 'b', shape: [], dtype: 'f64' },
    ],
  },
  objectives: [],
}
export const text: Problem = {
  space: { kind: 'text', components: [{ name: 'prompt', initial: 'go' }] },
  objectives: [],
}

export class Clock {
  now = 1_000_000
  read = () => this.now
}

export const open = (options: Partial<SessionsOptions> & { clock?: () => number } = {}) =>
  openManager({
    store: { kind: 'memory' },
    methods: [dice, slope, bulky, chat],
    pruners: [ceiling],
    threads: 0,
    ...options,
  })

/** The reason of the error that a promise rejects with, and its first issue. */
export async function refusal(promise: Promise<unknown>): Promise<{ reason: string; path?: string; message: string }> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AsktellError)
      return { reason: error.reason, path: error.issues[0]?.path, message: error.issues[0]?.message ?? error.message }
    throw error
  }
  throw new Error('expected a refusal')
}

/** What the objective says at a query's point. */
export function loss(query: Query): number {
  const [point] = query.points
  if (point.kind !== 'params') throw new TypeError('expected params')
  return Object.values(point.params).reduce<number>((sum, x) => sum + (x as number) ** 2, 0)
}
export const ok = (query: Query, value = loss(query)) => ({
  queryId: query.id,
  status: 'ok' as const,
  values: [[value]],
})
