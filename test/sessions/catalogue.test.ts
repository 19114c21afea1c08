/** Every method of the catalogue through the session layer: a restart at any step changes nothing. */
import { expect, it } from 'vitest'
import { methods as blackbox } from '../../src/blackbox/catalogue.gen.js'
import { allFinite } from '../../src/core/finite.js'
import { type AnyMethod, checkSuitable } from '../../src/core/method.js'
import type { Observation, Point, Quantity, Query } from '../../src/core/query.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Problem } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import { methods as gradient } from '../../src/optimizers/catalogue.gen.js'
import type { Sessions } from '../../src/sessions/api.js'
import { openManager } from '../../src/sessions/index.js'
import { problem } from '../problems/index.js'
import { BreakableStore, Clock } from './fakes.js'

const objectives = [{ name: 'loss', direction: 'minimize' as const }]
const spaces: { [kind: string]: Problem } = {
  tensors: {
    space: {
      kind: 'tensors',
      tensors: [
        { name: 'w', shape: [6, 4], dtype: 'f32' },
        { name: 'b', shape: [4], dtype: 'f32' },
      ],
      initial: { w: Float32Array.from({ length: 24 }, (_, i) => Math.cos(i)), b: new Float32Array(4).fill(1) },
    },
    objectives,
  },
  search: {
    space: {
      kind: 'search',
      parameters: [
        { name: 'x', type: 'float', low: -2, high: 2 },
        { name: 'y', type: 'float', low: -2, high: 2 },
      ],
    },
    objectives,
  },
  text: {
    space: { kind: 'text', components: [{ name: 'instruction', initial: 'x = x - lr * g' }] },
    objectives: [{ name: 'accuracy', direction: 'maximize' }],
    task: {
      description: 'Add two numbers.',
      examples: Array.from({ length: 12 }, (_, i) => ({ input: `${i} + 1`, expected: `${i + 1}` })),
    },
  },
  items: {
    space: { kind: 'items', items: Array.from({ length: 6 }, (_, i) => ({ id: `i${i}`, features: [i, i * i] })) },
    objectives,
  },
}

/** A number that depends on all of a point. */
function height(point: Point, tensors: Tensors | undefined): number {
  if (point.kind === 'params') return Object.values(point.params).reduce<number>((sum, x) => sum + Number(x) ** 2, 0)
  if (point.kind === 'text') return (Object.values(point.text).join('').length % 10) / 10
  if (point.kind === 'item') return Number(point.item.slice(1))
  let sum = 0
  for (const array of Object.values(tensors ?? {})) for (const x of array) sum += x * x
  return sum
}

const product = (a: Tensors | undefined, b: Tensors | undefined): number =>
  Object.entries(a ?? {}).reduce((sum, [name, x]) => Array.from(x).reduce((s, v, i) => s + v * b![name][i], sum), 0)

/** An array of the shape wanted, with 3 for the free length; a square matrix is symmetric and positive definite. */
function arrayOf({ shape }: Quantity, seed: number): Float64Array {
  const lengths = shape.map((length) => (length < 0 ? 3 : length))
  const size = lengths.reduce((product, length) => product * length, 1)
  const [rows, columns] = lengths.slice(-2)
  const wave = (i: number) => Math.sin(seed + i)
  if (rows === undefined || rows !== columns) return Float64Array.from({ length: size }, (_, i) => wave(i))
  return Float64Array.from({ length: size }, (_, at) => {
    const [i, j] = [Math.floor((at % (rows * rows)) / rows), at % rows]
    return (wave(i) * wave(j)) / 9 + (i === j ? 2 : 0)
  })
}

