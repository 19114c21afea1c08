import { expect, it } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/mezo.js'
import { addMove, type Move } from '../../../src/core/directions.js'
import type { Point, Query } from '../../../src/core/query.js'
import type { Problem } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { Driver } from '../drive.js'

const problem = (n: number, start?: Tensors, direction: 'minimize' | 'maximize' = 'minimize'): Problem => ({
  space: {
    kind: 'tensors',
    tensors: [
      { name: 'w', shape: [n], dtype: 'f64' },
      { name: 'b', shape: [], dtype: 'f64' },
    ],
    ...(start && { initial: start }),
  },
  objectives: [{ name: 'loss', direction }],
})
const moveOf = (point: Point): Move => {
  if (point.kind !== 'seeded') throw new Error(`expected seeds, got ${point.kind}`)
  return point.move
}
const answer = (driver: Driver, query: Query, told: object) =>
  driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', ...told } })
const view = (driver: Driver) => method.view!(driver.run as never, driver.state as never, 'x')

it('a step by hand: -lr (l+ - l-)/(2 eps) along the direction of the seed, averaged over n', () => {
  const driver = new Driver(method, problem(3), { learningRate: 0.1, eps: 0.5, samples: 2 })
  const [query] = driver.ask()
  expect(query.iterate).toEqual({ step: 0, last: [] })
  const [a, b, c, d] = query.points.map(moveOf)
  expect([a.scale, b.scale, c.scale, d.scale]).toEqual([0.5, -0.5, 0.5, -0.5])
  expect([b.seed, d.seed]).toEqual([a.seed, c.seed])
  expect(c.seed).not.toBe(a.seed)
  const [next] = answer(driver, query, { values: [[3], [1], [-1], [4]] }).queries
  const last = [
    { ...a, scale: Math.fround(-0.1) },
    { ...c, scale: 0.25 },
  ]
  expect(next.iterate).toEqual({ step: 1, last })
  const expected = { w: new Float64Array(3), b: new Float64Array(1) }
  for (const move of last) addMove(expected, move)
  expect(view(driver)).toEqual(expected)
})

it('maximizing is minimizing the negative', () => {
  const [up, down] = (['maximize', 'minimize'] as const).map((direction) => {
    const driver = new Driver(method, problem(2, undefined, direction), { learningRate: 1, eps: 1 })
    const [query] = driver.ask()
    const sign = direction === 'maximize' ? -1 : 1
    return answer(driver, query, { values: [[sign * 2], [sign * 5]] }).queries[0].iterate
  })
  expect(up).toEqual(down)
})

it('derivatives are asked at the iterate, along directions that are no points', () => {
  const driver = new Driver(method, problem(2), { learningRate: 0.1, feedback: 'directional', samples: 2 })
  const [query] = driver.ask()
  expect(query.points.map((point) => point.kind === 'seeded' && [point.move.scale, point.alone])).toEqual([
    [0, undefined],
    [1, true],
    [1, true],
  ])
  const [next] = answer(driver, query, { derivatives: [4, -2] }).queries
  expect(next.iterate?.last.map(({ scale }) => scale)).toEqual([-0.2, 0.1].map(Math.fround))
})

it('the state holds a number per move and nothing of the size of the tensors', () => {
  const driver = new Driver(method, problem(1e6), {})
  for (let i = 0; i < 50; i++) {
    const query = i === 0 ? driver.ask()[0] : driver.outcome!.queries[0]
    answer(driver, query, { values: [[i], [1]] })
  }
  expect(JSON.stringify(driver.state).length).toBeLessThan(4000)
})

it('start values are where it starts; without them the estimate is what has been added', () => {
  const start = { w: Float64Array.of(1, 2), b: Float64Array.of(-1) }
  const [from, plain] = [start, undefined].map((initial) => {
    const driver = new Driver(method, problem(2, initial), { learningRate: 0.1, eps: 0.1, distribution: 'rademacher' })
    answer(driver, driver.ask()[0], { values: [[1], [0.5]] })
    return view(driver)
  })
  expect([...from.w].map((x, i) => x - start.w[i])).toEqual([...plain.w].map((x) => expect.closeTo(x, 15)))
  expect(Math.abs(plain.w[0])).toBe(0.25)
})

it('directions are those of a seed, whatever else is made: signs are fair, normals are normal', () => {
  const n = 100_003
  const draw = (rademacher: boolean, name = 'x') => {
    const made = { [name]: new Float64Array(n) }
    addMove(made, { seed: 7, scale: 1, rademacher })
    return made[name]
  }
  const signs = draw(true)
  expect(new Set(signs)).toEqual(new Set([-1, 1]))
  const mean = (x: Float64Array, power: number) => x.reduce((sum, v) => sum + v ** power, 0) / n
  // Four standard deviations of the mean.
  expect(Math.abs(mean(signs, 1))).toBeLessThan(4 / Math.sqrt(n))
  const normals = draw(false)
  expect(Math.abs(mean(normals, 1))).toBeLessThan(4 / Math.sqrt(n))
  expect(Math.abs(mean(normals, 2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n))
  expect(Math.abs(mean(normals, 4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n))
  expect(draw(true, 'y')).not.toEqual(signs)
  const start = { x: new Float64Array(5) }
  addMove(start, { seed: 7, scale: 1, rademacher: false })
  expect([...start.x]).toEqual([...normals.subarray(0, 5)])
})

it('bounds and tensors of two bytes are refused where they are', () => {
  const space = { ...problem(2).space, tensors: [{ name: 'w', shape: [2], dtype: 'bf16' as const }], high: 1 }
  const issues = method.check!(method.config.parse({}), { ...problem(2), space } as Problem)
  expect(issues.map(({ path }) => path)).toEqual(['space.tensors[0].dtype', 'space.high'])
})
