import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { inverseRoot } from '../../../src/optimizers/inverse-root.js'
import { multiply } from '../../../src/optimizers/matrices.js'
import { method as adagrad } from '../../../src/optimizers/presets/adagrad.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method as shampoo } from '../../../src/optimizers/presets/shampoo.js'
import { type Options, Session } from '../session.js'

await loadEngines()

type Named = { [name: string]: number[] }
const space = (shapes: { [name: string]: number[] }, initial: Named = {}): TensorsSpace => ({
  kind: 'tensors',
  tensors: Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype: 'f64' })),
  initial: Object.fromEntries(Object.entries(initial).map(([name, values]) => [name, Float64Array.from(values)])),
})
const plain = { start: 1, preconditioningSteps: 1, beta1: 0, learningRate: 1 }
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(found.length).toBe(expected.length)
  for (let i = 0; i < found.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}
const random = (name: string, count: number) => {
  const rng = new Rng(rngStream(7, name))
  return Array.from({ length: count }, () => rng.normal())
}
/** A symmetric matrix with these eigenvalues and random eigenvectors, and functions of it. */
function spectral(eigenvalues: readonly number[], name: string) {
  const n = eigenvalues.length
  const q = Float64Array.from(random(name, n * n))
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) q[i * n + j] = q[j * n + i]
  symmetricEigen(q, n)
  return (f: (value: number) => number): Float64Array => {
    const matrix = new Float64Array(n * n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let k = 0; k < n; k++) matrix[i * n + j] += q[i * n + k] * f(eigenvalues[k]) * q[j * n + k]
    return matrix
  }
}

test('[shampoo] the first step on diag(3, 4): the identity, or as long as the gradient', () => {
  const first = (grafting: string) => {
    const config = { ...plain, grafting, matrixEps: 1e-12 }
    const session = new Session(shampoo, space({ W: [2, 2] }), { config }).tell({ W: [3, 0, 0, 4] })
    return Array.from(session.state.x.W, (x) => -x)
  }
  near(first('none'), [1, 0, 0, 1], 1e-5)
  const side = 5 / Math.SQRT2
  near(first('sgd'), [side, 0, 0, side], 1e-5)
})

test('[shampoo] coupled Newton roots of conditions 1e2, 1e4 and 1e6', () => {
  const rounds = [2, 4, 6].map((power) => {
    const values = Array.from({ length: 20 }, (_, i) => 10 ** ((-power * i) / 19))
    const matrix = spectral(values, 'root')
    // The ridge of the algorithm is part of the matrix.
    const found = inverseRoot(
      matrix((value) => value + 1e-6),
      20,
      4,
    )
    const truth = matrix((value) => (value + 1e-6) ** -0.25)
    const error = Math.hypot(...truth.map((value, i) => value - found.root[i])) / Math.hypot(...truth)
    expect(error).toBeLessThan(1e-6)
    expect(found.rounds).toBeLessThanOrEqual(25)
    return found.rounds
  })
  expect(rounds).toEqual([8, 13, 18])
})

/** tr(W'AWB)/2 for an 8 x 8 matrix A and a 6 x 6 matrix B. */
function kroneckerQuadratic() {
  const powers = (n: number, most: number) => Array.from({ length: n }, (_, i) => 10 ** ((most * i) / (n - 1)))
  const A = spectral(powers(8, 3), 'A')((value) => value)
  const B = spectral(powers(6, 2), 'B')((value) => value)
  const gradient = (W: ArrayLike<number>) => multiply(multiply(A, W, 8), B, 6)
  const value = (W: ArrayLike<number>) => gradient(W).reduce((sum, g, i) => sum + (g * W[i]) / 2, 0)
  return { gradient, value, start: space({ W: [8, 6] }, { W: new Array(48).fill(1) }) }
}

test('[shampoo] a Kronecker quadratic: far below the best AdaGrad after 100 steps', () => {
  const { gradient, value, start } = kroneckerQuadratic()
  const loss = (method: typeof shampoo | typeof adagrad, config: object) =>
    value(
      new Session(method as typeof shampoo, start, { config }).steps(100, ({ W }) => ({ W: gradient(W) })).state.x.W,
    )
  const best = Math.min(
    ...[1, 3].map((learningRate) => loss(shampoo, { ...plain, beta1: 0.9, learningRate, grafting: 'none' })),
  )
  const rates = [0.03, 0.1, 0.3, 1]
  const other = Math.min(
    ...rates.map((learningRate) => loss(adagrad, { learningRate })),
    // AdaGrad with the same momentum.
    ...rates.map((learningRate) => loss(shampoo, { ...plain, beta1: 0.9, learningRate, start: 1000 })),
  )
  expect(best).toBeLessThan(0.1 * other)
  expect(best / value(new Array(48).fill(1))).toBeLessThan(2e-7)
})

