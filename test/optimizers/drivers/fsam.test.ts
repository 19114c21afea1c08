import { expect, test } from 'vitest'
import { method as fsam } from '../../../src/optimizers/presets/fsam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const driver = (id: string, more: object) => ({ driver: { id, ...more } })
const masked = (more: object, config: object = {}) => ({ learningRate: 0.1, ...config, ...driver('fsam', more) })
const gradient = of((x) => [x[0] ** 3, Math.sin(x[1]), 4 * x[2], x[3] - 1])
const start = [1, 2, -1, 0.5]

test('[fsam] every element is SAM, no element the base rule', () => {
  // The default eps of the norm is 1e-7 here and 1e-12 in SAM; equal ones give equal steps.
  const sam = new Session(sgd, vectors(start), { config: { learningRate: 0.1, ...driver('sam', { eps: 1e-7 }) } })
  const all = new Session(sgd, vectors(start), { config: masked({ keepRatio: 1 }) })
  const none = new Session(sgd, vectors(start), { config: masked({ keepRatio: 0 }) })
  const base = new Session(sgd, vectors(start), { config: { learningRate: 0.1 } })
  for (let k = 0; k < 50; k++) {
    sam.steps(1, gradient)
    all.steps(1, gradient).x.forEach((x, i) => {
      expect(Math.abs(x - sam.x[i])).toBeLessThan(1e-12)
    })
    expect(none.steps(1, gradient).x).toEqual(base.steps(1, gradient).x)
  }
})

test('[fsam] the mask changes every maskEvery steps and keeps the share that it is told', () => {
  const session = new Session(sgd, vectors(Array(7).fill(0)), { config: masked({ keepRatio: 0.5, maskEvery: 3 }) })
  const masks: string[] = []
  for (let t = 0; t < 9; t++) {
    // The three largest elements move round with each step.
    const g = Array.from({ length: 7 }, (_, i) => 1 + ((i + 2 * t) % 7))
    const before = session.x
    session.tell(g)
    const e = Array.from(session.asked.x, (x, i) => x - before[i])
    expect(e.filter((v) => v !== 0)).toHaveLength(Math.floor(0.5 * 7))
    masks.push(e.map((v) => Number(v !== 0)).join(''))
    session.tell(g)
  }
  for (const t of [0, 3, 6]) expect(new Set(masks.slice(t, t + 3)).size).toBe(1)
  expect(masks[0]).toBe('0000111')
  expect(new Set(masks).size).toBe(3)
})

test('[fsam] two queries a step on one sample; the norm goes over all elements, ahead of the mask', () => {
  for (const keepRatio of [0.25, 0.5, 0.75, 1]) {
    const session = new Session(sgd, vectors(start), { config: masked({ rho: 0.3, keepRatio, maskEvery: 1 }) })
    for (let t = 1; t <= 5; t++) {
      const ascent = session.query
      session.tell(gradient(session.asked, ascent).x)
      const descent = session.query
      expect(descent.sampleKey).toBe(ascent.sampleKey)
      expect([ascent.purpose, descent.purpose]).toEqual(['ascent', 'descent'])
      const length = Math.hypot(...session.asked.x.map((x, i) => x - session.x[i]))
      expect(length).toBeLessThanOrEqual(0.3)
      if (keepRatio < 1) expect(length).toBeLessThan(0.2999)
      session.tell(gradient(session.asked, descent).x)
      expect(session.query.sampleKey).not.toBe(ascent.sampleKey)
      expect(session.metrics.gradients).toBe(2 * t)
    }
  }
})

test('fsam: ranks over all tensors but the excluded ones, the first of equals first', () => {
  const space = vectors({ a: [0, 0], b: [0, 0, 0], bias: [0] })
  const session = new Session(sgd, space, { config: masked({ rho: 1, keepRatio: 0.4, exclude: ['bias'], eps: 0 }) })
  session.tell({ a: [0, 2], b: [2, 2, 1], bias: [6] })
  // The norm is 7: 4 + 4 + 4 + 1 + 36.
  for (const [name, e] of Object.entries({ a: [0, 2 / 7], b: [2 / 7, 0, 0], bias: [6 / 7] }))
    e.forEach((v, i) => {
      expect(session.asked[name][i]).toBeCloseTo(v, 14)
    })
  session.tell({ a: [0, 0], b: [0, 0, 0], bias: [0] })
  session.tell({ a: [0, 0], b: [0, 0, 0], bias: [0] })
  expect(session.asked.bias[0]).toBe(0)
  const unknown = { config: masked({ exclude: ['bias', 'norm'] }) }
  expect(() => new Session(sgd, space, unknown)).toThrow('config.driver.exclude[1]: "norm" is not a tensor')
})

test('fsam: the preset is Adam around it, and a restart between its queries changes nothing', () => {
  const plain = new Session(fsam, vectors(start))
  const restarted = new Session(fsam, vectors(start))
  expect(plain.run.config).toMatchObject({
    beta1: 0.9,
    beta2: 0.98,
    eps: 1e-6,
    driver: { id: 'fsam', rho: 0.05, keepRatio: 0.1, maskEvery: 100 },
  })
  for (let k = 0; k < 21; k++) {
    plain.tell(gradient(plain.asked, plain.query).x)
    restarted.tell(gradient(restarted.asked, restarted.query).x)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
})
