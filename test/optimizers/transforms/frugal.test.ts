import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as frugal } from '../../../src/optimizers/presets/frugal.js'
import { Session } from '../session.js'

const matrices = (shapes: { [name: string]: readonly number[] }): TensorsSpace => ({
  kind: 'tensors',
  tensors: Object.entries(shapes).map(([name, shape]) => ({ name, shape, dtype: 'f64' })),
})
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  expect(found.length).toBe(expected.length)
  for (let i = 0; i < found.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}
const normals = (seed: number) => {
  const rng = new Rng(rngStream(seed, 'gradients'))
  return (count: number) => Array.from({ length: count }, () => rng.normal())
}

/** The rank of a matrix given row by row, by elimination with complete pivoting. */
function rank(values: ArrayLike<number>, rows: number, columns: number): number {
  const a = Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => values[i * columns + j]))
  const largest = Math.max(...a.flat().map(Math.abs))
  for (let k = 0; k < Math.min(rows, columns); k++) {
    let [p, q] = [k, k]
    for (let i = k; i < rows; i++)
      for (let j = k; j < columns; j++) if (Math.abs(a[i][j]) > Math.abs(a[p][q])) [p, q] = [i, j]
    if (Math.abs(a[p][q]) <= 1e-9 * largest) return k
    ;[a[k], a[p]] = [a[p], a[k]]
    for (const row of a) [row[k], row[q]] = [row[q], row[k]]
    for (let i = k + 1; i < rows; i++) {
      const share = a[i][k] / a[k][k]
      for (let j = k; j < columns; j++) a[i][j] -= share * a[k][j]
    }
  }
  return Math.min(rows, columns)
}

test('[frugal] one row, its first column with state', () => {
  const config = { learningRate: 0.1, projection: 'columns', order: 'ascending' }
  const session = new Session(frugal, matrices({ x: [1, 4] }), { config })
  near(session.tell([1, 2, -3, 0.5]).x, [-0.1, -0.1, 0.1, -0.1], 1e-6)
  near(session.tell([-0.5, 1, -0.1, -0.5]).x, [-0.1266337, -0.2, 0.2, 0], 1e-6)
})

test('[frugal] all state is AdamW, none is the sign of the gradient', () => {
  const shapes = { a: [3, 5], b: [4], c: [6, 2] }
  const sizes = { a: 15, b: 4, c: 12 }
  for (const projection of ['columns', 'rows', 'random-k', 'blocks']) {
    const next = normals(1)
    const common = { learningRate: 0.01, weightDecay: 0.1 }
    const never = { ...common, projection, updateGap: 1e9 }
    const full = new Session(frugal, matrices(shapes), { config: { ...never, density: 1 } })
    const none = new Session(frugal, matrices(shapes), { config: { ...never, density: 0 } })
    const plain = new Session(adamw, matrices(shapes), { config: common })
    const signs = { a: Array(15).fill(0), c: Array(12).fill(0) }
    for (let t = 0; t < 30; t++) {
      const g = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, next(size)]))
      for (const session of [full, none, plain]) session.tell(g)
      for (const name of ['a', 'b', 'c']) near(full.state.x[name], plain.state.x[name], 1e-12)
      near(none.state.x.b, plain.state.x.b, 1e-12)
      for (const name of ['a', 'c'] as const) {
        signs[name] = signs[name].map((x, i) => x * (1 - 0.001) - 0.01 * Math.sign(g[name][i]))
        near(none.state.x[name], signs[name], 1e-12)
      }
    }
  }
})

test('[frugal] what is stored, and that it begins at zero with each part', () => {
  const [m, n, density] = [6, 10, 0.25]
  const counts = {
    columns: m * Math.floor(density * n),
    rows: n * Math.floor(density * m),
    'random-k': Math.floor(density * m * n),
    svd: n * Math.round(density * m),
    random: n * Math.round(density * m),
  }
  for (const [projection, count] of Object.entries(counts)) {
    const next = normals(2)
    const config = { projection, density, updateGap: 5 }
    const session = new Session(frugal, matrices({ x: [m, n] }), { config })
    const parts = new Set<string>()
    for (let t = 0; t < 20; t++) {
      if (t === 7) session.restart()
      session.tell(next(m * n))
      const { kept } = session.state
      expect(kept.m.x.length + kept.v.x.length).toBe(2 * count)
      parts.add(kept.part.x.join())
      // After the first step of a part, v is (1 - beta2)*g^2 where m is (1 - beta1)*g: nothing is left of the part before.
      const first = Array.from(kept.v.x, (vi, i) => Math.abs(vi - 0.001 * (kept.m.x[i] / 0.1) ** 2))
      if (t % 5 === 0) expect(Math.max(...first)).toBeLessThan(1e-15)
      else expect(Math.max(...first)).toBeGreaterThan(1e-6)
    }
    expect(parts.size).toBeGreaterThan(1)
  }
})

