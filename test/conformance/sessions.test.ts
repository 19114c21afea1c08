/** Every method through the real session layer: what it asks passes the session's checks, and answers reach it. */
import { afterAll, describe, expect, it } from 'vitest'
import { methods as blackbox } from '../../src/blackbox/catalogue.gen.js'
import type { AnyMethod } from '../../src/core/method.js'
import type { Query } from '../../src/core/query.js'
import type { Problem } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import { methods as optimizers } from '../../src/optimizers/catalogue.gen.js'
import { createSessions } from '../../src/sessions/index.js'
import { problem, problemNames, type TestProblem } from '../problems/index.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
afterAll(() => sessions.close())

/** Plays up to `most` answers of a session; returns how many were told, and how many of them were NaN. */
async function play(id: string, answer: TestProblem['answer'], most: number) {
  let told = 0
  let nan = 0
  while (told < most) {
    const { queries, state } = await sessions.step(id, { count: 3, worker: 'w' })
    if (state === 'done') break
    expect(queries.length).toBeGreaterThan(0)
    for (const query of queries) {
      const views = new Map<string, Tensors>()
      for (const point of query.points) {
        // What is made of seeds begins from the iterate.
        const name = point.kind === 'view' ? point.name : point.kind === 'seeded' ? 'x' : undefined
        if (name) views.set(name, (await sessions.view(id, name, (tensors) => structuredClone(tensors)))!)
      }
      const observation = answer(query, (name) => views.get(name)!)
      await sessions.step(id, { observations: [observation], count: 0 })
      told++
      if (observation.values?.some(([value]) => Number.isNaN(value))) nan++
    }
  }
  return { told, nan }
}

const recipes = [...optimizers, ...blackbox].flatMap((method: AnyMethod) =>
  method.recipes
    .filter((recipe) => problemNames.includes(recipe.problem))
    .map((recipe) => [method.id, recipe.problem, recipe] as const),
)

describe('through the session layer', () => {
  it.each(recipes)('%s on %s', async (method, name, { config }) => {
    const world = problem(name)
    const info = await sessions.create({ method, config, problem: world.problem, seed: 1, offers: world.offers })
    const { told, nan } = await play(info.id, world.answer, 15)
    expect(told).toBeGreaterThan(0)
    const { counts } = await sessions.get(info.id)
    expect(counts.told).toBe(told)
    // A value of NaN counts as a failure.
    expect(counts.failed).toBe(nan)
  })

  it('opro orders items: its queries carry the order as text', async () => {
    const tour: Problem = {
      space: { kind: 'items', items: ['a', 'b', 'c', 'd'].map((id) => ({ id })) },
      objectives: [{ name: 'length', direction: 'minimize' }],
    }
    const info = await sessions.create({ method: 'opro', problem: tour, seed: 1, config: { maxSteps: 2 } })
    const orders: string[] = []
    const answer = (query: Query) => {
      if (query.wants[0].kind === 'completion')
        return { queryId: query.id, status: 'ok' as const, completions: new Array(8).fill('<trace>0,1,2,3</trace>') }
      const [point] = query.points
      if (point.kind === 'text') orders.push(point.text.order)
      return { queryId: query.id, status: 'ok' as const, values: [[orders.at(-1) === '0,1,2,3' ? 0 : 1]] }
    }
    await play(info.id, answer, 100)
    for (const order of orders) expect(order.split(',').sort()).toEqual(['0', '1', '2', '3'])
    const { points } = await sessions.estimate(info.id)
    expect(points[0]).toMatchObject({ point: { text: { order: '0,1,2,3' } }, values: [0] })
  })
})
