import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { dot, norm, sphere } from '../../../src/optimizers/flat.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { type Options, of, Session, vectors } from '../session.js'

await loadEngines()

/** A quadratic whose eigenvectors are a random basis. */
function quadratic(eigenvalues: readonly number[], seed = 1) {
  const d = eigenvalues.length
  const rng = new Rng(rngStream(seed, 'basis'))
  const basis: Float64Array[] = []
  while (basis.length < d) {
    const q = sphere(rng, d)
    for (let pass = 0; pass < 2; pass++)
      for (const other of basis) {
        const along = dot(q, other)
        for (let i = 0; i < d; i++) q[i] -= along * other[i]
      }
    const length = norm(q)
    basis.push(q.map((v) => v / length))
  }
  const combine = (weights: ArrayLike<number>) => {
    const sum = new Float64Array(d)
    basis.forEach((q, k) => {
      for (let i = 0; i < d; i++) sum[i] += weights[k] * q[i]
    })
    return sum
  }
  const product = (x: ArrayLike<number>) => combine(basis.map((q, k) => eigenvalues[k] * dot(q, x)))
  const value = (x: ArrayLike<number>) => dot(x, product(x)) / 2
  return { basis, combine, product, value, ones: combine(new Array(d).fill(1)) }
}

const linspace = (low: number, high: number, count: number) =>
  Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1))
const spread = [...linspace(0.01, 0.1, 90), ...linspace(9, 10, 10)]
const ask =
  (product: (x: ArrayLike<number>) => ArrayLike<number>): Options['product'] =>
  (_, { x }) => ({
    x: product(x),
  })

test('[fosi] Newton steps on ten large eigenvalues leave the rule a condition of ten', () => {
  const { product, value, ones } = quadratic(spread)
  const driver = { id: 'fosi', k: 10, alpha: 1, clip: 1, warmup: 0 }
  const session = new Session(sgd, vectors(Array.from(ones)), {
    config: { learningRate: 10, driver },
    product: ask(product),
  })
  for (const f of [0.392486, 0.147607, 0.073113])
    expect(Math.abs(value(session.steps(1, of(product)).x) - f)).toBeLessThan(1e-4)
  expect(value(session.steps(247, of(product)).x)).toBeLessThan(1e-20)
  linspace(9, 10, 10).forEach((lambda, i) => {
    expect(session.metrics[`eigenvalue${i + 1}`]).toBeCloseTo(lambda, 4)
  })
  // 40 products per search, one search per 100 steps, each on a sample of its own.
  expect(session.state.asked - 1).toBe(250 + 3 * 40)

  const plain = (learningRate: number, steps = 250) =>
    value(new Session(sgd, vectors(Array.from(ones)), { config: { learningRate } }).steps(steps, of(product)).x)
  expect(plain(0.19)).toBeCloseTo(0.0419, 4)
  expect(plain(10, 10)).toBeGreaterThan(1e20)
})

test('[fosi] the Newton part stays in the span of the eigenvectors and the rest outside of it, for Adam too', () => {
  const { product, ones } = quadratic(linspace(0.1, 10, 12), 2)
  for (const [method, config, variant] of [
    [sgd, { learningRate: 0.1 }, 'sgd'],
    [adam, { learningRate: 0.1 }, 'adam'],
  ] as const) {
    const driver = { id: 'fosi', k: 2, l: 1, alpha: 0.5, warmup: 2, refreshEvery: 6, variant }
    const session = new Session(method, vectors(Array.from(ones)), {
      config: { ...config, driver },
      product: ask(product),
    })
    for (let t = 1; t <= 20; t++) {
      const before = session.x
      const u = Float64Array.from(session.state.slots.u.x as Float64Array)
      session.steps(1, of(product))
      const move = session.x.map((x, i) => x - before[i])
      const V = [1, 2, 3].map((i) => Float64Array.from(session.view(`v${i}`).x))
      const inside = (a: ArrayLike<number>) => {
        const sum = new Float64Array(a.length)
        for (const v of V)
          v.forEach((vi, i) => {
            sum[i] += dot(v, a) * vi
          })
        return sum
      }
      const g = inside(product(before))
      const mean = g.map((gi, i) => (variant === 'adam' ? 0.1 * gi + 0.9 * u[i] : gi))
      const newton = new Float64Array(12)
      V.forEach((v, k) => {
        const lambda = session.metrics[`eigenvalue${k + 1}`] ?? 0
        if (lambda !== 0)
          v.forEach((vi, i) => {
            newton[i] += (dot(v, mean) * vi) / Math.abs(lambda)
          })
      })
      // What is left of the move without alpha*newton is scale*delta, orthogonal to the span.
      const rest = move.map((m, i) => m + 0.5 * newton[i])
      expect(norm(inside(rest))).toBeLessThan(1e-10)
      expect(norm(newton.map((n, i) => n - inside(newton)[i]))).toBeLessThan(1e-10)
      if (t > 2) expect(norm(newton)).toBeGreaterThan(0)
    }
  }
})

