import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/fixed-point/iterate-accelerate.js'
import { players } from '../saddle/game.js'
import { type Client, Turns } from '../turns.js'

const map =
  (T: (x: Float64Array) => readonly number[]): Client =>
  ([{ x }]) => ({ quantities: [{ image: Float64Array.from(T(Float64Array.from(x))) }] })
const session = (x: readonly number[], config: object) => new Turns(method, players({ x }), { config })

test('[iterate-accelerate] a constant operator: the distance is 2/((t+1)(t+2)) of the first', () => {
  const [start, goal] = [
    [3, -1],
    [1, 2],
  ]
  const s = session(start, {})
  for (let t = 1; t <= 10; t++) {
    const { x } = s.steps(
      1,
      map(() => goal),
    ).answer
    const share = 2 / ((t + 1) * (t + 2))
    for (const i of [0, 1]) expect(Math.abs(x[i] - goal[i] - share * (start[i] - goal[i]))).toBeLessThan(1e-12)
  }
  expect(2 / (11 * 12)).toBeCloseTo(0.0151515, 7)

  // Entropy: the same share of every log-ratio.
  const [p, q] = [
    [0.2, 0.3, 0.5],
    [0.6, 0.3, 0.1],
  ]
  const e = session(p, { geometry: 'entropy' })
  const ratios = (x: ArrayLike<number>) => [Math.log(x[0] / x[2]), Math.log(x[1] / x[2])]
  for (let t = 1; t <= 10; t++) {
    const { x } = e.steps(
      1,
      map(() => q),
    ).answer
    ratios(x).forEach((r, i) => {
      const share = (r - ratios(q)[i]) / (ratios(p)[i] - ratios(q)[i])
      expect(Math.abs(share - 2 / ((t + 1) * (t + 2)))).toBeLessThan(1e-12)
    })
    expect(Array.from(x).reduce((sum, v) => sum + v, 0)).toBeCloseTo(1, 14)
  }
})

const [M, N] = [30, 50]
/** |A x - b|^2/2 over the simplex, b = A x* with x* even over three of fifty: its least value is 0. */
function leastSquares(seed: number) {
  const rng = new Rng(rngStream(seed, 'least squares'))
  const A = Array.from({ length: M }, () => Array.from({ length: N }, () => rng.normal()))
  const residual = (x: ArrayLike<number>) =>
    A.map((row) => row.reduce((sum, a, i) => sum + a * x[i], 0) - (row[0] + row[1] + row[2]) / 3)
  let L = 0
  for (let i = 0; i < N; i++)
    for (let j = 0; j <= i; j++) L = Math.max(L, Math.abs(A.reduce((sum, row) => sum + row[i] * row[j], 0)))
  const client: Client = ([{ x }]) => {
    const r = residual(x)
    return {
      gradients: [{ x: Float64Array.from({ length: N }, (_, j) => A.reduce((sum, row, i) => sum + row[j] * r[i], 0)) }],
    }
  }
  const run = (averaging: string) =>
    new Turns(method, players({ x: new Array(N).fill(1 / N) }), {
      config: { operator: 'mirror', geometry: 'entropy', lipschitz: L, averaging },
    })
  return { L, client, run, gap: (x: ArrayLike<number>) => residual(x).reduce((sum, r) => sum + (r * r) / 2, 0) }
}

test('[iterate-accelerate] least squares over the simplex: the accelerated rate, against mirror descent', () => {
  const at100 = { fast: 0, slow: 0 }
  for (const seed of [0, 1, 2, 3]) {
    const { L, client, run, gap } = leastSquares(seed)
    const [fast, slow] = [run('accelerated'), run('constant')]
    const gaps = { fast: [Infinity], slow: [Infinity] }
    for (let T = 1; T <= 800; T++) {
      gaps.fast.push(gap(fast.steps(1, client).answer.x))
      gaps.slow.push(gap(slow.steps(1, client).answer.x))
      // D(x*, z_0) from the uniform start is log(50/3).
      expect(gaps.fast[T]).toBeLessThanOrEqual((4 * L * Math.log(N / 3)) / (T + 1) ** 2)
    }
    at100.fast += gaps.fast[100] / 4
    at100.slow += gaps.slow[100] / 4
    expect(gaps.fast[100] / gaps.slow[100]).toBeLessThanOrEqual(0.05)
    for (const T of [100, 200, 400]) {
      expect(gaps.fast[2 * T] / gaps.fast[T]).toBeLessThanOrEqual(0.1)
      const ratio = gaps.slow[2 * T] / gaps.slow[T]
      expect(ratio).toBeGreaterThanOrEqual(0.15)
      expect(ratio).toBeLessThanOrEqual(0.3)
    }
  }
  expect(at100.fast).toBeLessThanOrEqual(5e-4)
  expect(at100.fast / at100.slow).toBeLessThanOrEqual(0.05)
})

