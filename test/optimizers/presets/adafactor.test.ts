import { beforeAll, expect, test } from 'vitest'
import type { TensorsSpace } from '../../../src/core/space.js'
import { elements } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adafactor } from '../../../src/optimizers/presets/adafactor.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const ones = (...shape: number[]): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'x', shape, dtype: 'f64' }],
  initial: { x: new Float64Array(elements(shape)).fill(1) },
})
/** U of the first step, for steps of 0.01*U from 1. */
const update = (session: Session, rate = 0.01) => session.x.map((x) => (1 - x) / rate)
const G = [1, 2, 3, 4]

test('[adafactor] the first step on a 2 by 2 matrix', () => {
  const U = [0.774597, 1.095445, 1.03923, 0.979796]
  const session = new Session(adafactor, ones(2, 2)).tell(G)
  for (const [i, u] of U.entries()) expect(Math.abs(session.x[i] - (1 - 0.01 * u))).toBeLessThan(1e-6)
  const found = update(session)
  expect(Math.sqrt(found.reduce((sum, u) => sum + u * u, 0) / 4)).toBeCloseTo(0.979796, 5)
})

test('[adafactor] squared gradients of rank one: the factored update is the unfactored one', () => {
  const rankOne = [1, -2, 0.5, 3].flatMap((u) => [2, -1, 5].map((v) => u * v))
  const first = (gradient: number[], shape: number[], factored: boolean) =>
    update(new Session(adafactor, ones(...shape), { config: { factored } }).tell(gradient))
  const [factored, plain] = [first(rankOne, [4, 3], true), first(rankOne, [4, 3], false)]
  for (const [i, u] of factored.entries()) {
    expect(Math.abs(u - plain[i])).toBeLessThan(1e-9)
    expect(Math.abs(u)).toBeCloseTo(1, 9)
  }
  const [a, b] = [first(G, [2, 2], true), first(G, [2, 2], false)]
  for (const u of b) expect(u).toBeCloseTo(1, 9)
  expect(Math.max(...a.map((u, i) => Math.abs(u - b[i])))).toBeGreaterThan(0.02)
})

test('[adafactor] a jump of a scalar is clipped', () => {
  const space = (): TensorsSpace => ({ kind: 'tensors', tensors: [{ name: 'x', shape: [], dtype: 'f64' }] })
  const move = (clip: number | 'off') => {
    const config = { scaleParameter: false, relativeStep: false, learningRate: 0.1, clip }
    const session = new Session(adafactor, space(), { config }).tell([1])
    const before = session.x[0]
    return before - session.tell([100]).x[0]
  }
  expect(Math.abs(move(1) - 0.1)).toBeLessThan(1e-4)
  expect(Math.abs(move('off') - 0.1319)).toBeLessThan(1e-4)
})

test('[adafactor] higher ranks factor their last two axes, matrix by matrix', () => {
  const gradient = [...G, 10, -1, 2, 7]
  const cube = update(new Session(adafactor, ones(2, 2, 2), { config: { clip: 'off' } }).tell(gradient))
  const matrices = [0, 4].flatMap((at) =>
    update(new Session(adafactor, ones(2, 2), { config: { clip: 'off' } }).tell(gradient.slice(at, at + 4))),
  )
  for (const [i, u] of cube.entries()) expect(u).toBeCloseTo(matrices[i], 9)
})

test('[adafactor] memory is rows and columns; momentum, decay, warm-up and the scale of x are options', () => {
  const numbers = (config: object) => new Session(adafactor, ones(30, 20), { config }).metrics.slotElements
  expect(numbers({})).toBe(50)
  expect(numbers({ factored: false })).toBe(600)
  expect(numbers({ beta1: 0.9 })).toBe(650)

  const config = { beta1: 0.9, weightDecay: 0.1, warmup: true, scaleParameter: true }
  const session = new Session(adafactor, vectors([2, -2]), { config })
  let x = [2, -2]
  let V = [0, 0]
  let M = [0, 0]
  for (let t = 1; t <= 4; t++) {
    const g = [t, -0.1]
    session.tell(g)
    const alpha = Math.max(1e-3, Math.hypot(...x) / Math.SQRT2) * Math.min(1e-6 * t, 1 / Math.sqrt(t))
    const beta2 = 1 - t ** -0.8
    V = V.map((v, i) => beta2 * v + (1 - beta2) * (g[i] ** 2 + 1e-30))
    const U = g.map((gi, i) => gi / Math.sqrt(V[i]))
    const rms = Math.hypot(...U) / Math.SQRT2
    M = M.map((m, i) => 0.9 * m + (0.1 * alpha * U[i]) / Math.max(1, rms))
    x = x.map((xi, i) => xi * (1 - alpha * 0.1) - M[i])
    for (const i of [0, 1]) expect(session.x[i]).toBeCloseTo(x[i], 13)
  }
})

test('[adafactor] gradients whose squares overflow f32 move x by their signs, and spoil no slot', () => {
  const tensors = [{ name: 'x', shape: [3, 4], dtype: 'f32' as const }]
  const session = new Session(adafactor, { kind: 'tensors', tensors }, { engine: 'wasm' })
  session.tell({ x: Float32Array.from({ length: 12 }, (_, i) => (i % 2 ? -1e38 : 1e38)) })
  for (const [i, x] of session.x.entries()) expect(Math.sign(x)).toBe(i % 2 ? 1 : -1)
  for (const slot of Object.values(session.state.slots))
    for (const array of Object.values(slot)) expect(array.every(Number.isFinite)).toBe(true)
})

test('[adafactor] rows and columns without a gradient stay where they are, in f32 too', () => {
  const space = ones(3, 3)
  const narrow: TensorsSpace = {
    ...space,
    tensors: [{ name: 'x', shape: [3, 3], dtype: 'f32' }],
    initial: { x: new Float32Array(9).fill(1) },
  }
  for (const beta1 of [0, 0.9]) {
    const session = new Session(adafactor, narrow, { config: { beta1 } })
    for (let t = 0; t < 3; t++) session.tell([3, 0, 4, 0, 0, 0, -2, 0, 1])
    expect(Array.from(session.x, (x) => x === 1)).toEqual([0, 1, 0, 1, 1, 1, 0, 1, 0].map(Boolean))
    for (const x of session.x) expect(Math.abs(x - 1)).toBeLessThan(0.1)
  }
})
