import { beforeAll, expect, test } from 'vitest'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method } from '../../../src/optimizers/presets/confidence-ranking.js'
import { type ConfidenceOptions, confidenceLoss } from '../../../src/optimizers/ranking/confidence.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))
const options: ConfidenceOptions = { metric: 'accuracy', surrogate: 'logistic', lambda: 1 }
const loss = (
  u: readonly number[],
  y: readonly number[],
  o: readonly number[],
  more: Partial<ConfidenceOptions> = {},
) => confidenceLoss(Float64Array.from(u), Float64Array.from(y), Float64Array.from(o), { ...options, ...more })
const total = (...args: Parameters<typeof loss>) => {
  const { crossEntropy, ranking } = loss(...args)
  return crossEntropy + (args[3]?.lambda ?? 1) * ranking
}
const weightsOf = ({ points }: Query): number[] => {
  const note = points.at(-1)
  if (note?.kind !== 'text') throw new Error('expected a note')
  return JSON.parse(note.text.weights)
}
const noGradient = () => {
  throw new Error('only quantities are asked')
}

/** Clicks on rows of 8 fields of 30 values each: the active ones of 240 weights, and the last, the bias. */
type Rows = { active: number[][]; labels: number[] }
const FIELDS = 8
const VALUES = 30
const truth = (rng: Rng) => [...Array.from({ length: FIELDS * VALUES }, () => 0.7 * rng.normal()), -1.5]
function draw(rng: Rng, w: readonly number[], count: number): Rows {
  const active = Array.from({ length: count }, () => [
    ...Array.from({ length: FIELDS }, (_, f) => f * VALUES + rng.integer(VALUES)),
    FIELDS * VALUES,
  ])
  return { active, labels: active.map((row) => Number(rng.uniform() < sigmoid(logit(w, row)))) }
}
const logit = (w: ArrayLike<number>, row: readonly number[]) => row.reduce((sum, at) => sum + w[at], 0)
const logits = (w: ArrayLike<number>, { active }: Rows) => active.map((row) => logit(w, row))
function back(weights: readonly number[], { active }: Rows): number[] {
  const g = new Array<number>(FIELDS * VALUES + 1).fill(0)
  active.forEach((row, i) => {
    for (const at of row) g[at] += weights[i]
  })
  return g
}
/** The probability that a positive example has the larger logit of a pair. */
function auc(u: readonly number[], labels: readonly number[]): number {
  const order = [...u.keys()].sort((a, b) => u[a] - u[b])
  let [negatives, below] = [0, 0]
  for (const i of order)
    if (labels[i]) below += negatives
    else negatives++
  return below / (negatives * (labels.length - negatives))
}

const STEPS = 300
const common = { learningRate: 0.05, transforms: [{ id: 'weight-decay', rate: 1e-4, mode: 'coupled' }] }
function train(rows: Rows, old: readonly number[], driver: object, steps = STEPS) {
  const session = new Session(method, vectors(new Array(FIELDS * VALUES + 1).fill(0)), {
    config: { ...common, driver: { id: 'confidence-ranking', ...driver } },
    quantities: ({ x }, query): { [name: string]: ArrayLike<number> } =>
      query.purpose === 'weighted'
        ? { gradient: back(weightsOf(query), rows) }
        : { logits: logits(x, rows), labels: rows.labels, old },
  })
  return session.steps(steps, noGradient)
}
const crossEntropyOnly = (rows: Rows) =>
  new Session(adam, vectors(new Array(FIELDS * VALUES + 1).fill(0)), { config: common }).steps(STEPS, ({ x }) => ({
    x: back(
      logits(x, rows).map((u, i) => (sigmoid(u) - rows.labels[i]) / rows.labels.length),
      rows,
    ),
  }))

test('[confidence-ranking] the loss and its gradient by hand; lambda 0 is training by cross-entropy, bit for bit', () => {
  const { ranking, crossEntropy, gradient } = loss([1], [1], [2])
  expect(Math.abs(ranking - 1.3132617)).toBeLessThan(1e-6)
  expect(Math.abs(gradient[0] - (sigmoid(1) - 1) + 0.7310586)).toBeLessThan(1e-6)
  expect(crossEntropy).toBeCloseTo(Math.log(1 + Math.exp(-1)), 12)

  const rng = new Rng(rngStream(1, 'clicks'))
  const w = truth(rng)
  const old = draw(rng, w, 1500)
  const deployed = crossEntropyOnly(old).x
  const drifted = w.map((value) => value + 0.3 * rng.normal())
  const [window, fresh] = [draw(rng, drifted, 1500), draw(rng, drifted, 8000)]
  const before = logits(deployed, window)
  const plain = train(window, before, { lambda: 0 })
  expect(plain.x).toEqual(crossEntropyOnly(window).x)

  // The ranking loss serves what it is for: more examples on which the new model outranks the old.
  const ranked = train(window, before, {})
  expect(ranked.metrics.outranks).toBeGreaterThan(plain.metrics.outranks)
  const aucOf = (x: readonly number[]) => auc(logits(x, fresh), fresh.labels)
  expect(aucOf(ranked.x)).toBeGreaterThan(aucOf(deployed))
  // Pairs of all examples are many: fewer steps say enough.
  const byPairs = train(window, before, { metric: 'auc' }, 60)
  expect(aucOf(byPairs.x)).toBeGreaterThan(aucOf(deployed))
})

