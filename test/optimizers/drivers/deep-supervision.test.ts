import { beforeAll, describe, expect, test } from 'vitest'
import { type Block, Workspace } from '../../../src/blackbox/linalg/linalg.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as dsn } from '../../../src/optimizers/presets/dsn.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { CLASSES, loadDigits, PIXELS, range, take } from '../../golden/digits.js'
import { softmax } from '../network.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const LOSSES = [2, 0.1]
const GRADIENTS: { [purpose: string]: number[] } = {
  'companion.1': [0.7, -1.3],
  'companion.2': [5, 7],
  step: [0.1, 0.9],
}
/** One session of SGD of rate 1 on constant losses; `update` tells a step's, `asked` what it asked. */
function constant(config: object, steps: number, method = sgd) {
  let asked: string[] = []
  let level = 0
  const session = new Session(method, vectors([0, 0]), {
    config: { learningRate: 1, driver: { id: 'deep-supervision', levels: 2, ...config } },
    value: () => LOSSES[level],
  })
  let before = session.x
  for (let t = 0; t < steps; t++) {
    before = session.x
    asked = []
    session.steps(1, (_, { purpose }) => {
      level = Number(purpose!.slice(-1)) - 1
      asked.push(purpose!)
      return { x: GRADIENTS[purpose!] }
    })
  }
  return { asked, session, update: session.x.map((x, i) => before[i] - x) }
}

test('[dsn] open and closed gates: g_out + 0.15*g_1 at half time, and g_out at the end', () => {
  const config = { gate: 0.5, weight: 0.3, steps: 10 }
  const half = constant(config, 6)
  expect(half.asked).toEqual(['companion.1', 'companion.2', 'step'])
  expect(half.session.metrics).toMatchObject({ 'weight.1': 0.15, 'weight.2': 0, 'loss.1': 2, 'loss.2': 0.1 })
  // Exactly: the sum that the rule gets.
  expect(Array.from(half.session.view('sum').x)).toEqual([0.1 + 0.15 * 0.7, 0.9 + 0.15 * -1.3])
  half.update.forEach((value, i) => {
    expect(value).toBeCloseTo([0.205, 0.705][i], 12)
  })
  const end = constant(config, 11)
  expect(end.asked).toEqual(['step'])
  expect(end.session.metrics).toMatchObject({ 'weight.1': 0, 'weight.2': 0 })
  end.update.forEach((value, i) => {
    expect(value).toBeCloseTo(GRADIENTS.step[i], 12)
  })
})

/** By themselves, for the compiler. */
function sigmoid(x: Float64Array, count: number) {
  for (let i = 0; i < count; i++) x[i] = 1 / (1 + Math.exp(-x[i]))
}
function timesSlope(x: Float64Array, h: Float64Array, count: number) {
  for (let i = 0; i < count; i++) x[i] *= h[i] * (1 - h[i])
}

/** Sigmoid layers W, b of 32 units, and a linear classifier H, c on each; weights start at random, 0.1 the deviation. */
class Levels {
  readonly specs: { name: string; shape: number[]; dtype: 'f64' }[]
  private readonly workspace = new Workspace()
  private readonly blocks = new Map<string, Block>()
  private readonly h: Block[]
  private readonly back: Block[]
  private readonly scores: Block
  private loaded = ''

  constructor(
    readonly depth: number,
    readonly most: number,
  ) {
    const alloc = (n: number) => this.workspace.alloc(n)
    this.specs = range(0, depth).flatMap((k) => [
      { name: `W${k}`, shape: [k === 0 ? PIXELS : WIDTH, WIDTH], dtype: 'f64' as const },
      { name: `b${k}`, shape: [WIDTH], dtype: 'f64' as const },
      { name: `H${k}`, shape: [WIDTH, CLASSES], dtype: 'f64' as const },
      { name: `c${k}`, shape: [CLASSES], dtype: 'f64' as const },
    ])
    for (const { name, shape } of this.specs)
      for (const prefix of ['', 'g']) this.blocks.set(prefix + name, alloc(shape.reduce((a, b) => a * b)))
    this.h = [PIXELS, ...Array(depth).fill(WIDTH)].map((width) => alloc(most * width))
    this.back = [0, 1].map(() => alloc(most * WIDTH))
    this.scores = alloc(most * CLASSES)
  }

