import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as fullBatch } from '../../../src/optimizers/presets/full-batch.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { CLASSES, type Digits, loadDigits, PIXELS, range, take } from '../../golden/digits.js'
import { accuracy, crossEntropy, Network } from '../network.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const H = [
  [3, 1, 0.5],
  [1, 2, -1],
  [0.5, -1, 4],
]
const product = (v: ArrayLike<number>) => H.map((row) => row.reduce((sum, h, j) => sum + h * v[j], 0))
const start = [1, -2, 0.5]

/** The step of a quadratic, over the learning rate: what the rule is given. */
function given(driver: object): number[] {
  const config = { learningRate: 0.2, driver: { id: 'grad-penalty', ...driver } }
  const session = new Session(sgd, vectors(start), { config, product: (_, v) => ({ x: product(v.x) }) })
  session.steps(1, ({ x }) => ({ x: product(x) }))
  return session.x.map((x, i) => (start[i] - x) / 0.2)
}

test('[full-batch-reg] on a quadratic every difference is g + (lr/4)*s*H*g', () => {
  const g = product(start)
  const expected = product(g).map((hg, i) => g[i] + (0.2 / 4) * 0.7 * hg)
  for (const difference of ['forward', 'central', 'hvp'])
    for (const eps of difference === 'hvp' ? [1] : [1e-2, 1, 100])
      given({ blocks: 1, blockStrength: 0.7, difference, eps }).forEach((value, i) => {
        expect(Math.abs(value - expected[i]), difference).toBeLessThan(1e-9)
      })
  for (const blocks of [1, 3])
    given({ blocks, blockStrength: 0 }).forEach((value, i) => void expect(value).toBeCloseTo(g[i], 12))
})

test('[full-batch-reg] blocks count by their sizes; the full gradient is that of the pass before', () => {
  const offsets = [
    [1, 0, 0],
    [0, -2, 0],
    [0.5, 0.5, 3],
  ]
  const sizes = [32, 32, 12]
  const driver = { id: 'grad-penalty', blocks: 3, sizes, blockStrength: 0.5, fullStrength: 0.3 }
  const session = new Session(sgd, vectors(start), { config: { learningRate: 0.1, driver } })
  let x = start
  let past = [0, 0, 0]
  for (let t = 0; t < 3; t++) {
    const full = [0, 0, 0]
    const mean = [0, 0, 0]
    let penalty = 0
    for (const [b, offset] of offsets.entries()) {
      const g = product(x).map((value, i) => value + offset[i])
      const v = g.map((value, i) => 0.5 * value + 0.3 * past[i])
      const bent = product(v).map((hv, i) => g[i] + (0.1 / 4) * hv)
      for (let i = 0; i < 3; i++) {
        full[i] += (sizes[b] / 76) * g[i]
        mean[i] += (sizes[b] / 76) * bent[i]
      }
      penalty += ((0.1 / 8) * 0.5 * g.reduce((sum, gi) => sum + gi * gi, 0)) / 3
    }
    x = x.map((value, i) => value - 0.1 * mean[i])
    past = full
    if (t === 1) session.restart()
    session.steps(1, (at, { sampleKey }) => ({
      x: product(at.x).map((value, i) => value + offsets[Number(sampleKey!.slice(1))][i]),
    }))
    session.x.forEach((value, i) => void expect(value).toBeCloseTo(x[i], 10))
    expect(session.metrics.penalty).toBeCloseTo(penalty, 12)
  }
})

test('[full-batch-reg] where a gradient vanishes nothing is divided by it; sizes are one per block', () => {
  const driver = { id: 'grad-penalty', blocks: 2 }
  const session = new Session(sgd, vectors([1]), { config: { driver } }).steps(2, () => ({ x: [0] }))
  expect(session.x).toEqual([1])
  expect(() => new Session(sgd, vectors([1]), { config: { driver: { ...driver, sizes: [1] } } })).toThrow(
    'config.driver.sizes: expected a size for each of the 2 blocks, got 1',
  )
})

