import { beforeAll, describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { AGGREGATORS, gramianOf, weightsOf } from '../../../src/optimizers/aggregators/gramian.js'
import { nonnegative } from '../../../src/optimizers/aggregators/quadratic.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as upgrad } from '../../../src/optimizers/presets/upgrad.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

type Rows = readonly (readonly number[])[]
const times = (J: Rows, x: ArrayLike<number>): number[] =>
  J.map((row) => row.reduce((sum, value, j) => sum + value * x[j], 0))
const back = (J: Rows, w: ArrayLike<number>): number[] =>
  J[0].map((_, j) => J.reduce((sum, row, i) => sum + w[i] * row[j], 0))
const gaussians = (rng: Rng, m: number, d: number): Rows =>
  Array.from({ length: m }, () => Array.from({ length: d }, () => rng.normal()))

const noGradient = () => {
  throw new Error('only quantities are asked')
}
/** One step of SGD of rate 1 from 0: minus the update, and what was asked. */
function step(J: Rows, driver: object = {}) {
  const asked: string[] = []
  const session = new Session(upgrad, vectors(J[0].map(() => 0)), {
    config: { learningRate: 1, driver: { id: 'objectives', objectives: J.length, ...driver } },
    quantities(_, { purpose, points, sampleKey }): { [name: string]: ArrayLike<number> } {
      asked.push(`${purpose} ${sampleKey}`)
      if (purpose === 'jacobian') return { gradients: J.flat() }
      if (purpose === 'gramian') return { gramian: gramianOf(J) }
      const note = points[1]
      if (note.kind !== 'text') throw new Error('expected a note')
      return { gradient: back(J, JSON.parse(note.text.weights)) }
    },
  })
  session.steps(1, noGradient)
  const { metrics } = session
  return { update: session.x.map((x) => 0 - x), w: J.map((_, i) => metrics[`weight${i + 1}`]), metrics, asked }
}
const expectClose = (got: readonly number[], wanted: readonly number[], within: number) => {
  expect(got.length).toBe(wanted.length)
  got.forEach((value, i) => {
    expect(Math.abs(value - wanted[i])).toBeLessThan(within)
  })
}

const EXAMPLE = [
  [-4, 1, 1],
  [6, 1, 1],
]
const PAIR = [
  [1, 0],
  [-2, 1],
]
const THREE = [
  [0, 3, -3],
  [3, -2, 3],
  [-3, -3, 3],
]

test('[upgrad] the example of torchjd: exact, and with its two small numbers', () => {
  const exact = step(EXAMPLE)
  expectClose(exact.w, [10 / 9, 15 / 19], 1e-12)
  expectClose(exact.update, [0.292398, 1.900585, 1.900585], 1e-6)
  expectClose(step(EXAMPLE, { normEps: 1e-4, regEps: 1e-4 }).update, [0.2929, 1.9004, 1.9004], 1e-3)
})

test('[upgrad] two objectives: neither gets worse, unlike by their mean; the Gramian gives the same weights', () => {
  const told = step(PAIR)
  expectClose(told.update, [0.1, 0.7], 1e-12)
  expectClose(times(PAIR, told.update), [0.1, 0.5], 1e-12)
  expect(told.metrics).toMatchObject({ objectives: 2, conflicts: 2, conflict1: 1, conflict2: 1, worse: 0 })
  const mean = step(PAIR, { aggregator: 'mean' })
  expectClose(times(PAIR, mean.update), [-0.5, 1.5], 1e-12)
  expect(mean.metrics.worse).toBe(1)
  const gramian = step(PAIR, { told: 'gramian' })
  expectClose(gramian.w, [1.5, 0.7], 1e-10)
  expectClose(gramian.update, [0.1, 0.7], 1e-10)
  expect(gramian.asked).toEqual(['gramian s1', 'weighted s1'])
})

test('[upgrad] three objectives: pcgrad makes one worse', () => {
  const { update, metrics } = step(THREE)
  expectClose(update, [-0.068761, 0.421336, 0.405207], 1e-5)
  expectClose(times(THREE, update), [0.048387, 0.166667, 0.157895], 1e-5)
  expect(metrics.worse).toBe(0)
  const surgery = step(THREE, { aggregator: 'pcgrad', order: 'fixed' })
  expect(Math.min(...times(THREE, surgery.update).map((value) => Math.abs(value + 4.545)))).toBeLessThan(1e-3)
  expect(surgery.metrics.worse).toBeGreaterThan(0)
})

describe('aggregators', () => {
  const rng = new Rng(rngStream(5, 'rows'))
  const plain = { normEps: 0, regEps: 0, c: 0.5, order: 'fixed' } as const
  const aggregate = (J: Rows, aggregator: (typeof AGGREGATORS)[number], more: object = {}) =>
    back(J, weightsOf(gramianOf(J), { ...plain, aggregator, ...more }, rng))

  test('upgrad and dualproj conflict with no row; upgrad is linear in the scale of each row, and the mean without conflict', () => {
    for (let k = 0; k < 20; k++) {
      const J = gaussians(rng, 2 + (k % 6), 4)
      for (const aggregator of ['upgrad', 'dualproj'] as const)
        for (const value of times(J, aggregate(J, aggregator))) expect(value).toBeGreaterThan(-1e-10)
      const scale = J.map((_, i) => 0.5 + i)
      const scaled = (factors: readonly number[]) => J.map((row, i) => row.map((value) => value * factors[i]))
      const [a, b, ab] = [J.map(() => 1), scale, scale.map((c) => 1 + c)].map((c) => aggregate(scaled(c), 'upgrad'))
      expectClose(
        ab,
        a.map((value, j) => value + b[j]),
        1e-9,
      )
    }
    const friends = gaussians(rng, 3, 4).map((row) => row.map(Math.abs))
    expectClose(aggregate(friends, 'upgrad'), aggregate(friends, 'mean'), 1e-14)
    expectClose(aggregate(friends, 'dualproj'), aggregate(friends, 'mean'), 1e-14)
  })

  test('mgda: no row is nearer than the combination; imtl-g: equal parts; cagrad: nothing within the ball is better', () => {
    for (let k = 0; k < 10; k++) {
      const J = gaussians(rng, 3, 5)
      const short = aggregate(J, 'mgda')
      const squared = times([short], short)[0]
      for (const value of times(J, short)) expect(value).toBeGreaterThan(squared - 1e-10)
      const parts = times(J, aggregate(J, 'imtl-g')).map((value, i) => value / Math.hypot(...J[i]))
      expectClose(parts, [parts[0], parts[0], parts[0]], 1e-9)
      const mean = aggregate(J, 'mean')
      const best = aggregate(J, 'cagrad')
      const radius = 0.5 * Math.hypot(...mean)
      expect(Math.hypot(...best.map((value, j) => value - mean[j]))).toBeCloseTo(radius, 9)
      const worst = Math.min(...times(J, best))
      for (let trial = 0; trial < 200; trial++) {
        const [noise] = gaussians(rng, 1, 5)
        const near = best.map((value, j) => value + 0.1 * noise[j] - mean[j])
        const shrink = radius / Math.hypot(...near)
        const other = mean.map((value, j) => value + shrink * near[j])
        expect(Math.min(...times(J, other))).toBeLessThan(worst + 1e-7)
      }
    }
    expectClose(aggregate(THREE, 'cagrad', { c: 0 }), aggregate(THREE, 'mean'), 1e-14)
  })

  test('gradients that vanish, or cancel, give finite weights', () => {
    for (const aggregator of AGGREGATORS)
      for (const J of [
        [
          [0, 0],
          [0, 0],
        ],
        [
          [1, 0],
          [-1, 0],
        ],
        [
          [1, 2],
          [0, 0],
          [1, 2],
        ],
      ])
        for (const value of aggregate(J, aggregator)) expect(Number.isFinite(value)).toBe(true)
    expect(weightsOf(gramianOf([[1e-3]]), { ...plain, aggregator: 'upgrad', normEps: 1e-4 }, rng)[0]).toBe(1)
  })

  test('rows that depend on each other, and one of zeros: the shortest combination is that of zeros', () => {
    const J = [
      [-1, 0, 1, 1],
      [0, -1, 0, 1],
      [0, 0, 0, 1],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [1, 0, 0, 0],
      [0, 0, 0, 0],
      [0, 1, 0, 1],
    ]
    expectClose(aggregate(J, 'mgda'), [0, 0, 0, 0], 1e-12)
    for (const value of times(J, aggregate(J, 'upgrad'))) expect(value).toBeGreaterThan(-1e-12)
  })

  test('programs too large to solve exactly come to the same', () => {
    const J = gaussians(rng, 70, 90)
    const G = gramianOf(J)
    const f = Float64Array.from(J, () => rng.normal())
    const s = nonnegative(G, f)
    const slopes = f.map((value, i) => value + s.reduce((sum, sj, j) => sum + G[i * 70 + j] * sj, 0))
    slopes.forEach((slope, i) => {
      if (s[i] > 0) expect(Math.abs(slope)).toBeLessThan(1e-8)
      else expect(slope).toBeGreaterThan(-1e-8)
    })
  })
})

test('examples of a minibatch as objectives, for any rule: all losses fall', () => {
  const targets = [0.9, 1.1, 1.3]
  const rows = [
    [1, 0.2],
    [0.3, 1],
    [-0.4, 1.2],
  ]
  const losses = (x: ArrayLike<number>) => times(rows, x).map((z, i) => (z - targets[i]) ** 2 / 2)
  const session = new Session(adam, vectors([0, 0]), {
    config: { learningRate: 0.02, driver: { id: 'objectives', shown: 1 } },
    quantities: ({ x }) => ({ gradients: times(rows, x).flatMap((z, i) => rows[i].map((r) => (z - targets[i]) * r)) }),
  })
  const before = losses(session.x)
  session.steps(20, noGradient)
  session.restart()
  session.steps(20, noGradient)
  losses(session.x).forEach((loss, i) => {
    expect(loss).toBeLessThan(before[i] / 2)
  })
  expect(session.metrics.objectives).toBe(3)
  expect(session.metrics.weight2).toBeUndefined()
})

test('what does not go together is located', () => {
  const make = (driver: object, direction?: 'maximize') =>
    new Session(upgrad, vectors([0]), { direction, config: { driver: { id: 'objectives', ...driver } } })
  expect(() => make({ told: 'gramian' })).toThrow('config.driver.objectives: a Gramian needs the number of objectives')
  expect(() => make({ objectives: 2, preference: [1] })).toThrow('config.driver.preference: expected a weight for each')
  expect(() => make({}, 'maximize')).toThrow('config.driver.id: minimizes every objective')
})
