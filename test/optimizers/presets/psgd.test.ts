import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { gaussian, norm } from '../../../src/optimizers/flat.js'
import { type FittingName, fittings } from '../../../src/optimizers/preconditioners/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method } from '../../../src/optimizers/presets/psgd.js'
import { layoutOf, type Matrix, type preconditioned, product } from '../preconditioners/fits.js'
import { Session, vectors } from '../session.js'

/** Condition number of the eigenvalues of P*H, those of P^1/2 H P^1/2, for a positive H. */
function condition(group: FittingName, fit: Parameters<typeof preconditioned>[1], H: Matrix): number {
  const n = H.length
  const layout = layoutOf(n)
  // The eigenvalues of P H are those of L'P L with H = L L'.
  const L = Float64Array.from(H.flatMap((row) => Array.from(row)))
  for (let j = 0; j < n; j++)
    for (let i = 0; i < n; i++) {
      if (i < j) L[i * n + j] = 0
      else {
        let sum = H[i][j]
        for (let k = 0; k < j; k++) sum -= L[i * n + k] * L[j * n + k]
        L[i * n + j] = i === j ? Math.sqrt(sum) : sum / L[j * n + j]
      }
    }
  const column = (j: number) => Float64Array.from({ length: n }, (_, i) => L[i * n + j])
  const m = new Float64Array(n * n)
  for (let j = 0; j < n; j++) {
    const PL = fittings[group].apply(fit, layout, column(j))
    for (let i = 0; i < n; i++) m[i * n + j] = column(i).reduce((sum, value, k) => sum + value * PL[k], 0)
  }
  const values = symmetricEigen(m, n)
  return Math.max(...values) / Math.min(...values)
}

/** A random orthogonal matrix times a diagonal times its transpose. */
function rotated(spectrum: readonly number[]): Matrix {
  const n = spectrum.length
  const rng = new Rng(rngStream(2, 'rotation'))
  const basis: Float64Array[] = []
  while (basis.length < n) {
    const q = gaussian(rng, n)
    for (let pass = 0; pass < 2; pass++)
      for (const b of basis) {
        const along = b.reduce((sum, value, i) => sum + value * q[i], 0)
        for (let i = 0; i < n; i++) q[i] -= along * b[i]
      }
    basis.push(q.map((value) => value / norm(q)))
  }
  return Array.from({ length: n }, (_, i) =>
    Float64Array.from({ length: n }, (_, j) => spectrum.reduce((sum, s, k) => sum + s * basis[k][i] * basis[k][j], 0)),
  )
}
const diagonal = (spectrum: readonly number[]): Matrix =>
  spectrum.map((s, i) => Float64Array.from(spectrum, (_, j) => (i === j ? s : 0)))

/** The condition number of P*H after so many fits of a session at rest. */
function after(group: FittingName, H: Matrix, updates: number): number {
  const session = new Session(method, vectors(Array(H.length).fill(0)), {
    config: { learningRate: 0, driver: { id: 'psgd', group, rate: 0.5, scale: 1 } },
    product: (_, { x }) => ({ x: product(H, x) }),
  })
  session.steps(updates, () => ({ x: new Float64Array(H.length) }))
  return condition(group, session.state.driver.arrays!, H)
}

const expectClose = (a: Float64Array, b: Float64Array) =>
  a.forEach((value, i) => {
    expect(value).toBeCloseTo(b[i], 12)
  })

test('[psgd] one step of one parameter, and none at the solution, in every group', () => {
  const rng = new Rng(rngStream(1, 'step'))
  const layout = layoutOf(1)
  for (const group of ['gl', 'triangular'] as const) {
    const fit = fittings[group].begin(layout, 1, rng)
    fittings[group].learn(fit, layout, { v: Float64Array.of(1), h: Float64Array.of(2) }, 0.5, rng)
    expect(fit.Q[0]).toBeCloseTo(0.7, 12)
  }
  // H = 4: P = 1/4 and scale = 1/2, a = Q h = 2 v = b = v/Q.
  for (const group of ['gl', 'triangular', 'diagonal', 'xmat', 'kron', 'spd', 'euclidean', 'bfgs'] as const)
    for (const n of [1, 6]) {
      const sides = n === 1 ? ([[1, 1]] as const) : ([[3, 2]] as const)
      const layout = layoutOf(n, { sides })
      const fit = fittings[group].begin(layout, 0.5, rng)
      const before = structuredClone(fit)
      const v = gaussian(rng, n)
      fittings[group].learn(fit, layout, { v, h: v.map((value) => 4 * value) }, 0.5, rng)
      for (const [name, array] of Object.entries(fit)) if (name !== 'age') expectClose(array, before[name])
    }
  // low-rank begins at a random P: the pair is made for it, h = P^-1 v.
  const low = layoutOf(6, { rank: 2 })
  const fit = fittings['low-rank'].begin(low, 0.5, rng)
  const before = structuredClone(fit)
  const v = gaussian(rng, 6)
  fittings['low-rank'].learn(fit, low, { v, h: fittings['low-rank'].invert(fit, low, v) }, 0.5, rng)
  for (const [name, array] of Object.entries(fit)) expectClose(array, before[name])
})

