/** Changes by hand: of the space, of trials, and who made them. */
import { afterAll, describe, expect, it } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import type { Params, SearchSpace } from '../../src/core/space.js'
import type { LeasedQuery } from '../../src/sessions/api.js'
import { createSessions } from '../../src/sessions/index.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
afterAll(() => sessions.close())

const space: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x', type: 'float', low: 0, high: 1 },
    { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
  ],
}
const [x, kind] = space.parameters
const problem = { space, objectives: [{ name: 'loss', direction: 'minimize' as const }] }
let count = 0
const begin = async (method = 'tpe', more: object = {}) =>
  (await sessions.create({ method, problem, seed: 1, ...more }, { id: `e${count++}` })).id
const ok = (query: LeasedQuery, value: number) => ({ queryId: query.id, status: 'ok' as const, values: [[value]] })
const params = (query: LeasedQuery): Params => (query.points[0] as { params: Params }).params
const refusal = async (call: Promise<unknown>) => {
  const error = await call.catch((e: unknown) => e)
  if (!(error instanceof AsktellError)) throw new TypeError(`was not refused: ${JSON.stringify(error)}`)
  return { reason: error.reason, path: error.issues[0]?.path, message: error.message }
}
/** Tells the points given, as trials 0, 1, 2, … */
async function told(id: string, points: [Params, number][]) {
  const observations = points.map(([params, value]) => ({
    queryId: '',
    point: { kind: 'params' as const, params },
    status: 'ok' as const,
    values: [[value]],
  }))
  await sessions.step(id, { observations, count: 0 })
}
const trial = async (id: string, number: number) => (await sessions.trials(id, {})).items[number]
const best = async (id: string) => (await sessions.estimate(id)).points[0]