test('[confidence-ranking] auc does not see a constant that is added to all new logits; accuracy does', () => {
  const rng = new Rng(rngStream(2, 'logits'))
  const normals = () => Array.from({ length: 40 }, () => rng.normal())
  const [u, o] = [normals(), normals()]
  const y = u.map((_, i) => Number(i % 3 === 0))
  const moved = u.map((value) => value + 3)
  for (const surrogate of ['logistic', 'hinge', 'exponential'] as const) {
    const change = (metric: ConfidenceOptions['metric']) =>
      Math.abs(loss(moved, y, o, { metric, surrogate }).ranking - loss(u, y, o, { metric, surrogate }).ranking)
    expect(change('auc')).toBeLessThanOrEqual(1e-12)
    expect(change('accuracy')).toBeGreaterThan(0.1)
  }
})

test('confidence-ranking: gradients are those of the loss, for all metrics and surrogates', () => {
  const u = [0.3, -1.2, 0.8, 2, -0.4]
  const y = [1, 0, 0, 1, 0]
  const o = [0.5, 0.2, -0.3, 0.6, -1.7]
  for (const metric of ['accuracy', 'auc'] as const)
    for (const surrogate of ['logistic', 'hinge', 'exponential'] as const) {
      const more = { metric, surrogate, lambda: 0.7 }
      const { gradient } = loss(u, y, o, more)
      u.forEach((_, i) => {
        const at = (h: number) => total(u.with(i, u[i] + h), y, o, more)
        expect(gradient[i]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 7)
      })
    }
  // One class alone has no pairs; far logits stay numbers.
  expect(loss([1, 2], [1, 1], [0, 0], { metric: 'auc' }).ranking).toBe(0)
  expect(loss([-1e4], [1], [0], { surrogate: 'exponential' }).gradient.every(Number.isFinite)).toBe(true)
})

test('confidence-ranking: with windows the session keeps the deployed model, and asks both on one batch', () => {
  const rows: Rows = draw(new Rng(rngStream(3, 'clicks')), truth(new Rng(rngStream(3, 'truth'))), 50)
  const asked: string[] = []
  const session = new Session(adam, vectors(new Array(FIELDS * VALUES + 1).fill(0)), {
    config: { learningRate: 0.05, driver: { id: 'confidence-ranking', window: 3 } },
    quantities({ x }, query): { [name: string]: ArrayLike<number> } {
      asked.push(`${query.purpose} ${query.sampleKey} ${query.points.length}`)
      if (query.purpose === 'weighted') return { gradient: back(weightsOf(query), rows) }
      return { logits: logits(x, rows), labels: rows.labels }
    },
  })
  session.steps(3, noGradient)
  const deployed = session.x
  expect(session.metrics).toMatchObject({ rankingLoss: 0, deployments: 0 })
  session.restart()
  session.steps(2, noGradient)
  expect(new Set(asked.slice(0, 6).map((line) => line.split(' ')[2]))).toEqual(new Set(['1', '2']))
  // Both models are asked once for each of the two points.
  expect(asked.filter((line) => line.startsWith('logits s4.0 2'))).toHaveLength(2)
  expect(Array.from(session.view('deployed').x)).toEqual(deployed)
  expect(session.metrics.deployments).toBe(1)
  expect(session.metrics.outranks).toBeGreaterThan(0.5)
})

test('confidence-ranking: what does not belong together is asked again; a maximized objective is refused', () => {
  const session = new Session(adam, vectors([0]), {
    config: { driver: { id: 'confidence-ranking' } },
    quantities: () => ({ logits: [1, 2], labels: [1], old: [0, 0] }),
  })
  session.reply(noGradient)
  expect(session.query.purpose).toBe('logits')
  expect(session.x).toEqual([0])
  expect(() => new Session(method, vectors([0]), { direction: 'maximize' })).toThrow('config.driver.id')
})
