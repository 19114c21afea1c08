import { beforeAll, expect, test } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/es-single.js'
import type { Query } from '../../../src/core/query.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { Session, vector, xOf } from './session.js'

beforeAll(loadEngines)

type Variant = 'es-single' | 'pes' | 'truncated-es'
const HORIZON = 100
const SIZE = 23

/**
 * Influence balancing: s = A s + theta (1 x10, -1 x13), A = 0.5 on the diagonal and the superdiagonal, from s = 0.
 * Moves a state on by `steps` and returns the sum of the losses 0.5 (s_1 - 1)^2.
 */
function unroll(s: Float64Array, theta: number, steps: number): number {
  let sum = 0
  for (let k = 0; k < steps; k++) {
    for (let i = 0; i < SIZE; i++) s[i] = 0.5 * s[i] + (i + 1 < SIZE ? 0.5 * s[i + 1] : 0) + (i < 10 ? theta : -theta)
    sum += 0.5 * (s[0] - 1) ** 2
  }
  return sum
}
/** The loss of a whole problem is a quadratic of theta: its derivative. */
const derivative = (theta: number) =>
  (unroll(new Float64Array(SIZE), theta + 0.5, HORIZON) - unroll(new Float64Array(SIZE), theta - 0.5, HORIZON)) / 1

/** A client: it keeps the inner states of every pair, as the purpose of a query says. */
function client(steps: number) {
  const states = new Map<string, Float64Array[]>()
  return ({ points, purpose, sampleKey }: Query) => {
    const [pair] = (sampleKey as string).split('.')
    const kept = states.get(pair) ?? []
    const from = points.map((_, i) => {
      if (purpose === 'start') return new Float64Array(SIZE)
      return (purpose === 'branch' ? kept[kept.length - 1] : kept[i]).slice()
    })
    states.set(pair, from)
    return points.map((point, i) => unroll(from[i], xOf(point)[0], steps))
  }
}

const still = { id: 'sgd', config: { learningRate: 0 } }
const gradientOf = (session: Session) => (session.state as { own: { gradient: Float64Array } }).own.gradient[0]

/** Sum of the estimates over one inner problem, theta fixed. */
function estimate(variant: Variant, K: number, particles: number, seed: number, problems = 1): number {
  const config = { variant, particles, truncations: HORIZON / K, optimizer: still }
  const session = new Session(method, vector([0.5]), config, seed)
  let sum = 0
  session.rounds((problems * HORIZON) / K, client(K), () => {
    sum += gradientOf(session)
  })
  return sum / problems
}

test('[es-single] the sum over an inner problem does not depend on how it is cut', () => {
  const whole = estimate('es-single', 100, 5, 1)
  for (const K of [10, 1]) expect(Math.abs(estimate('es-single', K, 5, 1) / whole - 1)).toBeLessThan(1e-9)
  expect(Math.abs(estimate('pes', 10, 5, 1) / whole - 1)).toBeGreaterThan(1e-3)
  // Uncut, the three are the same.
  expect(estimate('pes', 100, 5, 1)).toBe(whole)
  expect(estimate('truncated-es', 100, 5, 1)).toBe(whole)
})

test('[es-single] influence balancing: unbiased, where truncated-es has the wrong sign', () => {
  expect(derivative(0.5)).toBeCloseTo(3208.5, 0)
  // 2,000 repeats are the inner problems of one session: theta stays, and every problem draws anew.
  const mean = (variant: Variant) => estimate(variant, 10, 10, 3, 2000)
  expect(Math.abs(mean('es-single') / 3208.5 - 1)).toBeLessThan(0.06)
  expect(Math.abs(mean('pes') / 3208.5 - 1)).toBeLessThan(0.06)
  expect(mean('truncated-es')).toBeLessThan(0)
})

test('[es-single] training theta: es-single lowers the loss, truncated-es raises it', () => {
  const loss = (theta: number) => unroll(new Float64Array(SIZE), theta, HORIZON) / HORIZON
  const ratio = (variant: Variant) => {
    const optimizer = { id: 'adam', config: { learningRate: 0.02, beta1: 0.9, beta2: 0.99 } }
    const config = { variant, particles: 100, truncations: 10, optimizer }
    const session = new Session(method, vector([0.5]), config)
    return loss(session.rounds(300, client(10)).x[0]) / loss(0.5)
  }
  expect(ratio('es-single')).toBeLessThan(0.15)
  expect(ratio('truncated-es')).toBeGreaterThan(2)
})

test('es-single: purposes and keys tell the client where to go on; staggered pairs end at different times', () => {
  const labels = (config: object) => {
    const seen: string[][] = []
    new Session(method, vector([0.5]), { particles: 2, truncations: 2, ...config }).rounds(
      4,
      ({ points }) => points.map(() => 1),
      (queries) => seen.push(queries.map(({ purpose, sampleKey }) => `${purpose} ${sampleKey}`)),
    )
    return seen
  }
  expect(labels({})).toEqual([
    ['start 0.0.0', 'start 1.0.0'],
    ['continue 0.0.1', 'continue 1.0.1'],
    ['start 0.1.0', 'start 1.1.0'],
    ['continue 0.1.1', 'continue 1.1.1'],
  ])
  expect(labels({ staggered: true, variant: 'truncated-es' })).toEqual([
    ['start 0.0.0', 'start 1.0.1'],
    ['branch 0.0.1', 'start 1.1.0'],
    ['start 0.1.0', 'branch 1.1.1'],
    ['branch 0.1.1', 'start 1.2.0'],
  ])
})

test('es-single: the state holds seeds, a restart changes nothing, any gradient method takes the steps', () => {
  for (const variant of ['es-single', 'pes', 'truncated-es'] as const) {
    const optimizer = { id: 'lion', config: { learningRate: 0.01 } }
    const config = { variant, particles: 3, truncations: 4, optimizer }
    const [plain, restarted] = [0, 1].map(() => new Session(method, vector([0.5]), config))
    const clients = [client(25), client(25)]
    for (let round = 0; round < 9; round++) {
      plain.rounds(1, clients[0])
      for (const query of restarted.ask(3)) {
        restarted.tell(query, clients[1](query))
        restarted.restart()
      }
    }
    expect(restarted.state).toEqual(plain.state)
    expect(plain.x[0]).not.toBe(0.5)
  }
})

test('es-single: refuses an optimizer that is not there, a wrong config of it, and one that asks elsewhere', () => {
  const start = (optimizer: object) => () => new Session(method, vector([0.5]), { optimizer })
  expect(start({ id: 'nowhere' })).toThrow('config.optimizer.id')
  expect(start({ id: 'adam', config: { beta3: 1 } })).toThrow('config.optimizer.config')
  expect(start({ id: 'sam' })).toThrow('config.optimizer.config.driver')
  expect(start({ id: 'cgo', config: { maximizers: ['x'] } })).toThrow('config.optimizer.config.driver')
})