describe('the space', () => {
  it('may grow: a choice, a range, a conditional parameter with what old trials had of it', async () => {
    const id = await begin()
    await told(id, [
      [{ x: 0.5, kind: 'a' }, 1],
      [{ x: 0.9, kind: 'b' }, 2],
    ])
    const [out] = (await sessions.step(id, { count: 1 })).queries
    const next: SearchSpace = {
      kind: 'search',
      parameters: [
        { ...x, high: 2 } as typeof x,
        { ...kind, choices: ['a', 'b', 'c'] } as typeof kind,
        { name: 'depth', type: 'int', low: 1, high: 5, condition: { parent: 'kind', values: ['b', 'c'] } },
      ],
    }
    const before = await sessions.get(id)
    const info = await sessions.editSpace(
      id,
      { space: next, defaults: { depth: 3 }, reason: 'more room' },
      { by: 'ann' },
    )
    expect(info.problem.space).toEqual(next)
    expect(info.revision).toBe(before.revision + 1)
    expect((await sessions.get(id, { stateHash: false })).problem.space).toEqual(next)
    expect((await trial(id, 0)).params).toEqual({ x: 0.5, kind: 'a' })
    expect((await trial(id, 1)).params).toEqual({ x: 0.9, kind: 'b', depth: 3 })
    // A worker that has a query of before answers it, and the method learns of it.
    const step = await sessions.step(id, { observations: [ok(out, -1)], count: 20 })
    expect(await best(id)).toMatchObject({ values: [-1], trial: 2, point: { params: params(out) } })
    expect(step.queries.some((q) => params(q).kind === 'c')).toBe(true)
    expect(step.queries.some((q) => (params(q).x as number) > 1)).toBe(true)
    for (const query of step.queries) expect('depth' in params(query)).toBe(params(query).kind !== 'a')
    const { items } = await sessions.audit(id, {})
    expect(items).toEqual([
      {
        revision: info.revision,
        time: info.updateTime,
        by: 'ann',
        action: 'edit_space',
        reason: 'more room',
        before: { parameters: space.parameters },
        after: { parameters: next.parameters, defaults: { depth: 3 }, dropped: [] },
      },
    ])
  })

  it('does not shrink over trials, unless these are to be dropped', async () => {
    const id = await begin()
    await told(id, [
      [{ x: 0.1, kind: 'a' }, 1],
      [{ x: 0.9, kind: 'b' }, 0],
      [{ x: 0.2, kind: 'a' }, 3],
    ])
    const [out] = (await sessions.step(id, { count: 1, enqueue: [{ kind: 'params', params: { x: 0.8, kind: 'a' } }] }))
      .queries
    const narrow: SearchSpace = { ...space, parameters: [{ ...x, high: 0.5 } as typeof x, kind] }
    const before = await sessions.get(id)
    expect(await refusal(sessions.editSpace(id, { space: narrow }))).toEqual({
      reason: 'SPACE_INVALID',
      path: 'trials[1].params.x',
      message:
        'trials[1].params.x: 0.9 is not a value of this parameter: 2 of 4 trials are not points of the new space; ' +
        'with dropInvalid they are deleted',
    })
    expect(await sessions.get(id)).toEqual(before)
    await sessions.editSpace(id, { space: narrow, dropInvalid: true })
    expect((await sessions.trials(id, { filter: 'state = DELETED' })).items.map(({ number }) => number)).toEqual([1, 3])
    expect(await best(id)).toMatchObject({ trial: 0, values: [1] })
    // Its worker comes too late.
    expect(await refusal(sessions.step(id, { observations: [ok(out, 0)], count: 0 }))).toMatchObject({
      reason: 'QUERY_RESOLVED',
    })
    const { queries } = await sessions.step(id, { count: 20 })
    for (const query of queries) expect(params(query).x).toBeLessThanOrEqual(0.5)
  })

  it('takes constraints on, and lets go of them', async () => {
    const id = await begin('random')
    const constraints = [{ type: 'expression' as const, expression: 'kind == "b" or x < 0.1' }]
    await sessions.editSpace(id, { space: { ...space, constraints } })
    const { queries } = await sessions.step(id, { count: 30 })
    for (const query of queries) expect(params(query)).toSatisfy((p: Params) => p.kind === 'b' || (p.x as number) < 0.1)
    const outside = { kind: 'params' as const, params: { x: 0.5, kind: 'a' } }
    expect(
      await refusal(
        sessions.step(id, { observations: [{ queryId: '', point: outside, status: 'ok', values: [[1]] }], count: 0 }),
      ),
    ).toEqual({
      reason: 'OBSERVATION_INVALID',
      path: 'observations[0].point',
      message: 'observations[0].point: violates "kind == "b" or x < 0.1"',
    })
    expect(await refusal(sessions.step(id, { enqueue: [outside], count: 0 }))).toMatchObject({ path: 'enqueue[0]' })
    await sessions.editSpace(id, { space })
    await sessions.step(id, { enqueue: [outside], count: 0 })
  })

  it('goes on after every point of it was asked, when there are more', async () => {
    const small: SearchSpace = {
      kind: 'search',
      parameters: [{ name: 'n', type: 'int', low: 1, high: 4 }],
      constraints: [{ type: 'expression', expression: 'n != 2' }],
    }
    const id = await begin('gp', { problem: { ...problem, space: small } })
    const { queries } = await sessions.step(id, { count: 10 })
    expect(queries.map((q) => params(q).n).sort()).toEqual([1, 3, 4])
    const { short } = await sessions.step(id, { observations: queries.map((q, i) => ok(q, i)), count: 1 })
    expect(short?.reason).toMatch(/every point of the finite space/)
    const wider: SearchSpace = { ...small, parameters: [{ name: 'n', type: 'int', low: 1, high: 5 }] }
    await sessions.editSpace(id, { space: wider })
    expect((await sessions.step(id, { count: 10 })).queries.map((q) => params(q).n)).toEqual([5])
  })

  it.each<[string, object, string, string]>([
    ['a wrong space', { space: { kind: 'search', parameters: [] } }, 'SPACE_INVALID', 'space.parameters'],
    [
      'one that leaves nothing',
      { space: { ...space, constraints: [{ type: 'expression', expression: 'x > 3' }] } },
      'SPACE_INVALID',
      'space.constraints',
    ],
    ['a default of nothing', { space, defaults: { y: 1 } }, 'INVALID_ARGUMENT', 'defaults.y'],
    ['a default of what was there', { space, defaults: { x: 1 } }, 'INVALID_ARGUMENT', 'defaults.x'],
    [
      'a default outside',
      {
        space: { ...space, parameters: [...space.parameters, { name: 'y', type: 'float', low: 0, high: 1 }] },
        defaults: { y: 2 },
      },
      'INVALID_ARGUMENT',
      'defaults.y',
    ],
    [
      'a parameter without a default',
      { space: { ...space, parameters: [...space.parameters, { name: 'y', type: 'float', low: 0, high: 1 }] } },
      'SPACE_INVALID',
      'trials[0].params.y',
    ],
    ['a parameter less', { space: { ...space, parameters: [x] } }, 'SPACE_INVALID', 'trials[0].params.kind'],
  ])('%s is refused and changes nothing', async (_, edit, reason, path) => {
    const id = await begin()
    await told(id, [[{ x: 0.5, kind: 'a' }, 1]])
    const before = await sessions.get(id)
    expect(await refusal(sessions.editSpace(id, edit as never))).toMatchObject({ reason, path })
    expect(await sessions.get(id)).toEqual(before)
  })

  it('is not edited under a method that cannot start anew or does not take it', async () => {
    const floats: SearchSpace = { kind: 'search', parameters: [x] }
    const id = await begin('cma-es', { problem: { ...problem, space: floats } })
    expect(await refusal(sessions.editSpace(id, { space }))).toMatchObject({
      reason: 'METHOD_UNSUITABLE',
      path: 'space.parameters[1].type',
    })
    const ranked = await begin('zo-rank-sgd', { problem: { ...problem, space: floats } })
    expect(await refusal(sessions.editSpace(ranked, { space: floats }))).toMatchObject({
      reason: 'METHOD_UNSUITABLE',
      path: 'method',
      message: expect.stringContaining('cannot start anew from the trials'),
    })
  })
})

