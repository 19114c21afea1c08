import { expect, test } from 'vitest'
import { recurrentWall } from '../../../examples/workloads/recurrent-wall.js'
import { networkTensors, temporalOrder, temporalOrderLoss } from '../../../examples/workloads/temporal-order.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { elements, type Tensors } from '../../../src/core/tensor.js'
import { gradientFlow, omega } from '../../../src/optimizers/diagnostics/gradient-flow.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const clip = (more: object) => ({ transforms: [{ id: 'clip-norm', ...more }] })
/** What plain SGD with rate 1 from 0 moved by: the transformed gradient. */
const transformed = (config: object, g: Record<string, number[]>) => {
  const zeros = Object.fromEntries(Object.entries(g).map(([name, values]) => [name, values.map(() => 0)]))
  const session = new Session(sgd, vectors(zeros), { config: { learningRate: 1, ...config } }).tell(g)
  const moved = Object.values(session.state.x).flatMap((x) => Array.from(x, (xi) => -xi))
  return { moved, clipped: session.metrics.clipped }
}
const near = (found: readonly number[], expected: readonly number[]) => {
  for (const [i, e] of expected.entries()) expect(found[i]).toBeCloseTo(e, 12)
}

test('[clip-norm] one group, separate groups, and a threshold that is not reached', () => {
  const one = transformed(clip({ threshold: 1 }), { x: [3, 4] })
  near(one.moved, [0.6, 0.8])
  expect(one.clipped).toBe(1)
  const none = transformed(clip({ threshold: 10 }), { x: [3, 4] })
  expect(none.moved).toEqual([3, 4])
  expect(none.clipped).toBe(0)
  near(transformed(clip({ threshold: 1 }), { a: [3], b: [4] }).moved, [0.6, 0.8])
  near(transformed(clip({ threshold: 1, groups: [['a', 'b']] }), { a: [3], b: [4] }).moved, [0.6, 0.8])
  near(transformed(clip({ threshold: 1, groups: 'tensor' }), { a: [3], b: [4] }).moved, [1, 1])
  near(transformed(clip({ threshold: 1, groups: [['a'], ['b']] }), { a: [3], b: [4] }).moved, [1, 1])
  const some = transformed(clip({ threshold: 1, groups: [['a', 'c']] }), { a: [3], b: [7], c: [4] })
  near(some.moved, [0.6, 7, 0.8])
})

test('[clip-norm] groups of the space, and groups that are wrong', () => {
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'a', shape: [1], dtype: 'f64', group: 'head' },
      { name: 'b', shape: [1], dtype: 'f64', group: 'body' },
      { name: 'c', shape: [1], dtype: 'f64', group: 'head' },
    ],
  }
  const config = { learningRate: 1, ...clip({ threshold: 1, groups: 'group' }) }
  const session = new Session(sgd, space, { config }).tell({ a: [-3], b: [-0.5], c: [-4] })
  near(
    ['a', 'b', 'c'].map((name) => session.state.x[name][0]),
    [0.6, 0.5, 0.8],
  )
  const wrong = (groups: unknown) => () => new Session(sgd, space, { config: clip({ groups }) })
  expect(wrong([['a', 'z']])).toThrow('config.transforms[0].groups[0][1]: the space has no tensor "z"')
  expect(wrong([['a'], ['a']])).toThrow('config.transforms[0].groups[1][0]: "a" is in two groups')
})

test('[clip-norm] auto: a multiple of the running mean of the norms so far', () => {
  for (const groups of ['all', 'tensor', [['x']]]) {
    const session = new Session(sgd, vectors([0]), { config: { learningRate: 1, ...clip({ groups, factor: 2 }) } })
    let mean = 0
    let x = 0
    for (const [k, n] of [1, 1, 10, 1, 3].entries()) {
      const limit = k === 0 ? n : (2 * mean) / (1 - 0.99 ** k)
      mean = 0.99 * mean + 0.01 * n
      x -= Math.min(n, limit)
      session.tell([n])
      expect(session.x[0]).toBeCloseTo(x, 11)
      expect(session.metrics.clipped).toBe(Number(n > limit))
    }
  }
})

