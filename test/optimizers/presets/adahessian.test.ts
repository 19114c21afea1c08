import { expect, test } from 'vitest'
import type { Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adahessian } from '../../../src/optimizers/presets/adahessian.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { type Options, of, Session, vectors } from '../session.js'

await loadEngines()

type Matrix = readonly (readonly number[])[]
const times = (H: Matrix, v: ArrayLike<number>): number[] =>
  H.map((row) => row.reduce((sum, h, j) => sum + h * v[j], 0))
const diagonal = (values: readonly number[]): Matrix => values.map((d, i) => values.map((_, j) => (i === j ? d : 0)))
const start = (H: Matrix, x: readonly number[], config: object, options: Options = {}) =>
  new Session(adahessian, vectors(x), {
    config: { learningRate: 1, eps: 0, ...config },
    product: (_, { x: z }) => ({ x: times(H, z) }),
    ...options,
  })
const steps = (session: Session, H: Matrix, count: number) =>
  session.steps(
    count,
    of((x) => times(H, x)),
  )
const near = (found: ArrayLike<number>, expected: readonly number[], digits = 12) =>
  expected.forEach((e, i) => {
    expect(found[i]).toBeCloseTo(e, digits)
  })

test('[adahessian] a diagonal Hessian gives a Newton step for any probe, where Adam moves all elements alike', () => {
  const H = diagonal([4, 0.25])
  for (let seed = 1; seed <= 8; seed++)
    for (const engine of ['interpreter', 'wasm'] as const)
      near(steps(start(H, [1, -2], {}, { seed, engine }), H, 1).x, [0, 0])
  const other = new Session(adam, vectors([1, -2]), { config: { learningRate: 1, eps: 0 } })
  near(steps(other, H, 1).x, [0, -1])
})

test('[adahessian] off the diagonal the probe decides: z = (1,1) gives D = (3,3), z = (1,-1) gives D = (1,1)', () => {
  const H = [
    [2, 1],
    [1, 2],
  ]
  const seen = new Set<boolean>()
  for (let seed = 1; seed <= 8; seed++) {
    const session = steps(start(H, [1, 1], {}, { seed }), H, 1)
    const { probe, diagonal: D } = session.state.driver.points
    const same = probe.x[0] === probe.x[1]
    near(D.x, same ? [3, 3] : [1, 1])
    near(session.x, same ? [0, 0] : [-2, -2])
    seen.add(same)
  }
  expect(seen.size).toBe(2)
})

test('[adahessian] the Hessian power: 0.5 takes the root of the diagonal, 0 is momentum', () => {
  const H = diagonal([4, 0.25])
  near(steps(start(H, [1, -2], { hessianPower: 0.5 }), H, 1).x, [-1, -1])
  const momentum = steps(start(H, [1, -2], { hessianPower: 0, learningRate: 0.1 }), H, 20)
  const x = [1, -2]
  const m = [0, 0]
  for (let t = 1; t <= 20; t++)
    times(H, x).forEach((g, i) => {
      m[i] = 0.9 * m[i] + (1 - 0.9) * g
      x[i] -= (0.1 * m[i]) / (1 - 0.9 ** t)
    })
  near(momentum.x, x)
})

test('gradient and product are of one batch; the direction is a view of the server’s own signs', () => {
  const H = diagonal([4, 0.25])
  const session = start(H, [1, -2], {})
  expect(session.query.wants).toEqual([{ kind: 'gradient' }])
  const { sampleKey } = session.query
  session.tell([4, -0.5])
  expect(session.query).toMatchObject({
    sampleKey,
    purpose: 'curvature',
    wants: [{ kind: 'hvp', curvature: 'hessian' }],
  })
  expect(session.query.points).toEqual([
    { kind: 'view', name: 'x' },
    { kind: 'view', name: 'probe' },
  ])
  expect(Array.from(session.view('probe').x, Math.abs)).toEqual([1, 1])
  const { query } = session
  session.refuse('failed')
  expect(session.query).toEqual({ ...query, id: session.query.id })
  session.restart()
  steps(session, H, 1)
  near(session.x, [0, 0])
})

test('samples are averaged, an estimate is used for `every` steps, and a maximized objective is turned around', () => {
  const H = [
    [2, 1],
    [1, 2],
  ]
  const session = start(H, [1, 1], { driver: { id: 'diagonal', samples: 400, every: 3 }, learningRate: 0.01 })
  const asked: string[] = []
  session.steps(4, ({ x }, query) => {
    asked.push(query.purpose!)
    return { x: times(H, x) }
  })
  expect(asked).toHaveLength(4)
  // Two estimates of 400 products; each is 2 + z1*z2, whose mean is 2.
  expect(session.state.asked - 1).toBe(4 + 2 * 400)
  const D = session.state.driver.points.diagonal.x
  expect(Math.abs(D[0] - 2)).toBeLessThan(0.15)
  expect(D[0]).toBe(D[1])

  const down = diagonal([-4, -0.25])
  near(steps(start(down, [1, -2], {}, { direction: 'maximize' }), down, 1).x, [0, 0])
})

test('block averaging: absolute diagonals of neighbours, tensors of other sizes as they are', () => {
  const curvature: { [name: string]: number[] } = { kernel: [1, 3, -2, 6], bias: [-5, 2, 1] }
  const gradient = { kernel: [1, 1, 1, 1], bias: [1, 1, 1] }
  const session = new Session(adahessian, vectors({ kernel: [0, 0, 0, 0], bias: [0, 0, 0] }), {
    config: { learningRate: 1, eps: 0, block: 2 },
    product: (_, z: Tensors) =>
      Object.fromEntries(
        Object.entries(z).map(([name, values]) => [name, values.map((v, i) => v * curvature[name][i])]),
      ),
  })
  session.steps(1, () => gradient)
  near(session.state.x.kernel, [-1 / 2, -1 / 2, -1 / 4, -1 / 4])
  near(session.state.x.bias, [-1 / 5, -1 / 2, -1])
})

test('differences of gradients give the same steps as products where the objective is quadratic', () => {
  const H = [
    [2, 1],
    [1, 2],
  ]
  const driver = { id: 'diagonal', products: 'difference' }
  const asked = steps(start(H, [3, 1], { learningRate: 0.1 }), H, 10)
  const made = steps(start(H, [3, 1], { learningRate: 0.1, driver }), H, 10)
  near(made.x, asked.x, 8)
  expect(made.metrics.gradients).toBe(20)
  expect(asked.metrics.gradients).toBe(10)
})

test('a driver without a diagonal is refused', () => {
  expect(() => start([[1]], [1], { driver: { id: 'step' } })).toThrow('needs a driver that keeps "diagonal"')
})
