import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { choleskyFactor, solveRows } from '../../../src/optimizers/cholesky.js'
import { change, widthExponent } from '../../../src/optimizers/diagnostics/coordinate-check.js'
import { dot } from '../../../src/optimizers/flat.js'
import { multiply, transpose } from '../../../src/optimizers/matrices.js'
import { method as kfac } from '../../../src/optimizers/presets/kfac.js'
import { method as shampoo } from '../../../src/optimizers/presets/shampoo.js'
import { type Pass, TanhNetwork } from '../../problems/layers.js'
import { Session } from '../session.js'

const [POINTS, INPUTS] = [32, 16]
const roles = { W1: 'input', W2: 'hidden', W3: 'output' } as const
type Layer = keyof typeof roles

/** 16 inputs, two hidden layers of this width, and sin(2 x_1) to be learned at 32 points. */
function network(width: number, seed: number) {
  const rng = new Rng(rngStream(seed, 'points'))
  const inputs = Float64Array.from({ length: POINTS * INPUTS }, () => rng.normal())
  const targets = Float64Array.from({ length: POINTS }, (_, i) => Math.sin(2 * inputs[i * INPUTS]))
  return new TanhNetwork([INPUTS, width, width, 1], inputs, targets)
}

const space = (net: TanhNetwork, initial?: Tensors): TensorsSpace => ({ kind: 'tensors', tensors: net.specs, initial })
/** What a step of a session of its own makes of the weights that it draws. */
function stepOf(
  method: typeof kfac | typeof shampoo,
  net: TanhNetwork,
  seed: number,
  config: object,
  initial?: Tensors,
) {
  const session = new Session(method as typeof kfac, space(net, initial), {
    config: { learningRate: 0.1, roles, ...config },
    seed,
    quantities: (x) => net.quantities(x),
  })
  const before = structuredClone(session.state.x)
  session.steps(1, (x) => net.gradient(x))
  return { before, after: session.state.x, session }
}
const kfacConfig = (parameterization: string, damping: object = {}) => ({
  parameterization,
  driver: { id: 'kfac', told: 'activations', ...damping },
})
const shampooConfig = (parameterization: string) => ({
  parameterization,
  damping: 'trace',
  baseWidth: 64,
  blockSize: 128,
  start: 1,
  beta1: 0,
  grafting: 'none',
})

/** The same steps where matrices are too large for a test: in the span of the 32 points. */
const gram = (rows: Float64Array, columns: number) => {
  const K = new Float64Array(POINTS * POINTS)
  const row = (i: number) => rows.subarray(i * columns, (i + 1) * columns)
  for (let i = 0; i < POINTS; i++) for (let j = 0; j < POINTS; j++) K[i * POINTS + j] = dot(row(i), row(j)) / POINTS
  return K
}
const trace = (K: Float64Array, n: number) => Array.from({ length: n }, (_, i) => K[i * n + i]).reduce((a, b) => a + b)

/** (B + rB)^-1 D'H (A + rA)^-1/N = D' (DD'/N + rB)^-1 (HH'/N + rA)^-1 H/N. */
function kfacSpan(h: Float64Array, d: Float64Array, [fanOut, fanIn]: readonly number[], fixed?: number) {
  const factor = (K: Float64Array) => {
    const added = fixed ?? 0.01 * trace(K, POINTS)
    for (let i = 0; i < POINTS; i++) K[i * POINTS + i] += added
    return choleskyFactor(K, POINTS)
  }
  const left = solveRows(factor(gram(d, fanOut)), POINTS, transpose(d, fanOut))
  const right = transpose(solveRows(factor(gram(h, fanIn)), POINTS, transpose(h, fanIn)), POINTS)
  return multiply(left, right, POINTS).map((value) => value / POINTS)
}

/** (GG' + r)^-1/4 G (G'G + r)^-1/4 = G (G'G + r)^-1/2, whose rows lie in the span of those of H. */
function shampooSpan(h: Float64Array, d: Float64Array, [fanOut, fanIn]: readonly number[]) {
  const basis: Float64Array[] = []
  for (let i = 0; i < POINTS; i++) {
    const q = h.slice(i * fanIn, (i + 1) * fanIn)
    const size = Math.sqrt(dot(q, q))
    for (let pass = 0; pass < 2; pass++)
      for (const other of basis) {
        const along = dot(q, other)
        for (let k = 0; k < fanIn; k++) q[k] -= along * other[k]
      }
    const length = Math.sqrt(dot(q, q))
    if (length > 1e-10 * size) basis.push(q.map((v) => v / length))
  }
  const n = basis.length
  const Q = Float64Array.from(basis.flatMap((q) => Array.from(q)))
  const HQ = multiply(h, transpose(Q, fanIn), fanIn)
  const GQ = multiply(transpose(d, fanOut), HQ, POINTS).map((value) => value / POINTS)
  const C = multiply(transpose(GQ, n), GQ, fanOut)
  const r = 0.01 * trace(C, n)
  const values = symmetricEigen(C, n)
  const scaled = multiply(GQ, C, n).map((value, at) => value / Math.sqrt(values[at % n] + r))
  return multiply(multiply(scaled, transpose(C, n), n), Q, n)
}

