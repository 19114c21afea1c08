import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adagradNorm } from '../../../src/optimizers/presets/adagrad-norm.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const bowl = (x: ArrayLike<number>) => [x[0], 0.1 * x[1]]

test('[adagrad-norm] with gamma 0 the first step is eta long, and the scale of the objective does not matter', () => {
  for (const g of [1e-3, 1e3])
    expect(new Session(adagradNorm, vectors([0]), { config: { gamma: 0 } }).tell([g]).x[0]).toBeCloseTo(-1, 12)
  const path = (scale: number) => {
    const session = new Session(adagradNorm, vectors([1, -2]), { config: { gamma: 0 } })
    return Array.from(
      { length: 100 },
      () =>
        session.steps(
          1,
          of((x) => bowl(x).map((g) => scale * g)),
        ).x,
    )
  }
  const plain = path(1).flat()
  for (const [i, x] of path(1e4).flat().entries()) expect(Math.abs(x - plain[i])).toBeLessThan(1e-9)
})

test('[adagrad-norm] noise that grows with the gradient: squared gradient norms fall like 1/T, SGD overflows', () => {
  const run = (seed: number) => {
    const z = new Rng(rngStream(seed, 'noise'))
    const session = new Session(adagradNorm, vectors([1, 1]), { config: { reportNorm: false }, engine: 'wasm' })
    let sum = 0
    const means: number[] = []
    for (let t = 1; t <= 16000; t++) {
      const g = bowl(session.state.x.x)
      sum += g[0] ** 2 + g[1] ** 2
      const noise = 1 + 3 * z.normal()
      session.tell(g.map((gi) => noise * gi))
      if (t === 1000 || t === 16000) means.push(sum / t)
    }
    return means
  }
  const runs = Array.from({ length: 10 }, (_, seed) => run(seed))
  const mean = (k: number) => runs.reduce((sum, means) => sum + means[k] / runs.length, 0)
  expect(mean(0) / mean(1)).toBeGreaterThanOrEqual(6)
  expect(Math.max(...runs.map((means) => means[1]))).toBeLessThan(0.05)
  // SGD with step 1/L = 1 multiplies x_1 by 3|z| in every step.
  const z = new Rng(rngStream(1, 'noise'))
  let x = [1, 1]
  for (let t = 0; t < 16000; t++) {
    const noise = 1 + 3 * z.normal()
    const g = bowl(x)
    x = x.map((xi, i) => xi - noise * g[i])
  }
  expect(x.every(Number.isFinite)).toBe(false)
})

test('[adagrad-norm] one step size for all elements; options', () => {
  const first = new Session(adagradNorm, vectors([0, 0]), { config: { gamma: 0 } }).tell([3, 4]).x
  expect(first[0]).toBeCloseTo(-0.6, 12)
  expect(first[1]).toBeCloseTo(-0.8, 12)

  const lagged = new Session(adagradNorm, vectors([0]), { config: { gamma: 2, lagged: true } }).tell([3])
  expect(lagged.x[0]).toBe(-1.5)
  expect(lagged.tell([1]).x[0]).toBeCloseTo(-1.5 - 1 / Math.sqrt(13), 12)
  expect(() => new Session(adagradNorm, vectors([0]), { config: { gamma: 0, lagged: true } })).toThrow('config.gamma')

  const mean = new Session(adagradNorm, vectors([4]), { config: { gamma: 0, averaging: { id: 'ergodic' } } })
  mean.tell([1]).tell([1])
  // The mean of the points where gradients were asked: 4 and 3.
  expect(mean.answer.x[0]).toBe(3.5)
  expect(mean.metrics.eta).toBeCloseTo(1 / Math.sqrt(2), 12)
})
