/** Sessions of every method over search spaces, asked and told in tests as a client would. */
import { methods } from '../../src/blackbox/catalogue.gen.js'
import type { AnyMethod } from '../../src/core/method.js'
import type { Observation } from '../../src/core/query.js'
import type { Params, Problem, SearchSpace } from '../../src/core/space.js'
import type { LeasedQuery, Sessions } from '../../src/sessions/api.js'

export const all = methods as readonly AnyMethod[]
export const takes = (method: AnyMethod, what: string) =>
  method.facts.spaces.includes('search') && method.facts.parameters?.includes(what as 'float')

export const problemOf = (method: AnyMethod, space: SearchSpace): Problem => ({
  space,
  objectives: (method.facts.objectives === 'many' ? ['f', 'g'] : ['f']).map((name) => ({
    name,
    direction: 'minimize',
  })),
})

export const paramsOf = (query: LeasedQuery): Params[] =>
  query.points.flatMap((point) => (point.kind === 'params' ? [point.params] : []))

export type Told = number | Exclude<Observation['status'], 'ok'>

/** Answers `rounds` asks of two queries each; the objectives after the first are the first, shifted. Returns what was asked. */
export async function play(sessions: Sessions, id: string, rounds: number, f: (params: Params) => Told) {
  const { objectives } = (await sessions.get(id)).problem
  const asked: LeasedQuery[] = []
  for (let i = 0; i < rounds; i++) {
    const { queries, short, state } = await sessions.step(id, { count: 2 })
    if (queries.length < 2 && !short?.reason && state !== 'done')
      throw new Error('fewer queries than asked for, and no word why')
    for (const query of queries) {
      asked.push(query)
      const told = paramsOf(query).map(f)
      const bad = told.find((value) => typeof value === 'string')
      const quantities = query.wants.some(({ kind }) => kind === 'quantities') ? { quantities: [] } : {}
      const observation = bad
        ? { queryId: query.id, status: bad }
        : {
            queryId: query.id,
            status: 'ok' as const,
            values: told.map((value) => objectives.map((_, k) => (value as number) + k)),
            ...quantities,
          }
      await sessions.step(id, { observations: [observation], count: 0 })
    }
  }
  return asked
}
