/**
 * Every method over search spaces keeps to the constraints of a space, and goes on after its space was edited and its trials
 * corrected and deleted, the same whether it ran on, was read back from its journal, or was forked.
 */
import { afterAll, describe, expect, it } from 'vitest'
import type { Params, SearchSpace } from '../../src/core/space.js'
import { createSessions } from '../../src/sessions/index.js'
import { all, paramsOf, play, problemOf, takes } from './searches.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
afterAll(() => sessions.close())

const constrained = all.filter((method) => takes(method, 'constrained'))
const orders = all.filter((method) => takes(method, 'permutation'))

const triangle: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x', type: 'float', low: 0, high: 1 },
    { name: 'y', type: 'float', low: 0, high: 1 },
    { name: 'n', type: 'int', low: 1, high: 8 },
  ],
  constraints: [
    { type: 'linear', coefficients: { x: 1, y: 1 }, bound: 0.8 },
    { type: 'expression', expression: 'x * n <= 2 and x^2 + y^2 >= 0.01' },
    { type: 'forbidden', when: { n: [3, 4] } },
  ],
}
const value = (p: Params) => ((p.x as number) - 0.5) ** 2 + ((p.y as number) - 0.4) ** 2 + (p.n as number) / 10

/** The points asked in `rounds` rounds of two. */
const points = async (id: string, rounds: number, f: (params: Params) => number) =>
  (await play(sessions, id, rounds, f)).flatMap(paramsOf)

/** The constraints of `triangle`, written out. */
const inTriangle = ({ x, y, n }: { x: number; y: number; n: number }) =>
  x + y <= 0.8 + 1e-14 && x * n <= 2 && x * x + y * y >= 0.01 && n !== 3 && n !== 4

describe('constraints on parameters', () => {
  it('are taken by nearly all methods over search spaces', () => {
    expect(constrained.length).toBeGreaterThan(25)
    expect(
      all.filter((m) => m.facts.spaces.includes('search') && !constrained.includes(m)).map(({ id }) => id),
    ).toEqual(['opro', 'zo-rank-sgd'])
  })

  it.each(constrained.map((method) => [method.id, method] as const))('%s keeps to them', async (id, method) => {
    const info = await sessions.create({ method: id, problem: problemOf(method, triangle), seed: 1 })
    const asked = await points(info.id, method.facts.heavy ? 6 : 12, value)
    expect(asked.length).toBeGreaterThan(5)
    for (const point of asked) expect(point).toSatisfy(inTriangle)
    // Bandits pull an arm again.
    const least = method.family === 'bandit' ? 2 : asked.length / 3
    expect(new Set(asked.map((p) => JSON.stringify(p))).size).toBeGreaterThan(least)
  })
})

describe('orders', () => {
  const space: SearchSpace = {
    kind: 'search',
    parameters: [
      { name: 'order', type: 'permutation', items: ['a', 'b', 'c', 'd', 'e'] },
      { name: 'x', type: 'float', low: 0, high: 1 },
    ],
  }
  const f = ({ order, x }: Params) =>
    (order as string[]).reduce((sum, item, i) => sum + Math.abs('cabed'.indexOf(item) - i), 0) + (x as number)

  it.each(orders.map((method) => [method.id, method] as const))('%s asks orders', async (id, method) => {
    const info = await sessions.create({ method: id, problem: problemOf(method, space), seed: 1 })
    const asked = await points(info.id, 10, f)
    for (const { order } of asked) expect([...(order as string[])].sort().join('')).toBe('abcde')
    expect(new Set(asked.map(({ order }) => `${order}`)).size).toBeGreaterThan(4)
  })

  it('are refused by others, located', async () => {
    for (const method of all.filter((m) => m.facts.spaces.includes('search') && !orders.includes(m)))
      await expect(sessions.create({ method: method.id, problem: problemOf(method, space) })).rejects.toMatchObject({
        reason: 'METHOD_UNSUITABLE',
        issues: expect.arrayContaining([
          { path: 'space.parameters[0].type', message: `${method.id} does not take permutation parameters` },
        ]),
      })
  })
})

describe('changes by hand', () => {
  it.each(constrained.map((method) => [method.id, method] as const))(
    '%s goes on after an edit, a correction and a deletion, and a copy goes on alike',
    async (id, method) => {
      const { constraints: _, ...open } = triangle
      const name = `edit-${id}`
      await sessions.create({ method: id, problem: problemOf(method, open), seed: 1 }, { id: name })
      await points(name, 3, value)
      const [x, ...others] = triangle.parameters
      const space: SearchSpace = {
        kind: 'search',
        parameters: [{ ...x, high: 2 } as typeof x, ...others, { name: 'z', type: 'float', low: 0, high: 1 }],
        constraints: [{ type: 'linear', coefficients: { z: 1 }, bound: 0.5 }],
      }
      const edited = await sessions.editSpace(name, { space, defaults: { z: 0 }, reason: 'more room' }, { by: 'ann' })
      expect(edited.problem.space).toEqual(space)
      const { items } = await sessions.trials(name, {})
      const told = items.filter(({ state }) => state === 'completed')
      if (told.length > 1) {
        const observation = { queryId: '', status: 'ok' as const, values: [told[0].values!.map((v) => v + 1)] }
        await sessions.correctTrial(name, { trial: told[0].number, observation })
        await sessions.deleteTrial(name, { trial: told[1].number, reason: 'wrong data' })
      }
      const later = await points(name, 2, value)
      for (const { z } of later) expect(z).toBeLessThanOrEqual(0.5 + 1e-14)
      expect(later.length).toBeGreaterThan(0)

      const chunks: Uint8Array[] = []
      for await (const chunk of sessions.export(name)) chunks.push(chunk)
      const stream = (async function* () {
        yield* chunks
      })()
      const copy = await sessions.import(stream, { id: `${name}-copy` })
      const fork = await sessions.fork(name, { id: `${name}-fork` })
      const now = await sessions.get(name)
      expect(copy.stateHash).toBe(now.stateHash)
      expect(fork.problem.space).toEqual(space)
      expect((await sessions.audit(copy.id, {})).items).toEqual((await sessions.audit(name, {})).items)
      const next = async (of: string) => (await sessions.step(of, { count: 2 })).queries.map(({ points }) => points)
      const asked = await next(name)
      expect(await next(copy.id)).toEqual(asked)
      expect(await next(fork.id)).toEqual(asked)
    },
  )
})