/** S of the definition, for one gradient: each axis by the root of its own statistic. */
function definition(g: readonly number[], shape: readonly number[], eps: number, skip: readonly number[] = []) {
  const axes = shape.map((_, axis) => axis).filter((axis) => !skip.includes(axis))
  const indexOf = (index: readonly number[]) => index.reduce((at, i, axis) => at * shape[axis] + i, 0)
  const all = g.map((_, at) => {
    const index = new Array<number>(shape.length)
    for (let axis = shape.length - 1, rest = at; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]
      rest = Math.floor(rest / shape[axis])
    }
    return index
  })
  let S = [...g]
  for (const axis of axes) {
    const n = shape[axis]
    const L = new Float64Array(n * n)
    all.forEach((index, at) => {
      for (let j = 0; j < n; j++)
        L[index[axis] * n + j] += g[at] * g[indexOf(index.map((i, a) => (a === axis ? j : i)))]
    })
    for (let i = 0; i < n; i++) L[i * n + i] += eps
    const values = symmetricEigen(L, n)
    const largest = Math.max(...values)
    const root = (i: number, j: number) =>
      values.reduce(
        (sum, value, k) => sum + L[i * n + k] * (value + 1e-6 * largest) ** (-1 / (2 * axes.length)) * L[j * n + k],
        0,
      )
    S = all.map((index) =>
      Array.from(
        { length: n },
        (_, j) => root(index[axis], j) * S[indexOf(index.map((i, a) => (a === axis ? j : i)))],
      ).reduce((a, b) => a + b),
    )
  }
  return S
}
const stepOf = (shape: number[], g: readonly number[], config: object) => {
  const session = new Session(shampoo, space({ W: shape }), {
    config: { ...plain, grafting: 'none', matrixEps: 1e-2, ...config },
  })
  return Array.from(session.tell({ W: g }).state.x.W, (x) => -x)
}

test('matrices and longer tensors follow the definition; blocks are matrices of their own', () => {
  const matrix = random('matrix', 12)
  near(stepOf([3, 4], matrix, {}), definition(matrix, [3, 4], 1e-2), 1e-5)
  const cube = random('cube', 30)
  near(stepOf([2, 3, 5], cube, { mergeBelow: 1 }), definition(cube, [2, 3, 5], 1e-2), 1e-5)
  near(stepOf([2, 3, 5], cube, { mergeBelow: 6 }), definition(cube, [6, 5], 1e-2), 1e-5)
  near(stepOf([2, 1, 15], cube, {}), definition(cube, [2, 15], 1e-2), 1e-5)
  // One-sided: the short axis alone, with the exponent -1/2.
  near(stepOf([3, 4], matrix, { maxDim: 3 }), definition(matrix, [3, 4], 1e-2, [1]), 1e-5)
  // A 5 x 6 matrix in blocks of 3: rows 0-2 and 3-4, columns 0-2 and 3-5.
  const blocked = stepOf([5, 6], cube, { blockSize: 3 })
  for (const [top, rows] of [
    [0, 3],
    [3, 2],
  ])
    for (const left of [0, 3]) {
      const part = (all: readonly number[]) =>
        Array.from({ length: rows * 3 }, (_, i) => all[(top + Math.floor(i / 3)) * 6 + left + (i % 3)])
      near(part(blocked), definition(part(cube), [rows, 3], 1e-2), 1e-5)
    }
  // A vector has a number per element.
  near(stepOf([3], [1, -2, 0], {}), [1 / Math.sqrt(1.01), -2 / Math.sqrt(4.01), 0], 1e-12)
  expect(stepOf([], [2], {})).toHaveLength(1)
})

test('before the start it is the grafted rule; then the step keeps its length', () => {
  const grafts: { [name: string]: (g: number, squares: number) => number } = {
    none: (g) => g,
    sgd: (g) => g,
    sqrtn: Math.sign,
    adagrad: (g, squares) => g / Math.sqrt(squares),
    rmsprop: (g, squares) => g / Math.sqrt(0.001 * squares),
  }
  const g = random('graft', 12)
  for (const [grafting, of] of Object.entries(grafts)) {
    const config = { ...plain, grafting, start: 2 }
    const session = new Session(shampoo, space({ W: [3, 4] }), { config }).tell({ W: g })
    const first = Array.from(session.state.x.W)
    near(
      first,
      g.map((gi) => -of(gi, gi * gi)),
      1e-5,
    )
    if (grafting === 'none') continue
    session.tell({ W: g })
    const length = Math.hypot(...g.map((gi) => of(gi, (grafting === 'rmsprop' ? 1.999 : 2) * gi * gi)))
    expect(Math.hypot(...session.state.x.W.map((x, i) => x - first[i]))).toBeCloseTo(length, 5)
  }
})