  start(seed: number): TensorsSpace {
    const rng = new Rng(rngStream(seed, 'weights'))
    const initial = Object.fromEntries(
      this.specs.map(({ name, shape }) => [
        name,
        Float64Array.from({ length: shape.reduce((a, b) => a * b) }, () => (shape.length > 1 ? 0.1 * rng.normal() : 0)),
      ]),
    )
    return { kind: 'tensors', tensors: this.specs, initial }
  }

  /** c = a*b + bias row by row; a is n x k, b is k x m. */
  private affine(n: number, k: number, m: number, a: Block, b: Block, bias: Block, c: Block) {
    const [rows, row] = [c.view, bias.view]
    for (let i = 0; i < n; i++) rows.set(row, i * m)
    this.workspace.kernels.gemm(false, n, m, k, 1, a.pointer, k * 8, 8, b.pointer, m * 8, 8, c.pointer, m * 8, 8)
  }

  /** Features of all levels at these weights; the same key stands for the same weights and inputs. */
  private features(x: Tensors, inputs: Float64Array, key: string) {
    if (key === this.loaded) return
    this.loaded = key
    const n = inputs.length / PIXELS
    for (const { name } of this.specs) this.blocks.get(name)!.view.set(x[name])
    this.h[0].view.set(inputs)
    for (let k = 0; k < this.depth; k++) {
      const width = k === 0 ? PIXELS : WIDTH
      this.affine(n, width, WIDTH, this.h[k], this.blocks.get(`W${k}`)!, this.blocks.get(`b${k}`)!, this.h[k + 1])
      const out = this.h[k + 1].view
      sigmoid(out, n * WIDTH)
    }
  }

  /** The classifier's scores at a level, from 1. */
  outputs(x: Tensors, inputs: Float64Array, level: number, key: string): Float64Array {
    this.features(x, inputs, key)
    const n = inputs.length / PIXELS
    const [H, c] = [`H${level - 1}`, `c${level - 1}`].map((name) => this.blocks.get(name)!)
    this.affine(n, WIDTH, CLASSES, this.h[level], H, c, this.scores)
    return this.scores.view.subarray(0, n * CLASSES)
  }

  /** The mean cross-entropy at a level and its gradient. */
  told(x: Tensors, { pixels, labels }: ReturnType<typeof loadDigits>, level: number, key: string) {
    const n = labels.length
    const p = softmax(this.outputs(x, pixels, level, key), CLASSES)
    let loss = 0
    labels.forEach((label, i) => {
      loss -= Math.log(p[i * CLASSES + label]) / n
      p[i * CLASSES + label] -= 1
    })
    this.scores.view.set(p.map((value) => value / n))
    const gradient: { [name: string]: Float64Array } = {}
    const { gemm } = this.workspace.kernels
    const outer = (k: number, m: number, a: Block, d: Block, w: string, bias: string) => {
      const [g, gb, rows] = [this.blocks.get(`g${w}`)!, this.blocks.get(`g${bias}`)!.view.fill(0), d.view]
      g.view.fill(0)
      gemm(false, k, m, n, 1, a.pointer, 8, k * 8, d.pointer, m * 8, 8, g.pointer, m * 8, 8)
      for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) gb[j] += rows[i * m + j]
      gradient[w] = g.view
      gradient[bias] = gb
    }
    outer(WIDTH, CLASSES, this.h[level], this.scores, `H${level - 1}`, `c${level - 1}`)
    let [d, m, w]: [Block, number, Block] = [this.scores, CLASSES, this.blocks.get(`H${level - 1}`)!]
    for (let k = level - 1; k >= 0; k--) {
      const into = this.back[k % 2]
      into.view.fill(0)
      gemm(false, n, WIDTH, m, 1, d.pointer, m * 8, 8, w.pointer, 8, m * 8, into.pointer, WIDTH * 8, 8)
      timesSlope(into.view, this.h[k + 1].view, n * WIDTH)
      outer(k === 0 ? PIXELS : WIDTH, WIDTH, this.h[k], into, `W${k}`, `b${k}`)
      ;[d, m, w] = [into, WIDTH, this.blocks.get(`W${k}`)!]
    }
    return { loss, gradient }
  }
}