const EXAMPLES = 300
const BLOCK = 32
const blocks = Math.ceil(EXAMPLES / BLOCK)
const sizes = range(0, blocks).map((b) => Math.min(BLOCK, EXAMPLES - b * BLOCK))
const network = new Network([PIXELS, 64, CLASSES], 1500)

/** 300 digits to learn from, the others to be tested on, and a start, by the seed. */
function workload(seed: number) {
  const digits = loadDigits()
  const rng = new Rng(rngStream(seed, 'full-batch'))
  const order = rng.shuffle(range(0, digits.labels.length))
  const initial = Object.fromEntries(
    network.specs.map(({ name, shape: [rows, columns] }) => [
      name,
      columns === undefined
        ? new Float64Array(rows)
        : new Float64Array(rows * columns).map(() => rng.normal() * Math.sqrt(2 / rows)),
    ]),
  )
  const space: TensorsSpace = { kind: 'tensors', tensors: network.specs, initial }
  const learned = take(digits, order.slice(0, EXAMPLES))
  return { space, rng, learned, held: take(digits, order.slice(EXAMPLES)) }
}
type Workload = ReturnType<typeof workload>

const gradient = (x: Record<string, ArrayLike<number>>, { pixels, labels }: Digits) =>
  network.gradient(x, pixels, crossEntropy(labels, CLASSES))
const tested = (session: Session, { held }: Workload) =>
  accuracy(network.forward(session.state.x, held.pixels), held.labels)

const baseline = { learningRate: 0.1, momentum: 0.9, reportNorm: false }
const EPOCHS = 100

/** The recipe, and what the estimate is like at its end. */
function recipe(seed: number, blockStrength: number) {
  const task = workload(seed)
  const parts = range(0, blocks).map((b) => take(task.learned, range(b * BLOCK, b * BLOCK + sizes[b])))
  const session = new Session(fullBatch, task.space, {
    engine: 'wasm',
    config: {
      learningRate: 0.4,
      schedule: { id: 'cosine', steps: 600, warmupSteps: 40 },
      driver: { id: 'grad-penalty', blocks, sizes, blockStrength },
    },
  })
  session.steps(600, (x, { sampleKey }) => gradient(x, parts[Number(sampleKey!.slice(1))]))
  return { accuracy: tested(session, task), blockNorm: session.metrics.blockNorm, x: session.state.x }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value / values.length, 0)

test('[full-batch-reg] digits: full batches fall behind SGD, the recipe does not', () => {
  const seeds = [1, 2, 3, 4]
  const stochastic = seeds.map((seed) => {
    const task = workload(seed)
    let order: number[] = []
    return tested(
      new Session(sgd, task.space, { engine: 'wasm', config: baseline }).steps(EPOCHS * blocks, (x) => {
        if (order.length === 0) order = task.rng.shuffle(range(0, EXAMPLES))
        return gradient(x, take(task.learned, order.splice(0, BLOCK)))
      }),
      task,
    )
  })
  const full = seeds.map((seed) => {
    const task = workload(seed)
    const session = new Session(sgd, task.space, { engine: 'wasm', config: baseline })
    return tested(
      session.steps(EPOCHS, (x) => gradient(x, task.learned)),
      task,
    )
  })
  const strong = seeds.map((seed) => recipe(seed, 0.5))
  expect(mean(full)).toBeLessThanOrEqual(mean(stochastic) - 0.01)
  expect(mean(strong.map((run) => run.accuracy))).toBeGreaterThanOrEqual(mean(stochastic) - 0.003)
  expect(recipe(1, 0.5).x).toEqual(strong[0].x)
  const weak = seeds.slice(0, 3).map((seed) => recipe(seed, 0).blockNorm)
  weak.forEach((norm, i) => void expect(strong[i].blockNorm).toBeLessThan(norm))
})
