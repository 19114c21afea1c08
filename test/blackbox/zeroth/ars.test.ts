import { expect, test } from 'vitest'
import { method } from '../../../src/blackbox/zeroth/ars.js'
import { of, Session, vector, xOf } from './session.js'

test('ars: a step is that of the paper, along the best directions', () => {
  const config = { directions: 5, top: 2, learningRate: 0.1, noise: 0.5 }
  const session = new Session(method, vector([1, -2]), config)
  const f = (x: ArrayLike<number>) => x[0] ** 2 + 3 * x[1]
  const queries = session.ask(10)
  expect(queries.length).toBe(5)
  expect(new Set(queries.map(({ sampleKey }) => sampleKey)).size).toBe(1)
  const pairs = queries.map(({ points }) => {
    const [plus, minus] = points.map(xOf)
    const direction = [0, 1].map((i) => (plus[i] - minus[i]) / (2 * config.noise))
    return { direction, up: f(plus), down: f(minus) }
  })
  for (const query of [...queries].reverse()) session.tell(query, of(f)(query))
  const top = [...pairs].sort((a, b) => Math.min(a.up, a.down) - Math.min(b.up, b.down)).slice(0, 2)
  const values = top.flatMap(({ up, down }) => [up, down])
  const mean = values.reduce((a, b) => a + b, 0) / 4
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 4)
  const expected = [1, -2].map(
    (x, i) =>
      x - (0.1 / (2 * deviation)) * top.reduce((sum, { up, down, direction }) => sum + (up - down) * direction[i], 0),
  )
  expect([...session.x]).toEqual(expected.map((x) => expect.closeTo(x, 12)))
  expect(session.metrics.deviation).toBeCloseTo(deviation, 12)
})

test('ars: the scale of the objective does not matter; a flat one moves nothing', () => {
  const run = (scale: number) =>
    new Session(method, vector([1, -2, 3]), { learningRate: 0.1 }).rounds(
      100,
      of((x) => scale * x.reduce((sum, v) => sum + v * v, 0)),
    ).x
  expect([...run(1024)]).toEqual([...run(1)])
  expect([...run(0)]).toEqual([1, -2, 3])
  expect(Math.hypot(...run(1))).toBeLessThan(0.3)
})

test('ars: more top directions than there are is refused', () => {
  expect(() => new Session(method, vector([1]), { directions: 2, top: 3 })).toThrow('config.top')
})
