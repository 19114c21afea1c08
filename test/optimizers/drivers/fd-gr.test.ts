import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as fdGr } from '../../../src/optimizers/presets/fd-gr.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { type Options, of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const MODES = ['forward', 'backward', 'exact'] as const
const quartic = of((x) => [x[0] ** 3]) // gradient of x^4/4
const product: Options['product'] = ({ x }, p) => ({ x: [3 * x[0] ** 2 * p.x[0]] })
const on = (driver: object, more: object = {}) => ({ learningRate: 0.1, ...more, driver: { id: 'fd-gr', ...driver } })

test('[fd-gr] the exact first step of each mode, and what is asked for it', () => {
  for (const [mode, next, asked, curvature] of [
    ['forward', 0.7345, 1.1, 3.31],
    ['backward', 0.7645, 0.9, 2.71],
    ['exact', 0.75, 1, 3],
  ] as const) {
    const session = new Session(sgd, vectors([1]), { config: on({ mode, gamma: 0.5, eps: 0.1 }), product })
    const first = session.query
    session.tell([1])
    expect(session.query.sampleKey).toBe(first.sampleKey)
    expect(session.asked.x[0]).toBeCloseTo(asked, 12)
    expect(session.query.wants).toEqual(
      mode === 'exact' ? [{ kind: 'hvp', curvature: 'hessian' }] : [{ kind: 'gradient' }],
    )
    session.steps(1, quartic)
    expect(Math.abs(session.x[0] - next)).toBeLessThan(1e-12)
    expect(session.metrics.gradientSquare).toBe(1)
    expect(session.metrics.curvatureNorm).toBeCloseTo(curvature, 12)
    expect(session.view('curvature').x[0]).toBeCloseTo(curvature, 12)
    expect(session.query.sampleKey).not.toBe(first.sampleKey)
  }
})

test('[fd-gr] flooding: down above the level, up below it, which together is a step of the backward penalty', () => {
  const session = new Session(sgd, vectors([1]), { config: on({ flood: 0.2 }), value: ({ x }) => x[0] ** 4 / 4 })
  expect(session.query.wants.map(({ kind }) => kind)).toEqual(['gradient', 'value'])
  expect(Math.abs(session.steps(1, quartic).x[0] - 0.9)).toBeLessThan(1e-12)
  expect(Math.abs(session.steps(1, quartic).x[0] - 0.9729)).toBeLessThan(1e-12)
  // D of mode backward with eps = learningRate.
  const D = (1 - 0.9 ** 3) / 0.1
  expect(Math.abs(session.x[0] - (1 - 0.1 ** 2 * D))).toBeLessThan(1e-12)
  expect(session.metrics.gradients).toBe(2)
})

