import { expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { orthogonalize } from '../../../src/optimizers/orthogonalize.js'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as cAdamw } from '../../../src/optimizers/presets/c-adamw.js'
import { method as cLion } from '../../../src/optimizers/presets/c-lion.js'
import { method as cMuon } from '../../../src/optimizers/presets/c-muon.js'
import { method as lion } from '../../../src/optimizers/presets/lion.js'
import { method as rmsprop } from '../../../src/optimizers/presets/rmsprop.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

const near = (found: readonly number[], expected: readonly number[], digits = 6) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(10 ** -digits)
}
const cautious = (more: object = {}) => [{ id: 'cautious', ...more }]

test('[cautious] C-AdamW on two gradients, under each scale; the transform does the same to AdamW', () => {
  const expected = {
    'mean-clamp': [
      [-0.0999999, -0.0999999],
      [-0.2999997, -0.0999999],
    ],
    'nnz-plus-one': [
      [-0.0666666, -0.0666666],
      [-0.1666665, -0.0666666],
    ],
    none: [
      [-0.0999999, -0.0999999],
      [-0.1999998, -0.0999999],
    ],
  }
  for (const [scale, points] of Object.entries(expected)) {
    const preset = new Session(cAdamw, vectors([0, 0]), { config: { learningRate: 0.1, scale } })
    const wrapped = new Session(adamw, vectors([0, 0]), {
      config: { learningRate: 0.1, eps: 1e-6, weightDecay: 0, transforms: cautious({ scale }) },
    })
    for (const [k, g] of [
      [1, 1],
      [1, -0.5],
    ].entries()) {
      near(preset.tell(g).x, points[k])
      expect(wrapped.tell(g).x).toEqual(preset.x)
      expect(wrapped.metrics.kept).toBe(k === 0 ? 1 : 0.5)
    }
  }
  const plain = new Session(adamw, vectors([0, 0]), { config: { learningRate: 0.1, eps: 1e-6, weightDecay: 0 } })
  near(plain.tell([1, 1]).tell([1, -0.5]).x, [-0.2, -0.12663357])
})

test('[cautious] no element of a step goes up its gradient, which AdamW does often', () => {
  const d = 50
  const violations = (method: AnyMethod, more: object) => {
    const rng = new Rng(rngStream(3, 'quadratic'))
    const curvature = Array.from({ length: d }, () => 0.1 + 10 * rng.uniform())
    const start = Array.from({ length: d }, () => rng.normal())
    const config = { learningRate: 0.05, weightDecay: 0, ...more }
    const session = new Session(method, vectors(start), { config })
    let count = 0
    for (let t = 0; t < 500; t++) {
      const before = session.x
      const g = before.map((x, i) => curvature[i] * x)
      const after = session.tell(g).x
      count += g.filter((gi, i) => (before[i] - after[i]) * gi < 0).length
    }
    return count
  }
  expect(violations(cAdamw, {})).toBe(0)
  expect(violations(cLion, {})).toBe(0)
  expect(violations(sgd, { momentum: 0.9, transforms: cautious() })).toBe(0)
  expect(violations(adamw, {})).toBeGreaterThanOrEqual(100)
})

test('[cautious] a rule without momentum is left as it is, to the bit', () => {
  const config = { learningRate: 0.01 }
  const plain = new Session(rmsprop, vectors([1, -2, 3]), { config })
  const masked = new Session(rmsprop, vectors([1, -2, 3]), { config: { ...config, transforms: cautious() } })
  for (let t = 0; t < 100; t++) {
    const g = plain.x.map((x, i) => (i + 1) * x + Math.sin(t + i))
    expect(masked.tell(g).x).toEqual(plain.tell(g).x)
    expect(masked.metrics.kept).toBe(1)
  }
})

test('[cautious] C-Lion: the mask is of the step only, weight decay and momentum are those of Lion', () => {
  const config = { learningRate: 0.1, weightDecay: 0.5 }
  const session = new Session(cLion, vectors([1, 1, 1]), { config })
  const plain = new Session(lion, vectors([1, 1, 1]), { config: { ...config, beta1: 0.95, beta2: 0.98 } })
  const x = [1, 1, 1]
  const m = [0, 0, 0]
  for (const g of [
    [1, 2, -3],
    [1, -0.01, -0.1],
    [-0.02, 1, 0.01],
  ]) {
    const u = g.map((gi, i) => Math.sign(0.95 * m[i] + 0.05 * gi))
    const agrees = u.map((ui, i) => Number(ui * g[i] > 0))
    const scale = 3 / (agrees.reduce((sum, k) => sum + k, 0) + 1)
    for (const i of x.keys()) {
      x[i] = x[i] * (1 - 0.05) - 0.1 * scale * agrees[i] * u[i]
      m[i] = 0.98 * m[i] + 0.02 * g[i]
    }
    near(session.tell(g).x, x, 12)
    plain.tell(g)
    expect(session.state.slots.m).toEqual(plain.state.slots.m)
  }
})

test('[cautious] C-Muon: the mask ahead of the orthogonalization; a tall matrix is the transpose of a wide one', () => {
  const singular = (x: Float64Array) => {
    // Of a matrix of two rows: by trace and determinant of X*X'.
    const [a, b] = [x.subarray(0, 3), x.subarray(3)]
    const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, ui, i) => sum + ui * v[i], 0)
    const [trace, det] = [dot(a, a) + dot(b, b), dot(a, a) * dot(b, b) - dot(a, b) ** 2]
    const root = Math.sqrt(trace ** 2 / 4 - det)
    return [Math.sqrt(trace / 2 + root), Math.sqrt(trace / 2 - root)]
  }
  const wide = [1, 2, -3, 0.5, 0, 1]
  const y = orthogonalize(wide, 3)
  for (const value of singular(y)) {
    expect(value).toBeGreaterThan(0.6)
    expect(value).toBeLessThan(1.3)
  }
  const tall = orthogonalize([1, 0.5, 2, 0, -3, 1], 2)
  near(
    [0, 2, 4, 1, 3, 5].map((k) => tall[k]),
    Array.from(y),
    12,
  )

  const space = { kind: 'tensors' as const, tensors: [{ name: 'x', shape: [2, 3], dtype: 'f64' as const }] }
  const session = new Session(cMuon, space, { config: { learningRate: 0.1, beta: 0.9, weightDecay: 0.5 } })
  const x = Array(6).fill(0)
  const m = Array(6).fill(0)
  for (const g of [wide, [1, -0.01, -3, -0.02, 0, 1], [-1, 1, 1, 1, 1, 0.3]]) {
    for (const i of m.keys()) m[i] = 0.9 * m[i] + 0.1 * g[i]
    const agrees = m.map((mi, i) => Number(mi * g[i] > 0))
    const share = agrees.reduce((sum, k) => sum + k, 0) / 6
    const masked = agrees.map((k, i) => (k / share) * (0.1 * g[i] + 0.9 * m[i]))
    const direction = orthogonalize(masked, 3)
    for (const i of x.keys()) x[i] = x[i] * (1 - 0.05) - 0.1 * direction[i]
    near(session.tell(g).x, x, 12)
    near(Array.from(session.state.kept.m.x), m, 12)
  }
})