const WIDTH = 32
const BATCH = 100
const STEPS = 1500
const digits = loadDigits()
const order = new Rng(rngStream(0, 'split')).shuffle(range(0, digits.labels.length))
const [train, held] = [take(digits, order.slice(0, 1347)), take(digits, order.slice(1347))]

/** Trains on digits; the test accuracy, and the length of the first gradient that the rule gets of the first layer. */
function workload(depth: number, seed: number, weight: number) {
  const network = new Levels(depth, train.labels.length)
  let batch = train
  let drawn = ''
  let last = { loss: 0, gradient: {} as { [name: string]: Float64Array } }
  const gradient = (x: Tensors, { sampleKey, purpose }: Query) => {
    if (sampleKey !== drawn) {
      const rng = new Rng(rngStream(seed, sampleKey!))
      batch = take(
        train,
        Array.from({ length: BATCH }, () => rng.integer(train.labels.length)),
      )
      drawn = sampleKey!
    }
    const level = purpose === 'step' ? depth : Number(purpose!.split('.')[1])
    last = network.told(x, batch, level, sampleKey!)
    return last.gradient
  }
  const session = new Session(dsn, network.start(seed), {
    engine: 'wasm',
    config: { driver: { id: 'deep-supervision', levels: depth - 1, weight, steps: STEPS } },
    value: () => last.loss,
  })
  const first = session.state.x.W0.slice()
  session.steps(1, gradient)
  const norm = Math.hypot(...first.map((value, i) => (value - session.state.x.W0[i]) / 0.1))
  session.steps(STEPS - 1, gradient)
  const scores = network.outputs(session.answer, held.pixels, depth, 'test')
  let right = 0
  held.labels.forEach((label, i) => {
    const row = scores.subarray(i * CLASSES, (i + 1) * CLASSES)
    if (row[label] === Math.max(...row)) right++
  })
  return { norm, accuracy: right / held.labels.length }
}

describe.each([
  [4, 0],
  [4, 1],
  [4, 2],
  [5, 0],
  [5, 1],
  [5, 2],
])('[dsn] digits, %i layers of sigmoids, seed %i', (depth, seed) => {
  test('plain training does not start, supervised levels learn; gradients of the first layer are 50 times as large', () => {
    const [plain, supervised] = [0, 0.3].map((weight) => workload(depth, seed, weight))
    expect(plain.accuracy).toBeLessThanOrEqual(0.2)
    expect(supervised.accuracy).toBeGreaterThanOrEqual(0.92)
    expect(supervised.norm).toBeGreaterThanOrEqual(50 * plain.norm)
  })
})

test('the decay by epochs, for another rule; what cannot be is located', () => {
  const weight = (steps: number) =>
    constant({ steps: 40, decay: 'epoch', epoch: 10, weight: 0.5 }, steps, adam as unknown as typeof sgd).session
      .metrics['weight.1']
  expect(weight(10)).toBe(0.5)
  expect(weight(11)).toBeCloseTo(0.5 * 0.1 * 0.75, 15)
  expect(weight(21)).toBeCloseTo(0.5 * 0.1 * 0.75 * 0.1 * 0.5, 15)
  expect(weight(41)).toBe(0)
  const maximize = () =>
    new Session(dsn, vectors([0]), { direction: 'maximize', config: { driver: { id: 'deep-supervision' } } })
  expect(maximize).toThrow('config.driver.id: adds losses of hidden levels')
})