test('momentum, Nesterov’s, decoupled decay and decaying statistics', () => {
  const run = (config: object, count = 2) => {
    const session = new Session(shampoo, space({ W: [2, 2] }, { W: [1, 1, 1, 1] }), {
      config: { ...plain, grafting: 'sgd', start: 100, learningRate: 0.1, ...config },
    })
    for (let t = 0; t < count; t++) session.tell({ W: [1, 2, 3, 4] })
    return session
  }
  const x = (session: Session) => session.state.x.W[0]
  expect(x(run({ beta1: 0.5, nesterov: false }))).toBeCloseTo(1 - 0.1 * (1 + 1.5), 12)
  expect(x(run({ beta1: 0.5 }))).toBeCloseTo(1 - 0.1 * (0.5 * 1 + 1 + 0.5 * 1.5 + 1), 12)
  expect(x(run({ weightDecay: 0.5 }, 1))).toBeCloseTo(0.95 - 0.1, 12)
  // L of [[1, 2], [3, 4]]: 5 in the corner, with weights 0.9*0.1 + 0.1.
  const { statistics } = run({ beta2: 0.9 }).state.kept
  expect(statistics.W[0]).toBeCloseTo(0.81 * 1e-6 + 0.19 * 5, 12)
})

test('roots are kept between their computations, at once or a share in each step', () => {
  const changes = (config: object) => {
    const session = new Session(shampoo, space({ a: [2, 3], b: [3, 2] }), { config: { ...plain, ...config } })
    const rng = new Rng(rngStream(1, 'roots'))
    const changed: number[] = []
    for (let t = 1; t <= 12; t++) {
      const before = JSON.stringify(session.state.kept.condition)
      const draw = () => Array.from({ length: 6 }, () => rng.normal())
      session.tell({ a: draw(), b: draw() })
      if (JSON.stringify(session.state.kept.condition) !== before) changed.push(t)
    }
    return changed
  }
  expect(changes({ start: 3, preconditioningSteps: 4 })).toEqual([3, 7, 11])
  // Two roots of each tensor, two steps apart.
  expect(changes({ start: 3, preconditioningSteps: 4, staggered: true })).toEqual([3, 5, 7, 9, 11])
})

test('it is a rule as any other: under transforms, a driver that wraps it, restarts and both engines', () => {
  const { gradient, start } = kroneckerQuadratic()
  const run = (config: object, options: Options = {}, restart = false) => {
    const session = new Session(shampoo, start, {
      config: { ...plain, learningRate: 0.1, beta1: 0.9, preconditioningSteps: 3, grafting: 'none', ...config },
      product: (_, { W }) => ({ W: gradient(W) }),
      ...options,
    })
    for (let t = 0; t < 8; t++) {
      session.steps(1, ({ W }) => ({ W: gradient(W) }))
      if (restart) session.restart()
    }
    return Array.from(session.state.x.W)
  }
  // The statistics are those of the clipped gradient: clipping to what is never reached changes nothing, else it does.
  const clip = (max: number) => ({ transforms: [{ id: 'clip-norm', threshold: max }] })
  expect(run(clip(1e12))).toEqual(run({}))
  expect(run(clip(1))).not.toEqual(run({}))
  const session = new Session(shampoo, start, { config: { ...plain, grafting: 'sgd', ...clip(1) } })
  session.tell({ W: gradient(new Array(48).fill(1)) })
  expect(Math.hypot(...session.state.x.W.map((x) => x - 1))).toBeCloseTo(1, 8)
  // The noise that it sees is the noise of the step: ahead of its start it is plain SGD.
  const noise = { transforms: [{ id: 'gradient-noise' }] }
  const steps = (method: typeof shampoo | typeof sgd, config: object) =>
    new Session(method as typeof sgd, start, { config: { learningRate: 0.01, ...noise, ...config } })
      .steps(5, ({ W }) => ({ W: gradient(W) }))
      .state.x.W.slice()
  expect(steps(shampoo, { start: 100, grafting: 'none', beta1: 0 })).toEqual(steps(sgd, {}))
  expect(run(noise, {}, true)).toEqual(run(noise))
  // A look ahead leaves the statistics as they are.
  const looking = new Session(shampoo, start, { config: { ...plain, driver: { id: 'extragradient' } } })
  const before = encodeTree(looking.state.kept)
  looking.tell({ W: gradient(looking.asked.W) })
  expect(looking.query.purpose).toBe('leading')
  expect(encodeTree(looking.state.kept)).toEqual(before)
  looking.tell({ W: gradient(looking.asked.W) })
  expect(encodeTree(looking.state.kept)).not.toEqual(before)
  const around = { driver: { id: 'fosi', k: 2, warmup: 2, refreshEvery: 3 } }
  expect(run(around, {}, true)).toEqual(run(around))
  near(run(around, { engine: 'wasm' }), run(around), 1e-9)
})