async function answer(
  sessions: Sessions,
  id: string,
  query: Query,
  n: number,
  { space, objectives }: Problem,
): Promise<Observation> {
  if (n % 11 === 7) return { queryId: query.id, status: 'failed' }
  const tensors: (Tensors | undefined)[] = []
  for (const point of query.points)
    tensors.push(
      point.kind === 'view'
        ? await sessions.view(id, point.name, (tensors) => structuredClone(tensors))
        : point.kind === 'tensors'
          ? point.tensors
          : undefined,
    )
  const heights = query.points.map((point, i) => height(point, tensors[i]))
  const observation: { -readonly [K in keyof Observation]: Observation[K] } = { queryId: query.id, status: 'ok' }
  for (const want of query.wants) {
    if (want.kind === 'value')
      observation.values = heights.map((h) => objectives.map((_, k) => (k === 0 ? h : 1 / (1 + h) + k)))
    else if (want.kind === 'gradient')
      observation.gradients = tensors.map((set) =>
        Object.fromEntries(
          Object.entries(set ?? {}).map(([name, x]) => [
            name,
            Float32Array.from(x, (v, i) => 2 * v + Math.sin(n + i) / 9),
          ]),
        ),
      )
    else if (want.kind === 'ranking')
      observation.ranking = heights
        .map((h, i) => [h, i] as const)
        .sort((a, b) => a[0] - b[0])
        .map(([, i]) => [i])
    else if (want.kind === 'completion')
      observation.completions = Array.from({ length: want.count }, (_, i) => `<INS>Think of ${n} and ${i}.</INS>`)
    else if (want.kind === 'directional')
      observation.derivatives = tensors.slice(1).map((direction) => 2 * product(tensors[0], direction))
    else if (want.kind === 'terms')
      observation.terms = heights.map((h) => ({ losses: [h, Math.sin(h)], contributors: [[0], [0, 1]] }))
    else if (want.kind === 'hvp')
      observation.products = tensors
        .slice(1)
        .map((set) => Object.fromEntries(Object.entries(set ?? {}).map(([name, x]) => [name, x.map((v) => 2 * v)])))
    else if (want.kind === 'quantities')
      // Text in another space is a note to the client, of which nothing is told.
      observation.quantities = query.points
        .filter(({ kind }) => kind !== 'text' || space.kind === 'text')
        .map((_, i) => Object.fromEntries(want.quantities.map((quantity) => [quantity.name, arrayOf(quantity, n + i)])))
    else
      observation.scores = heights.map((h, i) => {
        const count = want.examples?.length ?? 12
        const examples = Array.from({ length: count }, (_, k) => ((k + i + n) % 3 === 0 ? 1 : 0))
        return { score: h, examples, outputs: examples.map((e) => `${e}`) }
      })
  }
  // A step size for another problem may diverge on this one.
  if (observation.gradients?.some((set) => !Object.values(set).every(allFinite)))
    return { queryId: query.id, status: 'failed' }
  return observation
}

type Case = { problem: Problem; config?: Record<string, unknown> }

async function run(method: AnyMethod, { problem, config }: Case, steps: number, restarts: ReadonlySet<number>) {
  const store = new BreakableStore()
  const clock = new Clock()
  const start = () =>
    openManager({ store, clock: clock.read, threads: 0, limits: { snapshotRecords: 5, snapshotBytes: 1 } })
  let sessions = await start()
  await sessions.create({ method: method.id, config, problem, seed: 5 }, { id: 'a' })
  const asked: unknown[] = []
  let queries: readonly Query[] = []
  for (let n = 0; n < steps; n++) {
    if (restarts.has(n)) sessions = await start()
    const observations: Observation[] = []
    for (const query of queries) observations.push(await answer(sessions, 'a', query, n, problem))
    queries = (await sessions.step('a', { observations, count: 2 })).queries
    asked.push(queries.map(({ id, points, wants, trial }) => ({ id, points, wants, trial })))
  }
  const { stateHash, revision, state } = await sessions.get('a')
  const estimate = await sessions.estimate('a')
  const open = queries.length
  await sessions.close()
  return { stateHash, revision, state, estimate, asked, open }
}

/** The problem of this kind, or where a method needs more than that, one of its own recipes. */
function suited(method: AnyMethod, kind: string): Case {
  const [first] = method.recipes
  const own = method.recipes.find((recipe) => problem(recipe.problem).problem.space.kind === kind)
  const refused = (problem: Problem, config: unknown) =>
    checkSuitable(method, problem).length > 0 ||
    (method.check?.(parseConfig(method.config, config), problem) ?? []).length > 0
  if (!refused(spaces[kind], first?.config)) return { problem: spaces[kind], config: first?.config }
  if (own) return { problem: problem(own.problem).problem, config: own.config }
  return { problem: { ...spaces[kind], objectives: [...objectives, { name: 'cost', direction: 'minimize' }] } }
}

for (const method of [...gradient, ...blackbox])
  for (const kind of method.facts.spaces) {
    it(`${method.id} on a ${kind} space goes on after restarts as without`, async () => {
      const steps = method.facts.heavy ? 14 : 26
      const straight = await run(method, suited(method, kind), steps, new Set())
      expect(straight.asked.flat().length).toBeGreaterThan(straight.state === 'done' ? 0 : 3)
      const again = await run(method, suited(method, kind), steps, new Set([1, 2, 3, 5, 8, 13, 21]))
      expect(again).toEqual(straight)
    })
  }