test('[psgd] condition numbers of P*H', () => {
  const spectrum = Array.from({ length: 10 }, (_, i) => 10 ** (-2 + (4 * i) / 9))
  expect(after('gl', rotated(spectrum), 3000)).toBeLessThan(10)
  expect(after('triangular', rotated(spectrum), 3000)).toBeLessThan(100)
  expect(after('diagonal', diagonal(spectrum), 1000)).toBeLessThan(40)
  const coupled = [Float64Array.of(2, 1.9), Float64Array.of(1.9, 2)]
  expect(after('xmat', coupled, 500)).toBeLessThanOrEqual(1.01)
  expect(after('diagonal', coupled, 500)).toBeGreaterThan(30)
})

const rosenbrock = ([x, y]: ArrayLike<number> & Iterable<number>) => (1 - x) ** 2 + 100 * (y - x * x) ** 2
const slope = ([x, y]: ArrayLike<number> & Iterable<number>) => [
  -2 * (1 - x) - 400 * x * (y - x * x),
  200 * (y - x * x),
]

test('[psgd] Rosenbrock from (-1, 1) with exact products', () => {
  for (const seed of [1, 2, 3]) {
    const session = new Session(method, vectors([-1, 1]), {
      seed,
      config: { learningRate: 0.5, driver: { id: 'psgd', group: 'gl', rate: 0.5, scale: 0.1, clip: 1 } },
      product: ({ x: [x, y] }, { x: [u, v] }) => ({
        x: [(2 - 400 * (y - 3 * x * x)) * u - 400 * x * v, -400 * x * u + 200 * v],
      }),
    })
    expect(rosenbrock(session.steps(300, ({ x }) => ({ x: slope(x) })).x)).toBeLessThan(1e-15)
  }
  const descents = Array.from({ length: 21 }, (_, k) => {
    let x = [-1, 1]
    for (let t = 0; t < 2000; t++) {
      const g = slope(x)
      x = x.map((value, i) => value - 10 ** (-4 + k / 10) * g[i])
    }
    return rosenbrock(x)
  }).filter(Number.isFinite)
  expect(Math.min(...descents)).toBeGreaterThan(1e-3)
})

test("[psgd] whitening: P becomes (E gg')^-1/2", () => {
  const rng = new Rng(rngStream(4, 'gradients'))
  const session = new Session(method, vectors([0, 0]), {
    config: { learningRate: 0, driver: { id: 'psgd', group: 'gl', pairs: 'whitening', rate: 0.01 } },
  })
  session.steps(4000, () => ({ x: [4 * rng.normal(), 0.5 * rng.normal()] }))
  const layout = layoutOf(2)
  const P = [0, 1].map((i) => fittings.gl.apply(session.state.driver.arrays!, layout, Float64Array.of(1 - i, i))[i])
  expect(P[0]).toBeGreaterThan(0.2)
  expect(P[0]).toBeLessThan(0.31)
  expect(P[1]).toBeGreaterThan(1.6)
  expect(P[1]).toBeLessThan(2.5)
})

test('[psgd] the product is asked on the sample of the gradient, along a probe of the session; fewer on demand', () => {
  const asked: string[] = []
  const session = new Session(method, vectors([1, 1]), {
    config: { driver: { id: 'psgd', probability: 0.25 } },
    product: (_, { x }, { sampleKey }) => {
      asked.push(sampleKey!)
      return { x }
    },
  })
  session.steps(400, ({ x }) => ({ x }))
  expect(asked[0]).toBe('s1')
  expect(new Set(asked).size).toBe(asked.length)
  expect(asked.length).toBeGreaterThan(60)
  expect(asked.length).toBeLessThan(150)
})

test('[psgd] clip bounds the step; the driver goes around other rules', () => {
  const session = new Session(method, vectors([1000, 1000]), {
    config: { learningRate: 1, driver: { id: 'psgd', group: 'diagonal', clip: 0.5 } },
    product: (_, { x }) => ({ x }),
  })
  session.steps(1, ({ x }) => ({ x }))
  expect(norm(session.x.map((x) => x - 1000))).toBeCloseTo(0.5, 12)
  const around = new Session(adam, vectors([1, 1]), {
    config: { learningRate: 0.1, driver: { id: 'psgd', group: 'xmat' } },
    product: (_, { x }) => ({ x: [100 * x[0], x[1]] }),
  })
  around.steps(400, ({ x }) => ({ x: [100 * x[0], x[1]] }))
  expect(Math.max(...around.x.map(Math.abs))).toBeLessThan(1e-2)
})

test('[psgd] what does not fit is refused by its place', () => {
  const wide = { kind: 'tensors' as const, tensors: [{ name: 'x', shape: [100_000], dtype: 'f32' as const }] }
  expect(() => new Session(method, wide, { config: { driver: { id: 'psgd', group: 'gl' } } })).toThrow(
    'config.driver.group: gl would keep 20000000000 numbers',
  )
  expect(
    () => new Session(method, vectors([0]), { config: { driver: { id: 'psgd', group: 'low-rank', rate: 1 } } }),
  ).toThrow('config.driver.rate: low-rank may become singular')
})
