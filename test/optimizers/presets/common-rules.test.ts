import { expect, test } from 'vitest'
import type { TensorsSpace } from '../../../src/core/space.js'
import { method as adan } from '../../../src/optimizers/presets/adan.js'
import { method as muon } from '../../../src/optimizers/presets/muon.js'
import { method as polyak } from '../../../src/optimizers/presets/polyak-sgd.js'
import { method as signSgd } from '../../../src/optimizers/presets/sign-sgd.js'
import { method as yogi } from '../../../src/optimizers/presets/yogi.js'
import { Session, vectors } from '../session.js'

const gradients = [
  [1, -2],
  [0.5, 3],
  [-4, 0.1],
  [2, 2],
]

test('[yogi] by hand: the second moment moves by a share of g^2, whichever way', () => {
  const session = new Session(yogi, vectors([0, 0]), { config: { learningRate: 0.1, weightDecay: 0.2 } })
  const x = [0, 0]
  const [m, v] = [
    [1e-6, 1e-6],
    [1e-6, 1e-6],
  ]
  for (const [k, told] of gradients.entries()) {
    session.tell(told)
    for (const i of [0, 1]) {
      const g = told[i] + 0.2 * x[i]
      m[i] = 0.9 * m[i] + 0.1 * g
      v[i] -= 0.001 * Math.sign(v[i] - g * g) * g * g
      x[i] -= (0.1 * (m[i] / (1 - 0.9 ** (k + 1)))) / (Math.sqrt(v[i] / (1 - 0.999 ** (k + 1))) + 1e-3)
      expect(session.x[i]).toBeCloseTo(x[i], 12)
    }
  }
})

test('[adan] by hand: momentum of gradients and of their differences', () => {
  const session = new Session(adan, vectors([1, 1]), { config: { learningRate: 0.1, weightDecay: 0.3 } })
  const x = [1, 1]
  const [m, v, n] = [
    [0, 0],
    [0, 0],
    [0, 0],
  ]
  for (const [k, g] of gradients.entries()) {
    session.tell(g)
    for (const i of [0, 1]) {
      const d = k === 0 ? 0 : g[i] - gradients[k - 1][i]
      m[i] = 0.98 * m[i] + 0.02 * g[i]
      v[i] = 0.92 * v[i] + 0.08 * d
      n[i] = 0.99 * n[i] + 0.01 * (g[i] + 0.92 * d) ** 2
      const t = k + 1
      const step = m[i] / (1 - 0.98 ** t) + (0.92 * v[i]) / (1 - 0.92 ** t)
      x[i] = (x[i] - (0.1 * step) / (Math.sqrt(n[i] / (1 - 0.99 ** t)) + 1e-8)) / (1 + 0.1 * 0.3)
      expect(session.x[i]).toBeCloseTo(x[i], 12)
    }
  }
})

test('[sign-sgd] steps by the sign, or by that of the momentum', () => {
  const plain = new Session(signSgd, vectors([1, 0]), { config: { learningRate: 0.1, weightDecay: 0.5 } })
  expect(plain.tell([-3, 0]).x).toEqual([1 - 0.1 * (-1 + 0.5), 0])
  const signum = new Session(signSgd, vectors([0]), { config: { learningRate: 1, momentum: 0.9 } })
  expect(signum.tell([1]).tell([-0.5]).x).toEqual([-2])
})

test('[polyak-sgd] one step to the minimum of |x|^2/2 with rate 2, and no step without a gradient', () => {
  const value = ({ x }: { readonly [name: string]: ArrayLike<number> }) =>
    3 + 0.5 * Array.from(x).reduce((sum, v) => sum + v * v, 0)
  const session = new Session(polyak, vectors([3, -4]), { config: { learningRate: 2, optimum: 3 }, value })
  expect(session.query.wants.map(({ kind }) => kind)).toEqual(['gradient', 'value'])
  expect(session.tell([3, -4]).x).toEqual([0, 0])
  expect(session.metrics.stepSize).toBe(0.5)
  expect(session.tell([0, 0]).x).toEqual([0, 0])
  const bounded = new Session(polyak, vectors([3, -4]), { config: { maxRate: 0.1 }, value })
  expect(bounded.tell([3, -4]).metrics.stepSize).toBe(0.1)
})

test('[muon] vectors and named matrices are left to AdamW; axes behind the first are one', () => {
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'w', shape: [2, 2, 2], dtype: 'f64' },
      { name: 'flat', shape: [2, 4], dtype: 'f64' },
      { name: 'head', shape: [2, 2], dtype: 'f64' },
      { name: 'b', shape: [2], dtype: 'f64' },
    ],
  }
  const config = { learningRate: 0.1, adamwRate: 0.5, adamw: ['head'] }
  const g = [1, -2, 3, 4, 0.5, -1, 2, 2]
  const session = new Session(muon, space, { config }).tell({ w: g, flat: g, head: [1, -1, 2, -2], b: [3, -3] })
  const { w, flat, head, b } = session.state.x
  expect(Array.from(w)).toEqual(Array.from(flat))
  Array.from(head).forEach((v, i) => void expect(v).toBeCloseTo([-0.05, 0.05, -0.05, 0.05][i], 9))
  Array.from(b).forEach((v, i) => void expect(v).toBeCloseTo([-0.05, 0.05][i], 9))
  // Rows of a step at right angles, of length near the rate.
  const rows = [Array.from(flat.subarray(0, 4)), Array.from(flat.subarray(4, 8))]
  for (const row of rows) expect(Math.abs(Math.hypot(...row) / 0.1 - 1)).toBeLessThan(0.35)
  expect(() => new Session(muon, space, { config: { adamw: ['x'] } })).toThrow('config.adamw[0]')
})
