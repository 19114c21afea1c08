import { expect, test } from 'vitest'
import { method as flatness } from '../../../src/optimizers/diagnostics/flatness.js'
import { method as gam } from '../../../src/optimizers/presets/gam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { type Options, of, Session, vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

const around = (learningRate: number, driver: object) => ({ learningRate, driver: { id: 'gam', ...driver } })
const quartic = of((x) => [x[0] ** 3])
const curvature: Options['product'] = ({ x }, p) => ({ x: [3 * x[0] ** 2 * p.x[0]] })
/** (1 + x^2)*y^2/2: the flatter, the nearer to x = 0. */
const valley = of((w) => [w[0] * w[1] * w[1], (1 + w[0] * w[0]) * w[1]])
const valleyCurvature: Options['product'] = ({ x: [x, y] }, { x: [p, q] }) => ({
  x: [y * y * p + 2 * x * y * q, 2 * x * y * p + (1 + x * x) * q],
})

test('[gam] hvp: two gradients and two products on one sample, and the exact first step', () => {
  const config = around(0.1, { mode: 'hvp', rho: 0.1, alpha: 1 })
  const session = new Session(sgd, vectors([1]), { config, product: curvature })
  const { sampleKey } = session.query
  const purposes: (string | undefined)[] = []
  for (let k = 0; k < 4; k++) {
    purposes.push(session.query.purpose)
    expect(session.query.sampleKey).toBe(sampleKey)
    if (k === 2) expect(Math.abs(session.asked.x[0] - 1.1)).toBeLessThan(1e-10)
    session.tell(quartic(session.asked, session.query))
  }
  expect(purposes).toEqual(['step', 'curvature', 'flatness', 'flatness-curvature'])
  expect(Math.abs(session.x[0] - 0.8637)).toBeLessThan(1e-10)
  expect(session.query.sampleKey).not.toBe(sampleKey)

  const none = { config: around(0.1, { mode: 'hvp', alpha: 0 }), product: curvature }
  const plain = new Session(sgd, vectors([1]), { config: { learningRate: 0.1 } })
  expect(new Session(sgd, vectors([1]), none).steps(30, quartic).x).toEqual(plain.steps(30, quartic).x)
})

test('[gam] the valley: both modes get further to its flat part than SAM of the same radius', () => {
  const end = (driver: object) =>
    Math.abs(
      new Session(sgd, vectors([2, 0.5]), {
        config: { learningRate: 0.05, driver },
        product: valleyCurvature,
      }).steps(2000, valley).x[0],
    )
  expect(end({ id: 'gam', mode: 'hvp', rho: 0.1 })).toBeLessThanOrEqual(0.35)
  expect(end({ id: 'gam', mode: 'accelerated', rho: 0.1 })).toBeLessThanOrEqual(0.45)
  expect(end({ id: 'sam', rho: 0.1 })).toBeGreaterThanOrEqual(0.5)
  expect(end({ id: 'step' })).toBeGreaterThanOrEqual(1.9)
})

test('[gam] flatness of a quadratic at its minimum', () => {
  const bowl: Client = (points) => ({
    values: points.map(({ x }) => [(x[0] ** 2 + 9 * x[1] ** 2) / 2]),
    gradients: points.map(({ x }) => ({ x: Float64Array.of(x[0], 9 * x[1]) })),
  })
  for (let seed = 0; seed < 10; seed++) {
    const session = new Turns(flatness, vectors([0, 0]), { config: { rho: 0.1 }, seed }).finish(bowl)
    expect(Math.abs(session.metrics.flatness1 - 0.09)).toBeLessThan(1e-3)
    expect(Math.abs(session.metrics.flatness0 - 0.045)).toBeLessThan(1e-3)
    expect(session.counts).toEqual({ start: 1, 'order-zero': 21, 'order-one': 21, slope: 20 })
    expect(Array.from(session.answer.x)).toEqual([0, 0])
  }
  const flat: Client = () => ({ values: [[1]], gradients: [{ x: new Float64Array(2) }] })
  const { metrics } = new Turns(flatness, vectors([0, 0])).finish(flat)
  expect([metrics.flatness0, metrics.flatness1]).toEqual([0, 0])
})

test('gam: the accelerated direction by hand', () => {
  const config = around(1, { rho: 0.2, probe: 0.1, gamma: 0.5, b1: 2, b2: -0.5, b3: 3 })
  const session = new Session(sgd, vectors([0, 0]), { config })
  const [g0, g1, g2, g3] = [
    [3, 4],
    [3, 5],
    [0, 2],
    [1, 1],
  ]
  const asked: number[][] = []
  for (const g of [g0, g1, g2, g3]) {
    asked.push(Array.from(session.asked.x))
    session.tell(g)
  }
  for (const [k, point] of [
    [0, 0],
    [0.06, 0.08],
    [0, 0.2],
    [0, 0.3],
  ].entries())
    point.forEach((x, i) => {
      expect(asked[k][i]).toBeCloseTo(x, 10)
    })
  const fresh = [2 * 3 + 3 * 1, 2 * 5 + 3 * 1]
  const past = [3, 4 + 0.5 * 2]
  const share = (past[0] * fresh[0] + past[1] * fresh[1]) / (fresh[0] ** 2 + fresh[1] ** 2)
  session.x.forEach((x, i) => {
    expect(x).toBeCloseTo(-(fresh[i] - 0.5 * (past[i] - share * fresh[i])), 10)
  })
  expect(session.metrics.gradients).toBe(4)
})

test('gam: with SAM, the gradient of the loss is that of SAM', () => {
  const config = around(0.1, { mode: 'hvp', rho: 0.1, samRho: 0.2 })
  const session = new Session(sgd, vectors([1]), { config, product: curvature }).steps(1, quartic)
  expect(session.x[0]).toBeCloseTo(1 - 0.1 * (1.2 ** 3 + 0.1 * 3.63), 10)
  expect(() => new Session(sgd, vectors([1]), { config: around(0.1, { samRho: 0.2 }) })).toThrow('config.driver.samRho')
})

test('gam: no gradient, no step; restarts between its queries', () => {
  for (const mode of ['hvp', 'accelerated']) {
    const still = new Session(sgd, vectors([0]), { config: around(0.1, { mode }), product: curvature })
    expect(still.steps(2, quartic).x).toEqual([0])
    const options = { config: { driver: { id: 'gam', mode } }, product: valleyCurvature }
    const plain = new Session(gam, vectors([2, 0.5]), options).steps(5, valley)
    const restarted = new Session(gam, vectors([2, 0.5]), options)
    for (let k = 0; k < 20; k++) {
      restarted.tell(valley(restarted.asked, restarted.query))
      restarted.restart()
    }
    expect(restarted.x).toEqual(plain.x)
    expect(restarted.state.t).toBe(5)
  }
})
