/**
 * What real searches run into, on every method over search spaces: objectives that say nothing, answers that are all bad,
 * values at the ends of the floats, spaces that are used up, one dimension and many, points that all but coincide. Each ends
 * in points of the space or in a word why there is none, never in an error, and no repeat goes unsaid.
 */
import { afterAll, describe, expect, it } from 'vitest'
import type { AnyMethod } from '../../src/core/method.js'
import { parseConfig } from '../../src/core/schema.js'
import { checkParams, type Params, type SearchSpace } from '../../src/core/space.js'
import { createSessions } from '../../src/sessions/index.js'
import { all, paramsOf, play, problemOf, type Told, takes } from './searches.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
afterAll(() => sessions.close())

const methods = all.filter((method) => method.facts.unsolicited === 'accept' && takes(method, 'float'))

const floats = (dimension: number): SearchSpace => ({
  kind: 'search',
  parameters: Array.from({ length: dimension }, (_, i) => ({ name: `x${i}`, type: 'float', low: -1, high: 1 })),
})
/** Six points. */
const grid: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x0', type: 'int', low: 0, high: 2 },
    { name: 'x1', type: 'ordinal', choices: [1, 10] },
  ],
}
const bowl = (params: Params) => Object.values(params).reduce<number>((sum, x) => sum + ((x as number) - 0.3) ** 2, 0)

let created = 0
async function search(method: AnyMethod, space: SearchSpace) {
  const { id } = await sessions.create(
    { method: method.id, problem: problemOf(method, space), seed: 1 },
    { id: `edge-${++created}` },
  )
  return id
}
/** Plays on; every point asked lies in the space, and where none is asked there is a reason. */
async function played(id: string, space: SearchSpace, rounds: number, f: (params: Params) => Told) {
  const asked = await play(sessions, id, rounds, f)
  for (const params of asked.flatMap(paramsOf)) expect(checkParams(space, params, 'params')).toEqual([])
  if (asked.length < 2 * rounds) {
    const { queries, short, statusMessage } = await sessions.step(id, { count: 1 })
    if (queries.length === 0) expect(short?.reason || statusMessage).not.toBe('')
  }
  return asked
}
const valuesOf = async (id: string) => (await sessions.estimate(id)).points.map(({ values }) => values?.[0])

describe.each(methods.map((method) => [method.id, method] as const))('%s', (_, method) => {
  const rounds = method.facts.heavy ? 8 : 20

  it('one trial is the estimate', async () => {
    const id = await search(method, floats(2))
    const { queries } = await sessions.step(id, { count: 1 })
    const points = queries.flatMap(paramsOf)
    const quantities = queries[0].wants.some(({ kind }) => kind === 'quantities') ? { quantities: [] } : {}
    const values = points.map((params) => problemOf(method, floats(2)).objectives.map(() => bowl(params)))
    await sessions.step(id, {
      observations: [{ queryId: queries[0].id, status: 'ok', values, ...quantities }],
      count: 0,
    })
    const estimate = await sessions.estimate(id)
    expect(estimate.points.map(({ point }) => point.kind === 'params' && point.params)).toContainEqual(points[0])
  })

  // The answer of a bandit is an arm, by all that was told of it, and no trial.
  if (method.family !== 'bandit')
    it('a pruned trial is no answer, however good it looked', async () => {
      const id = await search(method, floats(2))
      const tell = async (status: 'ok' | 'pruned', value: number) => {
        const { queries } = await sessions.step(id, { count: 1 })
        const points = queries.flatMap(paramsOf)
        const quantities = queries[0].wants.some(({ kind }) => kind === 'quantities') ? { quantities: [] } : {}
        const values = points.map(() => problemOf(method, floats(2)).objectives.map(() => value))
        await sessions.step(id, { observations: [{ queryId: queries[0].id, status, values, ...quantities }], count: 0 })
        return points
      }
      const [done] = await tell('ok', 1)
      const [pruned] = await tell('pruned', -1e6)
      const { kind, points } = await sessions.estimate(id)
      // An iterate is no trial either, once there is one.
      if (kind === 'iterate') return
      const answers = points.map(({ point }) => point.kind === 'params' && point.params)
      expect(answers).toContainEqual(done)
      expect(answers).not.toContainEqual(pruned)
    })

  it.each([
    ['a constant', () => 1],
    ['values near the largest float', (p: Params) => 1e307 * (1 + bowl(p))],
    ['values below the normal floats', (p: Params) => 1e-310 * bowl(p)],
    ['values of all sizes and signs', (p: Params) => Math.sinh(100 * (p.x0 as number))],
    ['infinities', (p: Params) => ((p.x0 as number) > 0 ? Number.POSITIVE_INFINITY : bowl(p))],
    ['NaN', () => Number.NaN],
    ['failures alone', () => 'failed' as const],
    ['infeasible points alone', () => 'infeasible' as const],
    ['stopped trials alone', () => 'pruned' as const],
  ] satisfies [string, (params: Params) => Told][])('%s', async (_, f) => {
    const space = floats(2)
    const id = await search(method, space)
    const asked = await played(id, space, rounds, f)
    expect(asked.length).toBeGreaterThan(0)
    for (const { values } of (await sessions.estimate(id)).points) for (const v of values ?? []) expect(v).not.toBeNaN()
  })

  it('a finite space that is used up: each repeat names the trial it repeats', async () => {
    const id = await search(method, grid)
    const asked = await played(id, grid, rounds, bowl)
    const first = new Map<string, number>()
    for (const query of asked)
      for (const params of paramsOf(query)) {
        const point = JSON.stringify([params.x0, params.x1])
        if (query.trial === undefined) continue
        // Both of a round may be the same: the first of them was not told when the second was asked.
        const told = first.get(point)
        if (query.repeats !== undefined) expect(query.repeats).toBe(told)
        else if (told !== undefined) expect(told).toBe(query.trial - 1)
        if (told === undefined) first.set(point, query.trial)
      }
  })

  it.each([1, 500])('%i dimensions', async (dimension) => {
    const space = floats(dimension)
    const refusal = method.check?.(parseConfig(method.config, {}), problemOf(method, space)) ?? []
    if (refusal.length > 0) return expect(search(method, space)).rejects.toMatchObject({ issues: refusal })
    const id = await search(method, space)
    const most = dimension === 1 ? rounds : 2
    const asked = await played(id, space, most, bowl)
    // A local search may have ended where nothing moves any more.
    const least = (await sessions.get(id)).state === 'done' ? 1 : most
    expect(asked.length).toBeGreaterThanOrEqual(least)
  })

  it('points that all but coincide, with values that do not', async () => {
    const space = floats(2)
    const id = await search(method, space)
    const objectives = problemOf(method, space).objectives.length
    const observations = Array.from({ length: 12 }, (_, i) => ({
      queryId: '',
      status: 'ok' as const,
      point: { kind: 'params' as const, params: { x0: 0.5 + i * 1e-15, x1: -0.5 } },
      values: [Array.from({ length: objectives }, () => (i % 2 === 0 ? 1 : -1))],
    }))
    await sessions.step(id, { observations, count: 0 })
    await played(id, space, rounds, bowl)
    expect((await valuesOf(id)).length).toBeGreaterThan(0)
  })
})
