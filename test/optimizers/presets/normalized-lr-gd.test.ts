import { expect, test } from 'vitest'
import { hardSet, logistic } from '../../../examples/workloads/logistic.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as normalized } from '../../../src/optimizers/presets/normalized-lr-gd.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const start = (method: { id: string }, rows: readonly (readonly number[])[], learningRate: number) =>
  new Session(method as typeof normalized, vectors(rows[0].map(() => 0)), {
    config: { learningRate },
    examples: ({ x }) => logistic(rows, x).losses,
  })
const step = (session: Session, rows: readonly (readonly number[])[]) =>
  session.steps(
    1,
    of((x) => logistic(rows, x).gradient),
  )

test('[normalized-lr-gd] large steps: gradient descent over lr is the batch perceptron', () => {
  const rng = new Rng(rngStream(1, 'data'))
  const w = Array.from({ length: 10 }, () => rng.normal())
  const rows = Array.from({ length: 50 }, () => {
    const a = Array.from({ length: 10 }, () => rng.normal())
    const side = a.reduce((sum, ai, i) => sum + ai * w[i], 0)
    return a.map((ai) => ai * Math.sign(side))
  })
  // The two differ by exp(-lr*|margin|) of the margins on the way: data of this seed have none too near 0 for lr 1000.
  for (const [lr, tolerance] of [
    [1e6, 1e-9],
    [1e3, 1e-8],
  ]) {
    const session = start(sgd, rows, lr)
    const z = new Array<number>(10).fill(0)
    for (let t = 0; t < 30; t++) {
      step(session, rows)
      const h = rows.map((a) => {
        const margin = a.reduce((sum, ai, i) => sum + ai * z[i], 0)
        return margin < 0 ? 1 : margin === 0 ? 0.5 : 0
      })
      for (let i = 0; i < 10; i++) z[i] += rows.reduce((sum, a, k) => sum + (h[k] * a[i]) / rows.length, 0)
      for (let i = 0; i < 10; i++) expect(Math.abs(session.x[i] / lr - z[i])).toBeLessThan(tolerance)
    }
  }
})

test('[normalized-lr-gd] the hard set: steps to classify grow with n for gradient descent, not when normalized', () => {
  const steps = (method: { id: string }, n: number) => {
    const rows = hardSet(n)
    const session = start(method, rows, 1e4)
    let count = 0
    while (!session.done && Math.min(...logistic(rows, session.state.x.x).margins) <= 0) {
      step(session, rows)
      count++
    }
    return count
  }
  expect([10, 100, 1000].map((n) => steps(sgd, n))).toEqual([10, 46, 459])
  expect([10, 100, 1000].map((n) => steps(normalized, n))).toEqual([19, 23, 25])
})

test('[normalized-lr-gd] the first step from 0 is twice that of gradient descent; it stops when all is classified', () => {
  const rows = hardSet(10)
  const mean = [0, 1].map((i) => rows.reduce((sum, a) => sum + a[i] / rows.length, 0))
  const first = (method: { id: string }) => step(start(method, rows, 3), rows).x
  for (const i of [0, 1]) {
    expect(first(normalized)[i]).toBeCloseTo(3 * mean[i], 12)
    expect(first(sgd)[i]).toBeCloseTo((3 * mean[i]) / 2, 12)
  }
  const session = start(normalized, rows, 1e4).steps(
    100,
    of((x) => logistic(rows, x).gradient),
  )
  expect(session.done).toContain('classified')
  expect(session.state.t).toBe(19)
  expect(Math.min(...logistic(rows, session.x).margins)).toBeGreaterThan(0)
})
