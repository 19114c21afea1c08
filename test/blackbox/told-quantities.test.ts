/** Methods that ask more than values, through the session layer: what they ask is validated there, stored, and answered. */
import { describe, expect, it } from 'vitest'
import type { Observation, Query } from '../../src/core/query.js'
import type { Problem } from '../../src/core/space.js'
import { openManager } from '../../src/sessions/index.js'
import { BreakableStore, Clock } from '../sessions/fakes.js'

const items = (n: number): Problem => ({
  space: { kind: 'items', items: Array.from({ length: n }, (_, i) => ({ id: `i${i}` })) },
  objectives: [{ name: 'reward', direction: 'maximize' }],
})
const plane: Problem = {
  space: {
    kind: 'search',
    parameters: ['x', 'y'].map((name) => ({ name, type: 'float', low: -1, high: 1 })),
  },
  objectives: [{ name: 'loss', direction: 'minimize' }],
}
const image: Problem = {
  space: { kind: 'tensors', tensors: [{ name: 'image', shape: [4, 4], dtype: 'f32' }], low: 0, high: 1 },
  objectives: [{ name: 'decision', direction: 'maximize' }],
}

const CASES: readonly [string, object, Problem, number, string[]][] = [
  ['gp-bo', { gradients: true, nInitial: 4 }, plane, 8, ['value', 'quantities']],
  ['go-ucb', { model: 'told', initial: [0, 0], nInitial: 4, nCandidates: 16 }, plane, 12, ['value', 'quantities']],
  ['neural-gcb', { features: 'told', bestReward: true, horizon: 20 }, items(3), 12, ['quantities', 'value']],
  ['lin-ucb', { features: 'told' }, items(3), 12, ['quantities', 'value']],
  ['bayes-attack', { answer: 'soft', latent: [2, 2], maxQueries: 12 }, image, 8, ['quantities']],
  ['bayes-attack', { latent: [2, 2], maxQueries: 12 }, image, 8, ['quantities']],
]

describe.each(CASES)('%s %o', (method, config, problem, rounds, kinds) => {
  it('asks and is answered, and goes on after a restart', async () => {
    const store = new BreakableStore()
    const clock = new Clock()
    const start = () => openManager({ store, clock: clock.read, threads: 0 })
    let sessions = await start()
    await sessions.create({ method, config, problem, seed: 3, offers: ['value', 'quantities'] }, { id: 'a' })
    const seen = new Set<string>()
    let queries: readonly Query[] = []
    const answer = ({ id, points, wants }: Query, round: number): Observation => {
      const observation: { -readonly [K in keyof Observation]: Observation[K] } = { queryId: id, status: 'ok' }
      for (const want of wants) {
        seen.add(want.kind)
        if (want.kind === 'value') observation.values = points.map((_, i) => [Math.sin(round + i)])
        if (want.kind !== 'quantities') continue
        observation.quantities = points.map((_, i) =>
          Object.fromEntries(
            want.quantities.map(({ name, shape }) => {
              const size = shape.reduce((n, d) => n * (d < 0 ? 3 : d), 1)
              const at = (k: number) => (name === 'label' ? 1 : Math.cos(k + i) - 2)
              return [name, Float64Array.from({ length: size }, (_, k) => at(k))]
            }),
          ),
        )
      }
      return observation
    }
    for (let round = 0; round < rounds; round++) {
      if (round === 3 || round === 6) sessions = await start()
      const result = await sessions.step('a', { observations: queries.map((q) => answer(q, round)), count: 1 })
      queries = result.queries
      if (result.state === 'done') break
      expect(queries.length, result.short?.reason).toBe(1)
    }
    expect([...seen].sort()).toEqual([...kinds].sort())
    expect((await sessions.estimate('a')).step).toBeGreaterThan(2)
    await sessions.close()
  })
})