test('[fosi] without eigenvectors it is the rule, bit for bit', () => {
  const { product, ones } = quadratic(linspace(0.1, 10, 8), 3)
  for (const method of [sgd, adam])
    for (const engine of ['interpreter', 'wasm'] as const) {
      const start = (driver: object) =>
        new Session(method as typeof sgd, vectors(Array.from(ones)), {
          config: { learningRate: 0.05, ...driver },
          engine,
        })
      const plain = start({}).steps(30, of(product))
      const none = start({ driver: { id: 'fosi', k: 0, l: 0, warmup: 0 } }).steps(30, of(product))
      expect(none.x).toEqual(plain.x)
      // Before the first search too: there are no vectors yet.
      const early = start({ driver: { id: 'fosi', k: 2, warmup: 40 } }).steps(30, of(product))
      expect(early.x).toEqual(plain.x)
    }
})

test('[fosi] a saddle is left along minus the gradient, to which a pure Newton step goes', () => {
  const h = [10, -1]
  const product = (x: ArrayLike<number>) => h.map((hi, i) => hi * x[i])
  const session = new Session(sgd, vectors([1, 0.1]), {
    config: { learningRate: 0.01, driver: { id: 'fosi', k: 1, l: 1, alpha: 1, warmup: 0 } },
    product: ask(product),
  }).steps(1, of(product))
  // x - |H|^-1 g = (1 - 1, 0.1 + 0.1); Newton's x - H^-1 g is the saddle, (0, 0).
  expect(session.x[0]).toBeCloseTo(0, 12)
  expect(session.x[1]).toBeCloseTo(0.2, 12)
  expect(session.metrics).toMatchObject({ eigenvalue1: expect.closeTo(-1, 12), eigenvalue2: expect.closeTo(10, 12) })
})

test('searches: when they are due, on one sample, in the middle of a restart, and by differences of gradients', () => {
  const { product, ones } = quadratic(linspace(1, 10, 10), 4)
  const start = (more: object) =>
    new Session(adam, vectors(Array.from(ones)), {
      config: { learningRate: 0.1, driver: { id: 'fosi', k: 2, warmup: 3, refreshEvery: 4, order: 6, ...more } },
      product: ask(product),
    })
  const asked = start({})
  const keys: (readonly [string, string])[] = []
  for (let i = 0; i < 9 + 2 * 6; i++) {
    keys.push([asked.query.sampleKey!, asked.query.purpose!])
    if (i === 5) asked.restart()
    asked.reply(of(product))
  }
  expect(keys.slice(0, 10).map(([key]) => key)).toEqual(['s1', 's2', 's3', ...new Array(6).fill('s4.lanczos'), 's4'])
  expect(keys.filter(([, purpose]) => purpose === 'curvature')).toHaveLength(12)
  const made = start({ products: 'difference' }).steps(9, of(product))
  made.x.forEach((x, i) => {
    expect(x).toBeCloseTo(asked.x[i], 6)
  })
  expect(() => start({ k: 8, l: 3 })).toThrow('config.driver.k')
  const large = new Array<number>(60).fill(1)
  const wide = (l: number) => () => new Session(adam, vectors(large), { config: { driver: { id: 'fosi', k: 24, l } } })
  expect(wide(17)).toThrow('config.driver.k')
  expect(wide(16)).not.toThrow()
})