test('[frugal] rank of what has been learned in a gap: full, and that of the part alone where the rest stands still', () => {
  const learned = (more: object) => {
    const next = normals(3)
    const session = new Session(frugal, matrices({ x: [12, 16] }), { config: { updateGap: 10, ...more } })
    for (let t = 0; t < 10; t++) session.tell(next(12 * 16))
    return rank(session.x, 12, 16)
  }
  expect(learned({ projection: 'columns' })).toBe(12)
  expect(learned({ projection: 'svd' })).toBe(12)
  expect(learned({ projection: 'svd', stateless: 'none', density: 0.25 })).toBe(3)
  expect(learned({ projection: 'random', stateless: 'none', density: 0.5 })).toBe(6)
})

test('[frugal] svd: the part has the leading directions of the gradient at its start, along the shorter side', () => {
  // Rank two: with two directions nothing is left for the sign of the rest.
  const u = [1, -2, 0.5, 3]
  const w = [2, 1, 0, -1, 1, 1]
  const q = [1, 1, -1, 0, 2, -3]
  const g = u.flatMap((ui, i) => w.map((wj, j) => ui * wj + 0.1 * (i + 1) * q[j]))
  const transposed = w.flatMap((_, j) => u.map((_, i) => g[i * 6 + j]))
  for (const [shape, told] of [
    [[4, 6], g],
    [[6, 4], transposed],
  ] as const) {
    const config = { learningRate: 1, density: 0.5, projection: 'svd', stateful: 'sgdm', beta1: 0 }
    const session = new Session(frugal, matrices({ x: shape }), { config })
    near(
      session.tell(told).x,
      told.map((gi) => -gi),
      1e-9,
    )
    expect(session.state.kept.part.x.length).toBe(2 * 4)
  }
})

test('[frugal] whole matrices in their order, other rules, and the scales', () => {
  const shapes = { a: [1, 2], b: [1, 2], c: [1, 2], d: [1, 2], e: [1, 2] }
  const base = { density: 0.4, projection: 'blocks', updateGap: 1, learningRate: 1, stateless: 'none' }
  const active = (order: string) => {
    const session = new Session(frugal, matrices(shapes), { config: { ...base, order } })
    return Array.from({ length: 6 }, () => {
      session.tell({ a: [1, 1], b: [1, 1], c: [1, 1], d: [1, 1], e: [1, 1] })
      return Object.keys(shapes)
        .filter((name) => session.state.kept.m[name].length > 0)
        .join('')
    })
  }
  expect(active('ascending')).toEqual(['ab', 'cd', 'ae', 'bc', 'de', 'ab'])
  expect(active('descending')).toEqual(['de', 'bc', 'ae', 'cd', 'ab', 'de'])
  expect(active('mirror')).toEqual(['ab', 'cd', 'ae', 'ae', 'cd', 'ab'])
  for (const part of active('random')) expect(part).toHaveLength(2)

  const one = {
    projection: 'columns',
    order: 'ascending',
    density: 0.5,
    learningRate: 1,
    scale: 0.5,
    inactiveScale: 0.1,
  }
  const run = (more: object) => new Session(frugal, matrices({ x: [1, 2] }), { config: { ...one, ...more } })
  near(run({ stateful: 'lion', beta2: 0.5, stateless: 'sgd' }).tell([4, 3]).tell([-1, 3]).x, [-0.5 - 0.5, -0.3], 1e-12)
  near(run({ stateful: 'sgdm' }).tell([4, 3]).tell([-1, -3]).x, [-2 - 0.5 * (0.9 * 4 - 1), 0], 1e-12)
  const whole = new Session(frugal, matrices({ x: [1, 2] }), { config: { ...one, whole: ['x'] } })
  near(whole.tell([4, 3]).x, [-1, -1], 1e-8)
  expect(() => run({ whole: ['y'] })).toThrow('config.whole[0]: the space has no tensor "y"')
})
