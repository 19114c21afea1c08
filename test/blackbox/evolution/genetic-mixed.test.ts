import { describe, expect, it } from 'vitest'
import { mappedCrossover, method, orderCrossover } from '../../../src/blackbox/evolution/genetic-mixed.js'
import type { Params, Problem, SearchSpace } from '../../../src/core/space.js'
import { createSessions } from '../../../src/sessions/index.js'

const objectives = [{ name: 'length', direction: 'minimize' as const }]

async function best(problem: Problem, f: (params: Params) => number, asks: number, config = {}, seed = 1) {
  const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
  const { id } = await sessions.create({ method: method.id, problem, config, seed })
  let queries = (await sessions.step(id, { count: 4 })).queries
  for (let i = 0; i < asks; i += queries.length) {
    const observations = queries.map((q) => {
      const [point] = q.points
      if (point.kind !== 'params') throw new TypeError('params')
      return { queryId: q.id, status: 'ok' as const, values: [[f(point.params)]] }
    })
    queries = (await sessions.step(id, { observations, count: 4 })).queries
  }
  const { points } = await sessions.estimate(id)
  await sessions.close()
  return points[0]
}

describe('crossovers of orders', () => {
  // Goldberg and Lingle 1985 and Davis 1985, worked by hand.
  const a = [1, 2, 3, 4, 5, 6, 7, 8]
  const b = [3, 7, 5, 1, 6, 8, 2, 4]
  it('order crossover keeps a stretch and the order of the other parent after it', () => {
    expect(orderCrossover(a, b, 3, 6)).toEqual([7, 1, 8, 4, 5, 6, 2, 3])
  })
  it('partially mapped crossover keeps a stretch and the places of the other parent', () => {
    expect(mappedCrossover(a, b, 3, 6)).toEqual([3, 7, 8, 4, 5, 6, 2, 1])
  })
})

describe('a tour of 12 cities on a circle, in an order that hides it', () => {
  const n = 12
  const cities = Array.from({ length: n }, (_, i) => `city${(i * 5) % n}`)
  const angle = (city: unknown) => (2 * Math.PI * Number(String(city).slice(4))) / n
  const length = ({ tour }: Params) =>
    (tour as string[]).reduce(
      (sum, city, i, all) => sum + 2 * Math.abs(Math.sin((angle(city) - angle(all[(i + 1) % n])) / 2)),
      0,
    )
  const space: SearchSpace = { kind: 'search', parameters: [{ name: 'tour', type: 'permutation', items: cities }] }
  const optimum = n * 2 * Math.sin(Math.PI / n)

  it.each(['order', 'pmx'])('is found with %s crossover, whatever the seed', async (orderCrossover) => {
    for (const seed of [1, 2, 3]) {
      const { values } = await best({ space, objectives }, length, 2500, { orderCrossover }, seed)
      expect(values![0]).toBeCloseTo(optimum, 9)
    }
  })
})

describe('a mixed space', () => {
  it('finds order, number and category together, the condition kept', async () => {
    const space: SearchSpace = {
      kind: 'search',
      parameters: [
        { name: 'order', type: 'permutation', items: ['a', 'b', 'c', 'd', 'e'] },
        { name: 'x', type: 'float', low: -1, high: 1 },
        { name: 'kind', type: 'categorical', choices: ['p', 'q', 'r'] },
        { name: 'depth', type: 'int', low: 1, high: 6, condition: { parent: 'kind', values: ['q'] } },
      ],
    }
    const goal = ['e', 'a', 'd', 'b', 'c']
    const f = ({ order, x, kind, depth }: Params) =>
      (order as string[]).reduce((sum, item, i) => sum + Math.abs(goal.indexOf(item) - i), 0) +
      ((x as number) - 0.25) ** 2 +
      (kind === 'q' ? Math.abs((depth as number) - 4) / 10 : 1)
    const { point, values } = await best({ space, objectives }, f, 1200)
    expect(values![0]).toBeLessThan(1e-3)
    expect(point).toMatchObject({ params: { order: goal, kind: 'q', depth: 4 } })
  })

  it('says so when every order was asked', async () => {
    const space: SearchSpace = {
      kind: 'search',
      parameters: [{ name: 'order', type: 'permutation', items: ['a', 'b', 'c'] }],
      constraints: [],
    }
    const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
    const { id } = await sessions.create({ method: 'genetic', problem: { space, objectives }, seed: 1 })
    const { queries, short } = await sessions.step(id, { count: 10 })
    expect(new Set(queries.map((q) => JSON.stringify(q.points))).size).toBe(6)
    expect(short?.reason).toBe('every point of the finite space was asked')
    await sessions.close()
  })
})