test('[clip-norm] the wall: clipped SGD solves it from all starts, plain SGD is thrown into the flat', () => {
  const errors = (config: object) => {
    const ends: number[] = []
    let farthest = 0
    for (const w of [4.6, 5.2, 5.8])
      for (const b of [-2.9, -2.6, -2.3]) {
        const session = new Session(sgd, vectors([w, b]), { config: { learningRate: 0.5, ...config } })
        for (let k = 0; k < 500; k++) {
          const before = session.x
          session.steps(
            1,
            of((x) => recurrentWall(x[0], x[1]).gradient),
          )
          farthest = Math.max(farthest, Math.hypot(session.x[0] - before[0], session.x[1] - before[1]))
        }
        ends.push(recurrentWall(session.x[0], session.x[1]).error)
      }
    return { ends, farthest }
  }
  for (const error of errors(clip({ threshold: 1 })).ends) expect(error).toBeLessThan(0.002)
  const { ends, farthest } = errors({})
  expect(ends.filter((error) => Math.abs(error - 0.09) < 0.001).length).toBeGreaterThanOrEqual(3)
  expect(farthest).toBeGreaterThan(1e4)
})

test('[clip-norm] the wall has gradients above 1e6, and they are exact', () => {
  let largest = 0
  for (let w = 4.4; w <= 6.4; w += 0.005)
    for (let b = -3.2; b <= -2; b += 0.005) largest = Math.max(largest, Math.hypot(...recurrentWall(w, b).gradient))
  expect(largest).toBeGreaterThan(1e6)
  const [gw, gb] = recurrentWall(4.6, -2.9).gradient
  const h = 1e-6
  expect((recurrentWall(4.6 + h, -2.9).error - recurrentWall(4.6 - h, -2.9).error) / (2 * h)).toBeCloseTo(gw, 6)
  expect((recurrentWall(4.6, -2.9 + h).error - recurrentWall(4.6, -2.9 - h).error) / (2 * h)).toBeCloseTo(gb, 6)
})

test('[clip-norm] omega: 0.25 of W = I/2 and 0 of an orthogonal W, for linear states; its gradient is exact', () => {
  const ones = [
    [1, 1],
    [1, 1],
  ]
  const d = [
    [3, -4],
    [0.1, 7],
  ]
  expect(omega([0.5, 0, 0, 0.5], d, ones).terms).toEqual([0.25, 0.25])
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)]
  for (const term of omega([c, -s, s, c], d, ones).terms) expect(term).toBeLessThan(1e-28)
  const W = [0.3, -0.8, 0.5, 0.2]
  const slopes = [
    [0.5, 0.9],
    [1, 0.2],
  ]
  const { gradient } = omega(W, d, slopes)
  for (const i of W.keys()) {
    const moved = (h: number) =>
      omega(
        W.map((w, j) => (i === j ? w + h : w)),
        d,
        slopes,
      ).omega
    expect((moved(1e-6) - moved(-1e-6)) / 2e-6).toBeCloseTo(gradient[i], 7)
  }
})

test('[clip-norm] temporal order: exact gradients, their flow, and a network that learns it under clipping', () => {
  const units = 12
  const length = 10
  const tensors = networkTensors(units)
  const start = (scale: number) => {
    const rng = new Rng(rngStream(3, 'weights'))
    return Object.fromEntries(
      tensors.map(({ name, shape }) => [
        name,
        Float64Array.from({ length: elements(shape) }, () => scale * rng.normal()),
      ]),
    )
  }
  const data = rngStream(5, 'data')
  const batch = temporalOrder(data, length, 4)
  const network = start(0.3)
  const { gradient, states } = temporalOrderLoss(network, batch)
  for (const [name, at] of [
    ['W', 5],
    ['V', 8],
    ['b', 2],
    ['U', 7],
    ['c', 1],
  ] as const) {
    const moved = (h: number) => {
      const copy = { ...network, [name]: network[name].map((v: number, i: number) => (i === at ? v + h : v)) }
      return temporalOrderLoss(copy, batch).loss
    }
    expect((moved(1e-5) - moved(-1e-5)) / 2e-5).toBeCloseTo(gradient[name][at], 8)
  }
  expect(states.gradients).toHaveLength(length)

  const flow = (scale: number) =>
    gradientFlow(temporalOrderLoss(start(scale), temporalOrder(data, 60, 1)).states.gradients)
  expect(flow(0.02).flow).toBe('vanishing')
  expect(flow(0.02).factor).toBeLessThan(0.2)
  expect(gradientFlow([100, 10, 1]).ratios).toEqual([10, 10])
  expect(gradientFlow([1e4, 10, 1]).flow).toBe('exploding')

  const space: TensorsSpace = { kind: 'tensors', tensors, initial: network }
  const session = new Session(adam, space, { config: { learningRate: 0.01, ...clip({ threshold: 1 }) } })
  session.steps(300, (x: Tensors) => temporalOrderLoss(x, temporalOrder(data, length, 16)).gradient)
  expect(temporalOrderLoss(session.state.x, temporalOrder(rngStream(6, 'test'), length, 200)).accuracy).toBeGreaterThan(
    0.95,
  )
})