type Span = (h: Float64Array, d: Float64Array, shape: readonly number[]) => Float64Array
function spanStep(
  { specs }: TanhNetwork,
  before: Tensors,
  { h, d }: Pass,
  span: Span,
  rate: (name: Layer) => number,
): Tensors {
  return Object.fromEntries(
    specs.map(({ name, shape }, k) => {
      const after = span(h[k], d[k], shape)
      for (let i = 0; i < after.length; i++) after[i] = before[name][i] - rate(name as Layer) * after[i]
      return [name, after]
    }),
  )
}

const WIDTHS = [64, 128, 256, 1024]
const SEEDS = [1, 2, 3]
const flat = () => 0.1
const mupRate = (width: number, name: Layer) =>
  0.1 * (width / 64) ** { input: 0.5, hidden: 0, output: -0.5 }[roles[name]]
const fixedSpan: Span = (h, d, shape) => kfacSpan(h, d, shape, 0.01)
const VARIANTS = {
  mupKfac: ['mup', kfacSpan, flat],
  mupShampoo: ['mup', shampooSpan, mupRate],
  standardKfac: ['standard', kfacSpan, flat],
  standardShampoo: ['standard', shampooSpan, flat],
  fixedKfac: ['mup', fixedSpan, flat],
} as const satisfies { [variant: string]: readonly [string, Span, (width: number, name: Layer) => number] }

/** Exponents of the change of both hidden layers, by variant. */
function coordinateCheck() {
  const changes = Object.fromEntries(Object.keys(VARIANTS).map((variant) => [variant, WIDTHS.map(() => [0, 0])]))
  for (const [at, width] of WIDTHS.entries())
    for (const seed of SEEDS) {
      const net = network(width, seed)
      const { x: mup } = new Session(kfac, space(net), { config: { roles, parameterization: 'mup' }, seed }).state
      // The same draws, of another scale in the last layer.
      const standard = { ...mup, W3: mup.W3.map((w) => w * Math.sqrt(width)) }
      const starts = { mup: [mup, net.pass(mup)], standard: [standard, net.pass(standard)] } as const
      for (const [variant, [parameterization, span, rate]] of Object.entries(VARIANTS)) {
        const [before, old] = starts[parameterization]
        const now = net.pass(spanStep(net, before, old, span, (name) => rate(width, name)))
        for (const k of [1, 2]) changes[variant][at][k - 1] += change(old.h[k], now.h[k]) / SEEDS.length
      }
    }
  return (variant: keyof typeof VARIANTS, layer: number) =>
    widthExponent(
      WIDTHS,
      changes[variant].map((both) => both[layer - 1]),
    )
}

/** Steps that are the same up to this share of their length, tensor by tensor. */
const close = (found: Tensors, expected: Tensors, before: Tensors, tolerance: number) => {
  const length = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.hypot(...Array.from(a, (ai, i) => ai - b[i]))
  for (const [name, values] of Object.entries(expected))
    expect(length(found[name], values) / length(values, before[name])).toBeLessThan(tolerance)
}

test('[mup-second-order] the steps of both methods are those of the span of the points', () => {
  for (const width of [48, 96]) {
    const net = network(width, 1)
    for (const [parameterization, rate] of [
      ['mup', mupRate],
      ['standard', flat],
    ] as const) {
      const natural = stepOf(kfac, net, 1, kfacConfig(parameterization))
      close(
        natural.after,
        spanStep(net, natural.before, net.pass(natural.before), kfacSpan, flat),
        natural.before,
        1e-9,
      )
      const rooted = stepOf(shampoo, net, 1, shampooConfig(parameterization))
      close(
        rooted.after,
        spanStep(net, rooted.before, net.pass(rooted.before), shampooSpan, (name) => rate(width, name)),
        rooted.before,
        1e-5,
      )
    }
    const fixed = stepOf(kfac, net, 1, { ...kfacConfig('standard', { damping: 'fixed' }) })
    close(fixed.after, spanStep(net, fixed.before, net.pass(fixed.before), fixedSpan, flat), fixed.before, 1e-9)
  }
})

