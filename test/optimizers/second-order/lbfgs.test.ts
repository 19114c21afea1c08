import { expect, test } from 'vitest'
import { method } from '../../../src/optimizers/second-order/lbfgs.js'
import { type Point, searchFrom, searchOn } from '../../../src/optimizers/second-order/wolfe.js'
import golden from '../../golden/torch-training.json' with { type: 'json' }
import { Asker } from '../estimation/asker.js'
import { vectors } from '../session.js'

type Fn = { value(x: ArrayLike<number>): number; gradient(x: ArrayLike<number>): number[] }
const functions: Record<string, Fn> = {
  rosenbrock: {
    value: (x) => (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
    gradient: (x) => [-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)],
  },
  quadratic: {
    value: (x) => [1, 3, 10].reduce((sum, c, i) => sum + 0.5 * c * (x[i] - 0.5) ** 2, 0),
    gradient: (x) => [1, 3, 10].map((c, i) => c * (x[i] - 0.5)),
  },
}
const tell = (session: Asker, { value, gradient }: Fn) => {
  const [{ x }] = session.points
  const wants = session.query.wants.map(({ kind }) => kind)
  session.tell({
    gradients: [{ x: Float64Array.from(gradient(x)) }],
    ...(wants.includes('value') && { values: [[value(x)]] }),
  })
}

test.each(golden.lbfgs)('LBFGS of torch.optim on $problem, rate $learningRate', (found) => {
  const { problem, start, learningRate, memory, trajectory } = found
  const session = new Asker(method, vectors(start), { learningRate, memory, lineSearch: 'none' })
  for (const [t, point] of trajectory.entries()) {
    tell(session, functions[problem])
    session.restart()
    for (const [i, x] of point.entries())
      expect(Math.abs(session.points[0].x[i] - x), `step ${t + 1}`).toBeLessThan(1e-8 * Math.max(1, Math.abs(x)))
  }
})

test('with a line search: down the valley, each iteration by the strong Wolfe conditions', () => {
  const { value, gradient } = functions.rosenbrock
  const session = new Asker(method, vectors([-1.2, 1]), { tolerance: 1e-9 })
  let evaluations = 0
  let before = { x: [-1.2, 1], t: 0 }
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0)
  while (session.done === undefined && evaluations < 200) {
    tell(session, functions.rosenbrock)
    session.restart()
    evaluations++
    const now = { x: Array.from(session.answer.x), t: session.estimate.step }
    if (now.t === before.t) continue
    const s = now.x.map((v, i) => v - before.x[i])
    expect(value(now.x)).toBeLessThanOrEqual(value(before.x) + 1e-4 * dot(gradient(before.x), s) + 1e-15)
    expect(Math.abs(dot(gradient(now.x), s))).toBeLessThanOrEqual(0.9 * Math.abs(dot(gradient(before.x), s)) + 1e-15)
    before = now
  }
  expect(session.done).toBe('the gradient vanishes')
  expect(evaluations).toBeLessThan(80)
  for (const v of session.answer.x) expect(v).toBeCloseTo(1, 8)
})

test('a search ends at a good length of functions that are flat, steep, or without a minimum nearby', () => {
  const options = { decrease: 1e-4, flatness: 0.1, trials: 40 }
  const lines: [string, (a: number) => number, (a: number) => number][] = [
    ['far', (a) => (a - 100) ** 2, (a) => 2 * (a - 100)],
    ['near', (a) => (a - 1e-3) ** 2, (a) => 2 * (a - 1e-3)],
    // More and Thuente 1994, functions 1 and 2.
    ['flat', (a) => -a / (a * a + 2), (a) => (a * a - 2) / (a * a + 2) ** 2],
    ['steep', (a) => (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, (a) => 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3],
  ]
  for (const [name, f, df] of lines)
    for (const first of [1e-3, 1, 1000]) {
      const start: Point = { length: 0, value: f(0), slope: df(0) }
      let search = searchFrom(start)
      let length = first
      let accepted: Point | undefined
      for (let k = 0; k < 40 && !accepted; k++) {
        const next = searchOn(search, { length, value: f(length), slope: df(length) }, options)
        if (next.accepted) accepted = next.accepted
        else ({ search, length } = next)
      }
      const { length: a } = accepted!
      expect(f(a), `${name} from ${first}`).toBeLessThanOrEqual(f(0) + 1e-4 * a * df(0))
      expect(Math.abs(df(a)), `${name} from ${first}`).toBeLessThanOrEqual(0.1 * Math.abs(df(0)))
    }
})

test('where nothing lowers the loss it ends, and bounds are refused', () => {
  const session = new Asker(method, vectors([0]))
  for (let k = 0; k < 100 && session.done === undefined; k++) tell(session, { value: () => 0, gradient: () => [1] })
  expect(session.done).toBe('no length along the gradient lowers the loss')
  expect(() => new Asker(method, vectors([0], { low: 0 }))).toThrow('space.low: lbfgs keeps to no bounds')
})
