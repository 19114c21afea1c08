import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { responses, starvationIndex, starvedBy } from '../../../src/optimizers/diagnostics/gradient-starvation.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Network } from '../network.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

const driver = { id: 'spectral-decoupling' }
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))

/** The two-feature model of the paper: f = Phi*theta, Phi = U*diag(l, 2), both labels 1. */
const U = [Math.sqrt(0.75), -0.5, 0.5, Math.sqrt(0.75)]
const toy = (l: number) => {
  const phi = U.map((u, at) => u * [l, 2][at % 2])
  const outputs = (theta: ArrayLike<number>) => [0, 2].map((row) => phi[row] * theta[0] + phi[row + 1] * theta[1])
  const back = (e: readonly number[]) => [0, 1].map((j) => phi[j] * e[0] + phi[2 + j] * e[1])
  return { phi, outputs, back }
}
const decoupled = (l: number, config: object = {}) => {
  const { phi, outputs, back } = toy(l)
  return new Session(sgd, vectors([0, 0]), {
    config: { learningRate: 0.05, driver: { ...driver, coefficient: 0.2 / 100, ...config } },
    quantities: ({ x }) => ({ outputs: outputs(x), labels: [1, 1], gradients: phi }),
  }).steps(20_000, ({ x }, { purpose }) => ({
    x: back(outputs(x).map((f) => (purpose === 'energy' ? f : -sigmoid(-f)))),
  }))
}

test('[spectral-decoupling] two features: neither depends on how strong the other is', () => {
  for (const l of [2, 3, 4, 5, 6]) {
    const z = responses(U, [1, 1], toy(l).outputs(decoupled(l).x))
    expect(Math.abs(z[0] - 6.3727)).toBeLessThan(1e-3)
    expect(Math.abs(z[1] - 1.7076)).toBeLessThan(1e-3)
  }
})

test('[spectral-decoupling] under weight decay the strong feature starves the weak; the session reports both', () => {
  const decayed = (l: number) => {
    const { outputs, back } = toy(l)
    const session = new Session(sgd, vectors([0, 0]), { config: { learningRate: 0.05, weightDecay: 1 / 100 } })
    session.steps(
      20_000,
      of((x) => back(outputs(x).map((f) => -sigmoid(-f)))),
    )
    return { strength: l, responses: responses(U, [1, 1], outputs(session.x)) }
  }
  expect(starvedBy(decayed(2), decayed(4))[1]).toBeGreaterThan(0.05)
  const ends = [3, 6].map((l) => {
    const { metrics } = decoupled(l, { examples: 2, every: 500, shown: 2 })
    expect(metrics.strength1).toBeCloseTo(l, 9)
    expect(metrics.strength2).toBeCloseTo(2, 9)
    return { strength: metrics.strength1, responses: [metrics.response1, metrics.response2] }
  })
  for (const { responses } of ends) {
    expect(Math.abs(responses[0] - 6.3727)).toBeLessThan(1e-3)
    expect(Math.abs(responses[1] - 1.7076)).toBeLessThan(1e-3)
  }
  expect(Math.abs(starvedBy(ends[0], ends[1])[1])).toBeLessThan(1e-3)
  expect(starvationIndex([4, 1], [4, -1])).toBe(0)
  expect(starvationIndex([4, 1], [4, 0])).toBe(0.2)
})

test('[spectral-decoupling] the rule gets the sum of both rows, and all of it at coefficient 0', () => {
  const rows: Record<string, number[]> = { step: [0.1, -0.2], energy: [3, 5], 'outputs.1': [7, -11] }
  const config = (more: object) => ({ learningRate: 1, driver: { ...driver, coefficient: 0.3, ...more } })
  const told = (more: object) => {
    const asked: string[] = []
    const session = new Session(sgd, vectors([0, 0]), { config: config(more) })
    session.steps(1, (_, { purpose, sampleKey }) => {
      asked.push(`${purpose} ${sampleKey}`)
      return { x: rows[purpose!] }
    })
    return { asked, g: session.x.map((x) => 0 - x) }
  }
  expect(told({})).toEqual({ asked: ['step s1.0', 'energy s1.0'], g: [0.1 + 0.3 * 3, -0.2 + 0.3 * 5] })
  expect(told({ gamma: [0, 2] })).toEqual({
    asked: ['step s1.0', 'energy s1.0', 'outputs.1 s1.0'],
    g: [0.1 + 0.3 * 3 + -0.3 * 2 * 7, -0.2 + 0.3 * 5 + -0.3 * 2 * -11],
  })
  for (const method of [sgd, adam]) {
    const run = (more: object) =>
      new Session(method, vectors([1, -2]), { config: more }).steps(
        40,
        of((x) => [Math.sin(x[0]), x[1]]),
      ).x
    expect(run({ driver: { ...driver, coefficient: 0 } })).toEqual(run({}))
  }
})