test('iterate-accelerate: value iteration with its bound, depth, adaptive weights, the stop', () => {
  // Two states, rewards 1 and 0, each staying or moving with probability 1/2, discount 0.8: values 3 and 2.
  const backup = map(([a, b]) => [1 + 0.4 * (a + b), 0.4 * (a + b)])
  const values = session([0, 0], { operator: 'bellman', contraction: 0.8, tolerance: 1e-12 })
  let error = Infinity
  while (values.query) {
    values.tell(backup)
    const now = Math.max(Math.abs(values.answer.x[0] - 3), Math.abs(values.answer.x[1] - 2))
    expect(now).toBeLessThanOrEqual(0.8 * error + 1e-12)
    expect(values.metrics.errorBound).toBeGreaterThanOrEqual(now - 1e-12)
    error = now
  }
  expect(values.done).toContain('residual')
  expect(values.metrics.residual).toBeLessThanOrEqual(1e-12)

  // k iterations of one map of contraction q: q^k.
  const depth = session([1], { averaging: 'constant' }).steps(
    12,
    map(([x]) => [0.7 * x]),
  )
  expect(depth.answer.x[0]).toBeCloseTo(0.7 ** 12, 14)

  // A contraction needs no average; a rotation by a right angle does.
  const adaptive = (T: (x: Float64Array) => number[]) => session([1, 0], { averaging: 'adaptive' }).steps(60, map(T))
  const contracting = adaptive(([a, b]) => [0.5 * a, 0.5 * b])
  expect(contracting.metrics.stepWeight).toBe(1)
  expect(contracting.answer.x[0]).toBeCloseTo(0.5 ** 60, 20)
  const turning = adaptive(([a, b]) => [-b, a])
  expect(turning.metrics.stepWeight).toBeLessThan(1)
  expect(Math.hypot(...turning.answer.x)).toBeLessThan(1e-3)
})

test('iterate-accelerate: feedback states, perturbations, custom geometry, rows of distributions, bad configs', () => {
  // T doubles y and moves x to y: y is taken as it is, x is averaged.
  const fed = new Turns(method, players({ x: [0], y: [1] }), { config: { feedback: ['y'] } })
  fed.tell(([{ y }]) => ({ quantities: [{ image: Float64Array.of(y[0], 2 * y[0]) }] }))
  expect(fed.answer.x[0]).toBeCloseTo(2 / 3, 14)
  expect(fed.answer.y[0]).toBe(2)

  const shaken = session([1], { perturbation: true, averaging: 'constant', alpha: 0.5 })
  shaken.tell(() => ({ quantities: [{ image: Float64Array.of(3), perturbation: Float64Array.of(0.25) }] }))
  expect(shaken.answer.x[0]).toBe(2.25)

  // phi = x*log(x) - x on the positive line: the geometric mean.
  const mirrorMap = { potential: 'x*log(x) - x', gradient: 'log(x)', inverse: 'exp(x)' }
  const custom = session([1, 4], { geometry: 'custom', mirrorMap, averaging: 'constant', alpha: 0.5 })
  custom.restart()
  custom.tell(map(() => [4, 9]))
  expect(custom.answer.x[0]).toBeCloseTo(2, 12)
  expect(custom.answer.x[1]).toBeCloseTo(6, 12)
  const divergence = (a: number, b: number) => a * Math.log(a / b) - a + b
  expect(custom.metrics.residual).toBeCloseTo(divergence(4, 1) + divergence(9, 4), 12)

  custom.tell(map(() => [-1, 9]))
  expect(custom.done).toContain('domain of the mirror map')
  expect(custom.answer.x[0]).toBeCloseTo(2, 12)

  // Two states with two actions each: rows stay distributions.
  const policy = players({ p: [0, 0, 0, 0] })
  const rows = { ...policy, tensors: [{ ...policy.tensors[0], shape: [2, 2] }] }
  const rewards = new Turns(method, rows, {
    config: { operator: 'mirror', geometry: 'entropy', averaging: 'constant' },
    direction: 'maximize',
  })
  rewards.steps(50, () => ({ gradients: [{ p: Float64Array.of(1, 0, 0, 2) }] }))
  for (const [i, p] of [1, 0, 0, 1].entries()) expect(rewards.answer.p[i]).toBeCloseTo(p, 12)

  const bad =
    (config: object, x: readonly number[] = [1]) =>
    () =>
      session(x, config)
  expect(bad({ averaging: 'accelerated' })).toThrow('config.averaging')
  expect(bad({ operator: 'mirror', perturbation: true })).toThrow('config.perturbation')
  expect(bad({ operator: 'mirror', feedback: ['x'] })).toThrow('config.feedback')
  expect(bad({ geometry: 'custom' })).toThrow('config.mirrorMap')
  expect(bad({ geometry: 'custom', mirrorMap: { ...mirrorMap, inverse: 'exp(' } })).toThrow('config.mirrorMap.inverse')
  const inverse = 'exp(x) + 1'
  expect(bad({ geometry: 'custom', mirrorMap: { ...mirrorMap, inverse } })).toThrow('does not undo')
  expect(bad({ geometry: 'custom', mirrorMap }, [0])).toThrow('config.mirrorMap.gradient: is not finite')
  expect(bad({ geometry: 'entropy' }, [1, 0])).toThrow('space.initial.x')
  expect(bad({ geometry: 'entropy', contraction: 0.5 })).toThrow('config.contraction')
})
