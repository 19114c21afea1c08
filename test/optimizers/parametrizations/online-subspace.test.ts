import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { multiply, multiplyByTransposed, multiplyTransposed, transpose } from '../../../src/optimizers/matrices.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as preset } from '../../../src/optimizers/presets/online-subspace.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { orthonormalize } from '../../../src/optimizers/subspace-momentum.js'
import { Session } from '../session.js'

beforeAll(loadEngines)

const matrix = (rows: number, columns: number): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'x', shape: [rows, columns], dtype: 'f64' }],
})
/** `count` orthonormal rows of length n. */
function rows(rng: Rng, count: number, n: number): Float64Array {
  const b = Float64Array.from({ length: count * n }, () => rng.normal())
  orthonormalize(b, count, n)
  return b
}
type Basis = { basis: { x: Float64Array } }
const basisOf = (session: Session) => (session.state as unknown as { parametrization: Basis }).parametrization.basis.x
const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.hypot(...Array.from(a, (v, i) => v - b[i]))
/** |P - Q| for the projections onto the spans of rows. */
const apart = (a: Float64Array, b: Float64Array, n: number, count: number) =>
  distance(multiplyTransposed(a, a, count), multiplyTransposed(b, b, b.length / n))
const identityGap = (b: Float64Array, n: number) =>
  Math.hypot(...multiplyByTransposed(b, b, n).map((v, at) => v - Number(at % (b.length / n + 1) === 0)))

/** A gradient with these singular values: left vectors (rows of u) of the shorter side. */
const spectrum = (u: Float64Array, v: Float64Array, values: readonly number[]) => {
  const k = values.length
  return multiplyTransposed(
    u,
    v.map((value, at) => value * values[Math.floor(at / (v.length / k))]),
    k,
  )
}
const VALUES = [3, 2, 0.1, 0.05]
const subspace = (more: object) => ({ id: 'online-subspace', rank: 2, ...more })

test('[online-subspace-descent] at the leading singular vectors of a constant gradient the basis stays', () => {
  const rng = new Rng(rngStream(1, 'gradient'))
  const [u, v] = [rows(rng, 4, 4), rows(rng, 4, 6)]
  const g = spectrum(u, v, VALUES)
  const tail = Math.sqrt((0.1 ** 2 + 0.05 ** 2) / (9 + 4 + 0.1 ** 2 + 0.05 ** 2))
  for (const projectorRule of ['adam', 'sgd'])
    for (const [shape, told] of [
      [[4, 6], g],
      [[6, 4], transpose(g, 6)],
    ] as const) {
      const config = { learningRate: 0.01, parametrization: subspace({ projectorRule, projectorRate: 0.1 }) }
      const session = new Session(sgd, matrix(shape[0], shape[1]), { config })
      const first = basisOf(session.tell(told)).slice()
      // Orthogonal iteration has come close; what is left of the way is rounding.
      expect(apart(first, u.slice(0, 8), 4, 2)).toBeLessThan(1e-12)
      for (let t = 0; t < 20; t++) session.tell(told)
      expect(distance(basisOf(session), first)).toBeLessThan(1e-12)
      expect(session.metrics['projectionError.x']).toBeCloseTo(tail, 12)
    }
})

test('[online-subspace-descent] online PCA finds the leading subspace from anywhere', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const rng = new Rng(rngStream(seed, 'pca'))
    const u = rows(rng, 4, 4)
    const g = spectrum(u, rows(rng, 4, 6), VALUES)
    for (const [projectorRule, projectorRate, tolerance] of [
      ['sgd', 0.2, 1e-6],
      ['adam', 0.05, 1e-5],
    ] as const) {
      // The first gradient sets the basis: one of other directions.
      const config = { learningRate: 1e-3, parametrization: subspace({ projectorRule, projectorRate }) }
      const session = new Session(sgd, matrix(4, 6), { config }).tell(g)
      basisOf(session).set(rows(rng, 2, 4))
      for (let t = 0; t < 300; t++) session.tell(g)
      const basis = basisOf(session)
      expect(apart(basis, u.slice(0, 8), 4, 2), `${projectorRule}, seed ${seed}`).toBeLessThan(tolerance)
      expect(identityGap(basis, 4), `${projectorRule}, seed ${seed}`).toBeLessThan(tolerance)
    }
  }
})