describe('trials', () => {
  it('are corrected: what was told counts no more', async () => {
    const id = await begin('gp')
    await told(id, [
      [{ x: 0.1, kind: 'a' }, -100],
      [{ x: 0.9, kind: 'b' }, 2],
    ])
    const corrected = await sessions.correctTrial(
      id,
      { trial: 0, observation: { queryId: '', status: 'ok', values: [[5]] }, reason: 'a typo' },
      { by: 'bob' },
    )
    expect(corrected).toMatchObject({ number: 0, state: 'completed', values: [5] })
    expect(await best(id)).toMatchObject({ trial: 1, values: [2] })
    await sessions.correctTrial(id, { trial: 1, observation: { queryId: '', status: 'failed', message: 'no disk' } })
    expect(await trial(id, 1)).toMatchObject({ state: 'failed', message: 'no disk' })
    expect((await trial(id, 1)).values).toBeUndefined()
    expect(await best(id)).toMatchObject({ trial: 0, values: [5] })
    expect((await sessions.get(id)).counts).toMatchObject({ told: 2, failed: 1 })
    expect((await sessions.audit(id, {})).items).toMatchObject([
      {
        by: 'bob',
        action: 'correct_trial',
        trial: 0,
        reason: 'a typo',
        before: { values: [-100] },
        after: { values: [5] },
      },
      { action: 'correct_trial', trial: 1, before: { state: 'completed', values: [2] }, after: { state: 'failed' } },
    ])
  })

  it('are deleted: the surrogate has forgotten them, as if they had never been told', async () => {
    const points: [Params, number][] = [0.1, 0.3, 0.5, 0.7, 0.9].map((v, i) => [{ x: v, kind: 'a' }, i === 2 ? -50 : v])
    const id = await begin('gp')
    await told(id, points)
    const deleted = await sessions.deleteTrial(id, { trial: 2 }, { requestId: 'once' })
    expect(deleted.state).toBe('deleted')
    expect(await sessions.deleteTrial(id, { trial: 2 }, { requestId: 'once' })).toEqual(deleted)
    const never = await begin('gp')
    await told(
      never,
      points.filter((_, i) => i !== 2),
    )
    // The same start of the random streams: the third trial is then the only difference.
    await sessions.correctTrial(never, { trial: 0, observation: { queryId: '', status: 'ok', values: [[0.1]] } })
    const ask = async (of: string) => (await sessions.step(of, { count: 8 })).queries.map(params)
    expect(await ask(id)).toEqual(await ask(never))
    expect(await best(id)).toMatchObject({ values: [0.1] })
  })

  it('that are open are ended', async () => {
    const id = await begin()
    const [first, second] = (await sessions.step(id, { count: 2 })).queries
    expect((await sessions.deleteTrial(id, { trial: 0, reason: 'the worker hangs' })).message).toBe('the worker hangs')
    expect(await refusal(sessions.step(id, { observations: [ok(first, 1)], count: 0 }))).toMatchObject({
      reason: 'QUERY_RESOLVED',
    })
    await sessions.step(id, { observations: [ok(second, 1)], count: 0 })
    expect((await sessions.get(id)).counts).toMatchObject({ open: 0, told: 1 })
  })

  it('that are not there, open or gone are refused', async () => {
    const id = await begin()
    await sessions.step(id, { count: 1 })
    await told(id, [[{ x: 0.1, kind: 'a' }, 1]])
    const observation = { queryId: '', status: 'ok' as const, values: [[1]] }
    expect(await refusal(sessions.correctTrial(id, { trial: 7, observation }))).toMatchObject({
      reason: 'TRIAL_NOT_FOUND',
    })
    expect(await refusal(sessions.correctTrial(id, { trial: 0, observation }))).toMatchObject({
      reason: 'INVALID_ARGUMENT',
      path: 'trial',
    })
    const wrong = { ...observation, values: [[1, 2]] }
    expect(await refusal(sessions.correctTrial(id, { trial: 1, observation: wrong }))).toMatchObject({
      reason: 'OBSERVATION_INVALID',
      path: 'observation.values[0]',
    })
    await sessions.deleteTrial(id, { trial: 1 })
    expect(await refusal(sessions.deleteTrial(id, { trial: 1 }))).toMatchObject({ reason: 'TRIAL_NOT_FOUND' })
    expect(await refusal(sessions.deleteTrial(id, { trial: 0 }, { expectedRevision: 1 }))).toMatchObject({
      reason: 'REVISION_MISMATCH',
    })
  })

  it('that are enqueued come first, and their makers are named', async () => {
    const id = await begin()
    const point = { kind: 'params' as const, params: { x: 0.25, kind: 'b' } }
    await sessions.step(id, { count: 0, enqueue: [point], by: 'cy' })
    await sessions.update(id, { displayName: 'mine' }, { by: 'di' })
    const [query] = (await sessions.step(id, { count: 1 })).queries
    expect(query.points).toEqual([point])
    expect((await sessions.audit(id, {})).items).toMatchObject([
      { by: 'cy', action: 'enqueue', trial: 0, after: { params: point.params } },
      { by: 'di', action: 'update', before: { displayName: '' }, after: { displayName: 'mine' } },
    ])
    const { items, nextPageToken } = await sessions.audit(id, { pageSize: 1 })
    expect(items).toHaveLength(1)
    expect((await sessions.audit(id, { pageSize: 1, pageToken: nextPageToken })).items[0].action).toBe('update')
  })
})

it('a pruner forgets a deleted trial', async () => {
  const id = await begin('random', { pruner: { method: 'median', config: { nStartupTrials: 1 } } })
  const { queries } = await sessions.step(id, { count: 3 })
  await sessions.report(id, { queryId: queries[0].id, step: 1, value: 1 })
  await sessions.step(id, { observations: [ok(queries[0], 1)], count: 0 })
  expect(await sessions.report(id, { queryId: queries[1].id, step: 1, value: 5 })).toMatchObject({ prune: true })
  await sessions.deleteTrial(id, { trial: 0 })
  expect(await sessions.report(id, { queryId: queries[2].id, step: 1, value: 5 })).toMatchObject({ prune: false })
})
