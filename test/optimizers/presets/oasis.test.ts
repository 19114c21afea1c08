import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as oasis } from '../../../src/optimizers/presets/oasis.js'
import { type Options, of, Session, vectors } from '../session.js'

const rngOf = (name: string) => new Rng(rngStream(5, name))

test('[oasis] a badly scaled quadratic: half a step to the solution each time, which no single step size gives', () => {
  const h = [1, 100, 1e4]
  const value = (x: readonly number[]) => h.reduce((sum, hi, i) => sum + (hi * x[i] ** 2) / 2, 0)
  const scaled = (x: ArrayLike<number>) => h.map((hi, i) => hi * x[i])
  const start = (product: (z: ArrayLike<number>) => ArrayLike<number>) =>
    new Session(oasis, vectors([1, 1, 1]), {
      config: { initialStep: 1e-3 },
      product: (_, { x: z }) => ({ x: product(z) }),
    })
  const session = start(scaled).steps(1, of(scaled))
  for (const x of session.x) expect(x).toBeCloseTo(0.999, 12)
  for (let k = 1; k < 60; k++) {
    const before = session.x
    session.steps(1, of(scaled))
    // The change of the gradient and that of x go through zero together, with rounding of their own.
    expect(session.metrics.stepSize).toBeCloseTo(0.5, 8)
    session.x.forEach((x, i) => {
      expect(x / before[i]).toBeCloseTo(0.5, 8)
    })
  }
  expect(value(session.x)).toBeLessThan(1e-25)
  // Told that the Hessian is the identity, the same rule is adaptive gradient descent.
  expect(value(start((z) => z).steps(60, of(scaled)).x)).toBeGreaterThan(0.1)
})

/** Logistic regression with features of very different scales, and all that may be asked of it. */
function regression(features: number, examples: number, l2: number) {
  const rng = rngOf('regression')
  const scale = Array.from({ length: features }, (_, j) => 10 ** (-1.5 + (3 * j) / (features - 1)))
  const truth = scale.map((s) => rng.normal() / s)
  const rows = Array.from({ length: examples }, () => scale.map((s) => s * rng.normal()))
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    let sum = 0
    for (let j = 0; j < a.length; j++) sum += a[j] * b[j]
    return sum
  }
  const sigmoid = (u: number) => 1 / (1 + Math.exp(-u))
  const labels = rows.map((row) => (rng.uniform() < sigmoid(dot(row, truth)) ? 1 : -1))
  const all = rows.map((_, i) => i)
  const value = (w: ArrayLike<number>) =>
    all.reduce((sum, i) => sum + Math.log1p(Math.exp(-labels[i] * dot(rows[i], w))), 0) / examples +
    (l2 / 2) * dot(w, w)
  const gradient = (w: ArrayLike<number>, batch = all) => {
    const g = Array.from(w, (wj) => l2 * wj)
    for (const i of batch) {
      const weight = (-labels[i] * sigmoid(-labels[i] * dot(rows[i], w))) / batch.length
      for (let j = 0; j < features; j++) g[j] += weight * rows[i][j]
    }
    return g
  }
  const product = (w: ArrayLike<number>, z: ArrayLike<number>, batch = all) => {
    const h = Array.from(z, (zj) => l2 * zj)
    for (const i of batch) {
      const s = sigmoid(dot(rows[i], w))
      const weight = (s * (1 - s) * dot(rows[i], z)) / batch.length
      for (let j = 0; j < features; j++) h[j] += weight * rows[i][j]
    }
    return h
  }
  /** The least value, by Newton steps that are halved while they lead upwards. */
  const least = () => {
    let w: number[] = scale.map(() => 0)
    for (let k = 0; k < 100; k++) {
      const d = solve(w, gradient(w))
      let step = 1
      while (value(w.map((wj, j) => wj - step * d[j])) > value(w) && step > 1e-8) step /= 2
      w = w.map((wj, j) => wj - step * d[j])
    }
    return value(w)
  }
  /** By conjugate gradients on variables that are scaled alike. */
  const solve = (w: readonly number[], g: readonly number[]) => {
    const d = scale.map(() => 0)
    const r = g.map((gj, j) => gj / scale[j])
    const p = [...r]
    for (let k = 0; k < 10 * features; k++) {
      const square = dot(r, r)
      if (square < 1e-30) break
      const along = product(
        w,
        p.map((pj, j) => pj / scale[j]),
      ).map((hj, j) => hj / scale[j])
      const alpha = square / dot(p, along)
      for (let j = 0; j < features; j++) {
        d[j] += alpha * p[j]
        r[j] -= alpha * along[j]
      }
      const next = dot(r, r)
      for (let j = 0; j < features; j++) p[j] = r[j] + (next / square) * p[j]
    }
    return d.map((dj, j) => dj / scale[j])
  }
  /** The largest eigenvalue of the Hessian at 0, where it is largest. */
  const smoothness = () => {
    const zero = scale.map(() => 0)
    let v = scale.map(() => 1)
    let size = 0
    for (let k = 0; k < 200; k++) {
      v = product(zero, v)
      size = Math.sqrt(dot(v, v))
      v = v.map((vj) => vj / size)
    }
    return size
  }
  return { value, gradient, product, least, smoothness, examples }
}