test('[online-subspace-descent] follows a gradient that turns by a right angle in 200 steps', () => {
  const rng = new Rng(rngStream(7, 'turn'))
  const [u, v] = [rows(rng, 4, 8), rows(rng, 2, 12)]
  const gradient = (t: number) => {
    const angle = (Math.PI / 2) * (t / 200)
    // Two directions that turn into two others.
    const left = Float64Array.from({ length: 16 }, (_, at) => Math.cos(angle) * u[at] + Math.sin(angle) * u[16 + at])
    return spectrum(left, v, [3, 2])
  }
  const error = (parametrization: object) => {
    const session = new Session(adam, matrix(8, 12), { config: { learningRate: 1e-3, parametrization } })
    for (let t = 1; t <= 200; t++) session.tell(gradient(t))
    return session.metrics['projectionError.x']
  }
  expect(error(subspace({ projectorRate: 0.02 }))).toBeLessThanOrEqual(0.01)
  expect(error(subspace({ projectorRate: 0 }))).toBeGreaterThanOrEqual(0.6)
})

test('[online-subspace-descent] the rule sees coordinates; all directions are the rule itself', () => {
  const rng = new Rng(rngStream(8, 'rule'))
  const g = Array.from({ length: 10 }, () => Float64Array.from({ length: 12 }, () => rng.normal()))
  // With one direction, Adam by hand: R = P'G, W -= lr*scale*P*N.
  const config = {
    learningRate: 0.1,
    eps: 1e-6,
    parametrization: subspace({ rank: 1, scale: 0.5, projectorRate: 0, weightDecay: 0.2 }),
  }
  const session = new Session(adam, matrix(3, 4), { config })
  let [w, m, v] = [new Float64Array(12), new Float64Array(4), new Float64Array(4)]
  for (const [k, told] of g.entries()) {
    if (k === 4) session.restart()
    session.tell(told)
    const p = basisOf(session)
    const r = multiply(p, told, 3)
    m = m.map((mi, i) => 0.9 * mi + 0.1 * r[i])
    v = v.map((vi, i) => 0.999 * vi + 0.001 * r[i] ** 2)
    const n = m.map((mi, i) => mi / (1 - 0.9 ** (k + 1)) / (Math.sqrt(v[i] / (1 - 0.999 ** (k + 1))) + 1e-6))
    const step = multiplyTransposed(p, n, 1)
    w = w.map((wi, i) => wi * (1 - 0.1 * 0.2) - 0.1 * 0.5 * step[i])
    expect(distance(session.asked.x, w)).toBeLessThan(1e-12)
  }
  // P and its moments, 3 numbers each; m and v of 4.
  expect(session.metrics['subspaceElements.x']).toBe(9)
  expect(session.metrics.slotElements).toBe(8)

  const whole = new Session(sgd, matrix(3, 4), {
    config: { learningRate: 0.1, momentum: 0.9, parametrization: subspace({ rank: 3, projectorRate: 0 }) },
  })
  const plain = new Session(sgd, matrix(3, 4), { config: { learningRate: 0.1, momentum: 0.9 } })
  for (const told of g) expect(distance(whole.tell(told).asked.x, plain.tell(told).x)).toBeLessThan(1e-12)
})

test('[online-subspace-descent] around every rule, and with subspaces that are renewed', () => {
  const solution = Float64Array.from({ length: 24 }, (_, i) => Math.sin(i))
  for (const id of ['adam', 'lion', 'adafactor', 'sgd'])
    for (const projection of ['online', 'svd', 'random']) {
      const config = {
        learningRate: id === 'sgd' ? 0.3 : 0.03,
        schedule: { id: 'linear', steps: 600 },
        parametrization: subspace({ projection, updateEvery: 5, projectorRate: 0.1 }),
      }
      const method = methods.find((m) => m.id === id)!
      const more = id === 'adafactor' ? { relativeStep: false, scaleParameter: false } : {}
      const session = new Session(method, matrix(4, 6), { engine: 'wasm', config: { ...config, ...more } })
      session.steps(600, ({ x }) => ({ x: Float64Array.from(x, (v, i) => v - solution[i]) }))
      expect(distance(session.answer.x, solution), `${id}, ${projection}`).toBeLessThan(0.15 * Math.hypot(...solution))
    }
})

test('[online-subspace-descent] vectors are moved as ever; what does not go with a moving frame is refused', () => {
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [
      { name: 'x', shape: [3, 4], dtype: 'f32' },
      { name: 'b', shape: [2], dtype: 'f32' },
    ],
    initial: { b: Float32Array.of(1, -1) },
  }
  const told = { x: new Float64Array(12).fill(1), b: [1, -2] }
  const run = (config: object) => new Session(preset, space, { config }).tell(told)
  expect(Array.from(run({}).answer.b)).toEqual(
    Array.from(new Session(adam, space, { config: { eps: 1e-6 } }).tell(told).answer.b),
  )
  expect(() => run({ averaging: { id: 'ema' } })).toThrow('config.averaging')
  expect(() => run({ schedule: { id: 'sgdr' } })).toThrow('config.schedule')
  expect(() => run({ weightDecay: 0.1 })).toThrow('config.weightDecay: has nothing to act on')
  expect(() => run({ driver: { id: 'grad-penalty', blocks: 1, difference: 'hvp' } })).toThrow('config.driver')
})