test('[mup-second-order] coordinate check: features change alike in mup; else the first layer stops to learn', () => {
  const exponent = coordinateCheck()
  for (const layer of [1, 2])
    for (const variant of ['mupKfac', 'mupShampoo'] as const)
      expect(Math.abs(exponent(variant, layer))).toBeLessThan(0.1)
  expect(exponent('standardKfac', 1)).toBeLessThan(-0.4)
  expect(exponent('standardShampoo', 1)).toBeLessThan(-0.4)
  // The damping has to go with the scale of the factors.
  expect(exponent('fixedKfac', 1)).toBeLessThan(-0.8)
})

test('[mup-second-order] at the base width mup is the plain optimizer with the same damping, exactly', () => {
  const net = network(64, 1)
  const initial = stepOf(kfac, net, 1, kfacConfig('mup')).before
  const run = (method: typeof kfac | typeof shampoo, config: object) =>
    stepOf(method, net, 1, config, initial).session.steps(2, (x) => net.gradient(x)).state.x
  expect(run(kfac, kfacConfig('mup'))).toEqual(run(kfac, kfacConfig('standard')))
  expect(run(shampoo, shampooConfig('mup'))).toEqual(run(shampoo, shampooConfig('standard')))
  expect(run(shampoo, { ...shampooConfig('mup'), baseWidth: 16 })).not.toEqual(run(shampoo, shampooConfig('standard')))
})

test('start values by role, where the space has none', () => {
  const net = network(64, 1)
  const draw = (config: object, seed = 1) =>
    new Session(kfac, space(net, { W2: new Float64Array(64 * 64).fill(7) }), { config: { roles, ...config }, seed })
      .state.x
  const deviation = (values: ArrayLike<number>) => Math.sqrt(dot(values, values) / values.length)
  const standard = draw({})
  expect(deviation(standard.W1) * Math.sqrt(INPUTS)).toBeCloseTo(1, 1)
  expect(deviation(standard.W3) * Math.sqrt(64)).toBeCloseTo(1, 0)
  const mup = draw({ parameterization: 'mup' })
  expect(mup.W1).toEqual(standard.W1)
  expect(Array.from(mup.W3, (w) => 8 * w)).toEqual(Array.from(standard.W3))
  expect(mup.W2.every((w) => w === 7)).toBe(true)
  expect(draw({ parameterization: 'mup', zeroOutput: true }).W3.every((w) => w === 0)).toBe(true)
  expect(draw({}, 2).W1).not.toEqual(standard.W1)
})

test('K-FAC: factors and activations tell the same; the change of pre-activations is that of the step', () => {
  const net = network(16, 1)
  const told = stepOf(kfac, net, 1, kfacConfig('mup'))
  const factors = stepOf(kfac, net, 1, { ...kfacConfig('mup'), driver: { id: 'kfac' } })
  close(factors.after, told.after, told.before, 1e-9)
  // Of the first layer nothing else changes what comes out.
  const pre = (weights: Tensors) =>
    multiply(net.pass(weights).h[0], transpose(weights.W1 as Float64Array, INPUTS), INPUTS)
  expect(told.session.metrics['change.W1']).toBeCloseTo(change(pre(told.before), pre(told.after)), 10)
  // Only some layers, asked every second step.
  const asked: string[][] = []
  const session = new Session(kfac, space(net, told.before), {
    config: { driver: { id: 'kfac', layers: ['W2'], every: 2 } },
    quantities: (x, { wants }) => {
      asked.push(wants.flatMap((want) => (want.kind === 'quantities' ? want.quantities.map(({ name }) => name) : [])))
      return net.quantities(x)
    },
  })
  const gradient = net.gradient(told.before)
  session.steps(1, (x) => net.gradient(x))
  session.state.x.W1.forEach((x, i) => {
    expect(x).toBeCloseTo(told.before.W1[i] - session.metrics.learningRate * gradient.W1[i], 12)
  })
  session.steps(3, (x) => net.gradient(x))
  expect(asked).toEqual([
    ['A.W2', 'B.W2'],
    ['A.W2', 'B.W2'],
  ])
})

test('roles and layers that are not there are refused', () => {
  const net = network(16, 1)
  const start = (config: object) => () => new Session(kfac, space(net), { config })
  expect(start({ parameterization: 'mup' })).toThrow('config.roles')
  expect(start({ roles: { W9: 'input' } })).toThrow('config.roles.W9')
  expect(start({ driver: { id: 'kfac', layers: ['W9'] } })).toThrow('config.driver.layers')
  expect(start({ ...kfacConfig('mup', { damping: 'fixed' }), roles })).toThrow('config.driver.damping')
})