test('[oasis] logistic regression with features of 10^-1.5 to 10^1.5', () => {
  const { value, gradient, product, least, smoothness } = regression(20, 500, 1e-4)
  const best = least()
  const zeros = new Array<number>(20).fill(0)
  const session = new Session(oasis, vectors(zeros), {
    config: { beta2: 0.99 },
    product: ({ x }, { x: z }) => ({ x: product(x, z) }),
  }).steps(100, of(gradient))
  expect(value(session.x) - best).toBeLessThan(1e-5)
  const L = smoothness()
  let w = zeros
  for (let k = 0; k < 200; k++) {
    const g = gradient(w)
    w = w.map((wj, j) => wj - g[j] / L)
  }
  expect(value(w) - best).toBeGreaterThan(0.2)
})

test('[oasis] negative curvature enters by its absolute value', () => {
  const session = new Session(oasis, vectors([1, 0.1]), {
    product: ({ x }, { x: z }) => ({ x: [3 * x[0] ** 2 * z[0], -z[1]] }),
  })
  let before = 0.1
  for (let k = 0; k < 20; k++) {
    session.steps(
      1,
      of((x) => [x[0] ** 3, -x[1]]),
    )
    const D = session.state.slots.D.x as ArrayLike<number>
    expect(D[1]).toBeCloseTo(-1, 12)
    // The scale -1 was used as 1: the step is that of the gradient, away from 0.
    expect(session.x[1]).toBeCloseTo(before * (1 + session.metrics.stepSize), 12)
    expect(session.x[1]).toBeGreaterThan(before)
    before = session.x[1]
  }
})

test('with `past` both gradients of the step-size rule are of one batch', () => {
  const { value, gradient, product, examples } = regression(8, 200, 1e-2)
  // The batch of a query: a tenth of the examples, by its sample key.
  const batchOf = (key: string) => {
    const rng = rngOf(key)
    return Array.from({ length: examples / 10 }, () => rng.integer(examples))
  }
  const keys: string[][] = []
  const options: Options = {
    config: { driver: { id: 'diagonal', warmup: 10, past: true } },
    product: ({ x }, { x: z }, { sampleKey }) => ({ x: product(x, z, batchOf(sampleKey!)) }),
  }
  const zeros = new Array<number>(8).fill(0)
  const session = new Session(oasis, vectors(zeros), options).steps(60, ({ x }, { sampleKey, purpose }) => {
    keys.push([sampleKey!, purpose!])
    return { x: gradient(x, batchOf(sampleKey!)) }
  })
  expect(keys.slice(0, 5)).toEqual([
    ['s1', 'step'],
    ['s2', 'step'],
    ['s2', 'previous'],
    ['s3', 'step'],
    ['s3', 'previous'],
  ])
  expect(value(session.x)).toBeLessThan(value(zeros) - 0.1)
  expect(session.state.slots.gLast).toBeUndefined()
})

test('ten products at the start; a fixed step size with momentum; momentum with an adaptive one is refused', () => {
  const product: Options['product'] = (_, { x: z }) => ({ x: [4 * z[0]] })
  const fixed = { adaptive: false, learningRate: 0.5, beta1: 0.5 }
  const session = new Session(oasis, vectors([1]), { config: fixed, product })
  const gradient = of((x) => [4 * x[0]])
  session.steps(1, gradient)
  expect(session.state.asked - 1).toBe(11)
  session.steps(1, gradient)
  expect(session.state.asked - 1).toBe(13)
  // m = 2, x = 1 - 0.5*2/4 = 0.75; m = 1 + 1.5 = 2.5, x = 0.75 - 0.5*2.5/4.
  expect(session.x[0]).toBeCloseTo(0.4375, 12)
  expect(() => new Session(oasis, vectors([1]), { config: { beta1: 0.9 } })).toThrow('config.beta1')
})
