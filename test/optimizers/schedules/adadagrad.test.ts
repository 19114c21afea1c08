import { expect, test } from 'vitest'
import { BATCH_TESTS, type BatchTest, nextBatch } from '../../../src/optimizers/diagnostics/batch-size.js'
import { method as adadagrad } from '../../../src/optimizers/presets/adadagrad.js'
import { method as adadagradNorm } from '../../../src/optimizers/presets/adadagrad-norm.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { Session, vectors } from '../session.js'

const gradients = [
  [1, 0],
  [3, 0],
  [2, 1],
  [2, -1],
]
const next = (more: Partial<BatchTest>, told: readonly (readonly number[])[] = gradients, batch = told.length) =>
  nextBatch(told, batch, { test: 'norm', eta: 0.1, theta: 0.1, nu: 0.3, maximum: 1000, ...more })

test('[adadagrad] every test on four gradients', () => {
  expect(next({})).toBe(34)
  expect(next({ eta: 0.5 })).toBe(4)
  expect(next({ test: 'inner-product' })).toBe(17)
  expect(next({ test: 'augmented' })).toBe(17)
  // The orthogonal part, 1.85, alone: along the gradient anything goes.
  expect(next({ test: 'augmented', theta: 10, nu: 0.3 / Math.sqrt(10) })).toBe(Math.ceil(10 * (2 / 3 / 0.36)))
  expect(2 / 3 / 0.36).toBeCloseTo(1.85, 2)
  expect(next({ test: 'coordinate-norm', eta: 0.5 })).toBe(4)
  expect(next({ test: 'coordinate-norm' })).toBe(17)
  expect(next({ maximum: 20 })).toBe(20)
})

test('[adadagrad] equal gradients never change the batch size; noise around nothing takes the largest', () => {
  for (const test of BATCH_TESTS) {
    for (const g of [
      [0.1, -0.3, 7e-9],
      [0, 0, 0],
    ])
      for (const count of [2, 3, 7]) expect(next({ test }, Array(count).fill(g))).toBe(count)
    const driver = { id: 'batch-size', batch: 12, workers: 3, test }
    const session = new Session(adadagrad, vectors([1, -2]), { config: { driver } })
    session.steps(20, ({ x }) => ({ x: Array.from(x, (xi) => 0.1 * xi) }))
    expect(session.metrics.batchSize).toBe(12)
  }
  expect(next({}, [[1], [-1]])).toBe(1000)
})

test('[adadagrad] parts of a batch stand for their examples', () => {
  // Parts of 25 examples have a 25th of the variance: the same batch is needed as by the examples.
  expect(next({}, gradients, 100)).toBe(Math.ceil(25 * (4 / 3 / 0.04)))
})

test('[adadagrad] sessions: AdaGrad on the mean of the parts, and the size of the batch that is asked', () => {
  const driver = { id: 'batch-size', batch: 4, workers: 4, maximum: 40, every: 2 }
  for (const [method, step] of [
    [adadagrad, (g: number, S: number) => (0.01 * g) / (Math.sqrt(S) + 1e-10)],
    [adadagradNorm, (g: number, S: number) => g / Math.sqrt(S + 1e-16)],
  ] as const) {
    const session = new Session(method as typeof adadagrad, vectors([0, 0]), { config: { driver } })
    expect(session.metrics.batchSize).toBe(4)
    const sizes: number[] = []
    let [x, S] = [0, 0]
    for (let t = 0; t < 4; t++) {
      if (t === 1) session.restart()
      const keys = gradients.map((g) => {
        const { sampleKey } = session.query
        session.tell(g)
        return sampleKey
      })
      expect(new Set(keys).size).toBe(4)
      S += 4
      x -= step(2, S)
      expect(session.x[0]).toBeCloseTo(x, 12)
      sizes.push(session.metrics.batchSize)
    }
    // The second test is of parts of 34/4 examples each.
    expect(sizes).toEqual([4, 34, 34, 40])
  }
  const any = new Session(adam, vectors([0, 0]), { config: { driver } })
  for (const g of [...gradients, ...gradients]) any.tell(g)
  expect(any.metrics.batchSize).toBe(34)
  const wrong = (more: object) => () => new Session(adam, vectors([0]), { config: { driver: { ...driver, ...more } } })
  expect(wrong({ batch: 3 })).toThrow('config.driver.batch: expected an example for each of 4 workers')
  expect(wrong({ maximum: 3 })).toThrow('config.driver.maximum: expected at least the first batch, 4')
})