test('[fd-gr] the diagonal linear network: forward is biased furthest to the rich regime, descent least', () => {
  const [n, d, alpha] = [20, 40, 0.5]
  for (let seed = 0; seed < 3; seed++) {
    const rng = new Rng(rngStream(seed, 'network'))
    const X = Array.from({ length: n }, () => Float64Array.from({ length: d }, () => rng.normal()))
    const y = X.map((row) => row[0] + row[1] + row[2])
    /** X'e/n of the errors e that X*beta leaves of some outputs. */
    const back = (beta: Float64Array, outputs: readonly number[]) => {
      const sum = new Float64Array(d)
      X.forEach((row, i) => {
        let error = -outputs[i]
        for (let j = 0; j < d; j++) error += row[j] * beta[j]
        for (let j = 0; j < d; j++) sum[j] += (error * row[j]) / n
      })
      return sum
    }
    const zeros = Array(n).fill(0)
    const residual = ({ u, v }: Tensors) =>
      back(
        Float64Array.from(u, (uj, j) => uj ** 2 - v[j] ** 2),
        y,
      )
    const gradient = (w: Tensors) => {
      const h = residual(w)
      return { u: h.map((hj, j) => 2 * w.u[j] * hj), v: h.map((hj, j) => -2 * w.v[j] * hj) }
    }
    const hessian = (w: Tensors, p: Tensors) => {
      const h = residual(w)
      const change = Float64Array.from(w.u, (uj, j) => 2 * (uj * p.u[j] - w.v[j] * p.v[j]))
      const k = back(change, zeros)
      return {
        u: h.map((hj, j) => 2 * (w.u[j] * k[j] + p.u[j] * hj)),
        v: h.map((hj, j) => -2 * (w.v[j] * k[j] + p.v[j] * hj)),
      }
    }
    const shrinkage = (config: object) => {
      const start = vectors({ u: Array(d).fill(alpha), v: Array(d).fill(alpha) })
      const session = new Session(sgd, start, {
        config: { learningRate: 0.005, ...config },
        product: hessian,
        engine: 'wasm',
      })
      do session.steps(100, gradient)
      while (!(session.metrics.gradientNorm < 1e-7))
      const { u, v } = session.answer
      return (u as Float64Array).reduce((sum, uj, j) => sum + Math.log(Math.sqrt(uj * v[j]) / alpha) / d, 0)
    }
    const [forward, backward, exact] = MODES.map((mode) =>
      shrinkage(on({ mode, gamma: 0.05, eps: 0.05 }, { learningRate: 0.005 })),
    )
    const plain = shrinkage({})
    expect(forward).toBeLessThan(exact)
    expect(exact).toBeLessThan(backward)
    expect(backward).toBeLessThan(plain)
    expect(Math.abs(forward)).toBeGreaterThanOrEqual(10 * Math.abs(plain))
  }
}, 30_000)

test('fd-gr: gamma = 0 is descent, gamma = eps is SAM, normalized where both are rho/|g|', () => {
  const wave = of((x) => [x[0] ** 3, Math.sin(x[1])])
  for (const mode of MODES) {
    const options = {
      product: (({ x }, { x: p }) => ({ x: [3 * x[0] ** 2 * p[0], Math.cos(x[1]) * p[1]] })) as Options['product'],
    }
    const session = new Session(sgd, vectors([1, 2]), { config: on({ mode, gamma: 0 }), ...options })
    const plain = new Session(sgd, vectors([1, 2]), { config: { learningRate: 0.1 } })
    expect(session.steps(20, wave).x).toEqual(plain.steps(20, wave).x)
  }
  const eps = 0.3 / 5
  const session = new Session(sgd, vectors([3, 4]), { config: on({ gamma: eps, eps }) }).tell([3, 4])
  const sam = new Session(sgd, vectors([3, 4]), {
    config: { learningRate: 0.1, driver: { id: 'sam', rho: 0.3 } },
  }).tell([3, 4])
  session.tell([5, -6])
  sam.tell([5, -6])
  session.x.forEach((x, i) => {
    expect(x).toBeCloseTo(sam.x[i], 12)
  })
})

test('fd-gr: a maximized objective, and a restart between its queries', () => {
  const value: Options['value'] = ({ x }) => -(x[0] ** 4) / 4
  const up = new Session(sgd, vectors([1]), { config: on({ flood: 0.2 }), value, direction: 'maximize' })
  expect(
    up.steps(
      2,
      of((x) => [-(x[0] ** 3)]),
    ).x[0],
  ).toBeCloseTo(0.9729, 12)
  for (const mode of MODES) {
    const config = { driver: { id: 'fd-gr', mode } }
    const plain = new Session(fdGr, vectors([1]), { config, product }).steps(10, quartic)
    const restarted = new Session(fdGr, vectors([1]), { config, product })
    for (let k = 0; k < 20; k++) {
      if (restarted.wants('hvp')) restarted.steps(1, quartic)
      else restarted.tell(quartic(restarted.asked, restarted.query))
      restarted.restart()
    }
    expect(restarted.state).toEqual(plain.state)
  }
})
