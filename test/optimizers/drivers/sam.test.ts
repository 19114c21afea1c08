import { expect, test } from 'vitest'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sam } from '../../../src/optimizers/presets/sam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const driver = (more: object) => ({ driver: { id: 'sam', ...more } })
const same = of((x) => x) // gradient of |w|^2/2

test('[sam] two queries on one sample: the exact first steps', () => {
  const config = { learningRate: 0.1, ...driver({ rho: 0.1 }) }
  const quartic = new Session(sgd, vectors([1]), { config })
  const first = quartic.query
  quartic.tell([quartic.asked.x[0] ** 3])
  expect(Math.abs(quartic.asked.x[0] - 1.1)).toBeLessThan(1e-12)
  expect(quartic.query.sampleKey).toBe(first.sampleKey)
  expect(quartic.query.id).not.toBe(first.id)
  expect([first.purpose, quartic.query.purpose]).toEqual(['ascent', 'descent'])
  quartic.tell([quartic.asked.x[0] ** 3])
  expect(Math.abs(quartic.x[0] - 0.8669)).toBeLessThan(1e-12)
  expect(quartic.query.sampleKey).not.toBe(first.sampleKey)

  const bowl = new Session(sgd, vectors([3, 4]), { config: { learningRate: 0.1, ...driver({ rho: 0.5 }) } })
  bowl.tell([3, 4])
  for (const [i, x] of [3.3, 4.4].entries()) expect(Math.abs(bowl.asked.x[i] - x)).toBeLessThan(1e-12)
  bowl.tell(bowl.asked.x)
  for (const [i, x] of [2.67, 3.56].entries()) expect(Math.abs(bowl.x[i] - x)).toBeLessThan(1e-12)
})

test('[sam] norms infinity, 1 and any p; the norm goes over all tensors', () => {
  const perturbation = (w: readonly number[], norm: unknown, g = w) => {
    const session = new Session(sgd, vectors(w), { config: driver({ rho: 0.5, norm }) }).tell(g)
    return Array.from(session.asked.x, (x, i) => x - w[i])
  }
  expect(perturbation([3, -4], 'infinity')).toEqual([0.5, -0.5])
  expect(perturbation([3, -4], 1)).toEqual([0, -0.5])
  expect(perturbation([1, 1], 2, [0, 0])).toEqual([0, 0])
  expect(perturbation([1, 1], 3, [0, 0])).toEqual([0, 0])
  expect(perturbation([1, 1], 1, [0, 0])).toEqual([0, 0])
  // p = 3, q = 1.5: e = rho*sign(g)*|g|^(1/2)/(|3|^1.5 + |4|^1.5)^(1/3).
  const e = perturbation([3, -4], 3)
  const norm = (3 ** 1.5 + 4 ** 1.5) ** (1 / 3)
  expect(e[0]).toBeCloseTo((0.5 * 3 ** 0.5) / norm, 12)
  expect(e[1]).toBeCloseTo((-0.5 * 4 ** 0.5) / norm, 12)
  const two = perturbation([3, -4], 2)
  for (const [i, ei] of perturbation([3, -4], 2.0000001).entries()) expect(ei).toBeCloseTo(two[i], 6)

  const session = new Session(sgd, vectors({ a: [3], b: [4] }), { config: driver({ rho: 0.5 }) })
  session.tell({ a: [3], b: [4] })
  expect(session.asked.a[0] - 3).toBeCloseTo(0.3, 12)
  expect(session.asked.b[0] - 4).toBeCloseTo(0.4, 12)
})

test('[sam] the perturbed point stays in the set that x is kept in', () => {
  const asked = (space: object, config: object) =>
    new Session(sgd, vectors([0.6, 0.8], space), { config: { ...driver({ rho: 0.5 }), ...config } }).tell([3, 4]).asked
      .x
  expect(Math.max(...asked({ high: 0.9 }, {}))).toBe(0.9)
  const [a, b] = asked({}, { ball: 1 })
  expect(a).toBeCloseTo(0.6, 12)
  expect(b).toBeCloseTo(0.8, 12)
})