test('[spectral-decoupling] it is no L2 penalty on weights: logits of a bias alone shrink too', () => {
  // f = b: the energy is b^2/2 whatever the weights are, which stay.
  const session = new Session(sgd, vectors({ w: [3], b: [2] }), {
    config: { learningRate: 0.1, driver: { ...driver, coefficient: 1 } },
  })
  session.steps(100, ({ b }, { purpose }) => ({ w: [0], b: purpose === 'energy' ? [b[0]] : [0] }))
  expect(session.state.x.w[0]).toBe(3)
  expect(session.state.x.b[0]).toBeCloseTo(2 * 0.9 ** 100, 12)
})

const EXAMPLES = 300
/**
 * Two moons, 0.1 apart along the first coordinate, as in the published code: centred, each point mirrored to the side of its
 * class and moved away from the other. The second coordinate tells the shape.
 */
function moons(rng: Rng) {
  const points = Array.from({ length: EXAMPLES }, (_, i) => {
    const label = i % 2 === 0 ? -1 : 1
    const angle = (Math.PI * Math.floor(i / 2)) / (EXAMPLES / 2 - 1)
    const [along, across] =
      label < 0 ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)]
    return { label, along: along + 0.1 * rng.normal() - 0.5, across: across + 0.1 * rng.normal() - 0.3 * label }
  })
  const middle = points.reduce((sum, { across }) => sum + across / EXAMPLES, 0)
  const rows = points.map(({ label, along, across }) => [-label * (Math.abs(across - middle) + 0.1), along])
  return { inputs: Float64Array.from(rows.flat()), labels: points.map(({ label }) => label) }
}

const SIDE = 41
const grid = Float64Array.from({ length: 2 * SIDE * SIDE }, (_, at) => {
  const cell = at >> 1
  return -1 + (2 * (at % 2 === 0 ? Math.floor(cell / SIDE) : cell % SIDE)) / (SIDE - 1)
})
const deviation = (values: ArrayLike<number>) => {
  const list = Array.from(values)
  const mean = list.reduce((sum, v) => sum + v / list.length, 0)
  return Math.sqrt(list.reduce((sum, v) => sum + (v - mean) ** 2 / list.length, 0))
}

test('[spectral-decoupling] two moons: with it the decision follows their shape, not the gap alone', () => {
  const network = new Network([2, 500, 1], SIDE * SIDE)
  const shape = (seed: number, coefficient: number) => {
    const rng = new Rng(rngStream(seed, 'moons'))
    const { inputs, labels } = moons(rng)
    const initial = Object.fromEntries(
      network.specs.map(({ name, shape }, k) => {
        const limit = 1 / Math.sqrt(k < 2 ? 2 : 500)
        return [name, new Float64Array(shape.reduce((n, d) => n * d, 1)).map(() => limit * (2 * rng.uniform() - 1))]
      }),
    )
    const space: TensorsSpace = { kind: 'tensors', tensors: network.specs, initial }
    const config = { learningRate: 0.01, momentum: 0.9, reportNorm: false, driver: { ...driver, coefficient } }
    const session = new Session(sgd, space, { engine: 'wasm', config })
    session.steps(1000, (x, { purpose }) =>
      network.gradient(x, inputs, (f) =>
        labels.map((y, i) => (purpose === 'energy' ? f[i] : -y * sigmoid(-y * f[i])) / EXAMPLES),
      ),
    )
    const f = network.forward(session.state.x, grid)
    const rows = Array.from({ length: SIDE }, (_, i) => deviation(f.subarray(i * SIDE, (i + 1) * SIDE)))
    return rows.reduce((sum, d) => sum + d / SIDE, 0) / deviation(f)
  }
  const mean = (coefficient: number) => [1, 2, 3].reduce((sum, seed) => sum + shape(seed, coefficient) / 3, 0)
  expect(mean(0.03)).toBeGreaterThanOrEqual(2 * mean(0))
})
