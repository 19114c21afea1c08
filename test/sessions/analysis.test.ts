/** Analyses of sessions: off the serving thread, and nothing of the session changes. */
import { afterAll, describe, expect, it } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import type { Params, SearchSpace } from '../../src/core/space.js'
import { createSessions } from '../../src/sessions/index.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 1 })
afterAll(() => sessions.close())

const x = { name: 'x', type: 'float', low: 0, high: 1 } as const
const n = { name: 'n', type: 'int', low: 1, high: 4 } as const
const space: SearchSpace = { kind: 'search', parameters: [x, n] }
const objectives = [{ name: 'loss', direction: 'minimize' as const }]

async function told(id: string, points: readonly Params[]) {
  const observations = points.map((params) => ({
    queryId: '',
    point: { kind: 'params' as const, params },
    status: 'ok' as const,
    values: [[((params.x as number) - 0.3) ** 2]],
  }))
  await sessions.step(id, { observations, count: 0 })
}
const points = Array.from({ length: 12 }, (_, i) => ({ x: i / 11, n: 1 + (i % 4) }))

describe('an analysis', () => {
  it('reads the trials of any method and leaves the session as it is', async () => {
    const { id } = await sessions.create({ method: 'random', problem: { space, objectives }, seed: 1 })
    await told(id, points)
    await sessions.step(id, { count: 1 })
    const before = await sessions.get(id)
    const analysis = await sessions.analyze(id, { points: [{ x: 0.3, n: 1 }] })
    expect(analysis.revision).toBe(before.revision)
    expect(analysis.history).toHaveLength(12)
    expect(analysis.timeline).toHaveLength(13)
    expect(analysis.importances?.parameters[0].parameter).toBe('x')
    expect(Math.abs(analysis.predictions![0].mean)).toBeLessThan(0.01)
    expect(await sessions.get(id)).toEqual(before)
    // From the surrogate that was kept: the same numbers.
    const again = await sessions.analyze(id, { kinds: ['prediction'], points: [{ x: 0.3, n: 1 }] })
    expect(again.predictions).toEqual(analysis.predictions)
    await told(id, [{ x: 0.31, n: 2 }])
    const later = await sessions.analyze(id, { kinds: ['prediction'], points: [{ x: 0.3, n: 1 }] })
    expect(later.predictions![0].deviation).not.toBe(analysis.predictions![0].deviation)
  })

  it('reads the space as it is after an edit', async () => {
    const { id } = await sessions.create({ method: 'tpe', problem: { space, objectives }, seed: 1 })
    await told(id, points)
    const narrow: SearchSpace = { kind: 'search', parameters: [{ ...x, high: 0.5 }, n] }
    await sessions.editSpace(id, { space: narrow, dropInvalid: true })
    const { trials, history } = await sessions.analyze(id, { kinds: ['history'] })
    expect(trials).toBe(points.filter((point) => point.x <= 0.5).length)
    expect(history).toHaveLength(trials)
  })

  it('refuses what does not fit the session', async () => {
    const tensors = { kind: 'tensors' as const, tensors: [{ name: 'w', shape: [2], dtype: 'f32' as const }] }
    const { id } = await sessions.create({ method: 'adam', problem: { space: tensors, objectives }, seed: 1 })
    const error = await sessions.analyze(id, {}).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(AsktellError)
    expect((error as AsktellError).message).toBe(
      'name: expected a session over a search space, this one is over tensors',
    )
    await expect(sessions.analyze('nobody', {})).rejects.toThrow('nobody')
  })

  it('is turned away while too many wait, and asks go on meanwhile', async () => {
    const { id } = await sessions.create({ method: 'random', problem: { space, objectives }, seed: 1 })
    await told(id, points)
    const calls = Array.from({ length: 40 }, () => sessions.analyze(id, { kinds: ['slices'] }).catch((e: unknown) => e))
    expect((await sessions.step(id, { count: 1 })).queries).toHaveLength(1)
    const refused = (await Promise.all(calls)).filter((answer) => answer instanceof AsktellError)
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(40)
    for (const { reason, retryAfter } of refused) expect([reason, retryAfter]).toEqual(['OVERLOADED', 1])
    expect((await sessions.analyze(id, { kinds: ['edf'] })).edf?.values).not.toHaveLength(0)
  })
})