test('[sam] rho = 0 is the inner rule, bit for bit, over 100 steps', () => {
  const gradient = of((x) => [x[0] ** 3, Math.sin(x[1])])
  for (const [method, config] of [
    [sgd, { learningRate: 0.1, momentum: 0.9 }],
    [adam, { learningRate: 0.1, weightDecay: 0.1 }],
  ] as const) {
    const plain = new Session(method, vectors([1, 2]), { config }).steps(100, gradient)
    const around = new Session(method, vectors([1, 2]), { config: { ...config, ...driver({ rho: 0 }) } })
    expect(around.steps(100, gradient).x).toEqual(plain.x)
    expect(around.metrics.gradients).toBe(200)
  }
})

test('[sam] the valley: SAM moves along it to the flat part, gradient descent does not', () => {
  const valley = of((w) => [w[0] * w[1] * w[1], (1 + w[0] * w[0]) * w[1]])
  const start = vectors([2, 0.5])
  const along = new Session(sgd, start, { config: { learningRate: 0.05, ...driver({ rho: 0.1 }) } })
  expect(Math.abs(along.steps(2000, valley).x[0] - 0.62)).toBeLessThan(0.05)
  const plain = new Session(sgd, start, { config: { learningRate: 0.05 } })
  expect(plain.steps(2000, valley).x[0]).toBeGreaterThanOrEqual(1.9)
})

test('[sam] m-sharpness: a perturbation per shard, and the mean of their gradients', () => {
  const config = { learningRate: 0.1, ...driver({ rho: 0.1, shards: 3 }) }
  const session = new Session(sgd, vectors([1, 0]), { config })
  const keys: (string | undefined)[] = []
  const points: number[][] = []
  // Shard s has the loss |w - c_s|^2/2.
  const centres = [
    [0, 1],
    [0, -1],
    [3, 0],
  ]
  for (let k = 0; k < 6; k++) {
    const c = centres[Math.floor(k / 2)]
    keys.push(session.query.sampleKey)
    points.push(Array.from(session.asked.x))
    session.tell(session.asked.x.map((x, i) => x - c[i]))
  }
  expect(keys[0]).toBe(keys[1])
  expect(keys[2]).toBe(keys[3])
  expect(new Set(keys).size).toBe(3)
  const step = [0, 0]
  for (const [s, c] of centres.entries()) {
    const g = [1 - c[0], -c[1]]
    const e = g.map((gi) => (0.1 * gi) / Math.hypot(...g))
    for (const i of [0, 1]) {
      expect(points[2 * s + 1][i]).toBeCloseTo([1, 0][i] + e[i], 12)
      step[i] += (g[i] + e[i]) / 3
    }
  }
  expect(session.x[0]).toBeCloseTo(1 - 0.1 * step[0], 12)
  expect(session.x[1]).toBeCloseTo(0 - 0.1 * step[1], 12)
  expect(session.state.t).toBe(1)
})

test('[sam] the preset is SAM around momentum 0.9, and a restart between its two queries changes nothing', () => {
  const plain = new Session(sam, vectors([3, 4]), { config: { learningRate: 0.1 } })
  const restarted = new Session(sam, vectors([3, 4]), { config: { learningRate: 0.1 } })
  expect(plain.run.config).toMatchObject({ momentum: 0.9, driver: { id: 'sam', rho: 0.05, norm: 2, shards: 1 } })
  for (let k = 0; k < 21; k++) {
    plain.tell(plain.asked.x)
    restarted.tell(restarted.asked.x)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
  restarted.refuse('failed')
  expect(restarted.query.id).not.toBe(plain.query.id)
  expect(restarted.query.sampleKey).toBe(plain.query.sampleKey)
  expect(restarted.asked).toEqual(plain.asked)
  expect(restarted.steps(10, same).x).toEqual(plain.steps(10, same).x)
})
