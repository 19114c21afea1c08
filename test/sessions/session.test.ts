import { describe, expect, it } from 'vitest'
import type { Issue } from '../../src/core/errors.js'
import type { Observation, Want } from '../../src/core/query.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import type { Tensors } from '../../src/core/tensor.js'
import type { SessionSpec } from '../../src/sessions/api.js'
import { Clock, ok, open, refusal, search, tensors, text } from './fakes.js'

const spec: SessionSpec = { method: 'dice', problem: search, seed: 1 }

describe('asking and telling', () => {
  it('hands out queries, takes observations, and numbers revisions and trials', async () => {
    const sessions = await open()
    const created = await sessions.create(spec, { id: 'a' })
    expect(created).toMatchObject({ id: 'a', revision: 1, state: 'running', seed: 1, lease: 600, config: { scale: 1 } })
    const first = await sessions.step('a', { count: 3 })
    expect(first.revision).toBe(2)
    expect(first.queries.map(({ id, trial, attempt }) => [id, trial, attempt])).toEqual([
      ['q0', 0, 1],
      ['q1', 1, 1],
      ['q2', 2, 1],
    ])
    const second = await sessions.step('a', { observations: first.queries.map((q) => ok(q)), count: 1 })
    expect(second.revision).toBe(3)
    const info = await sessions.get('a')
    expect(info.counts).toEqual({ asked: 4, told: 3, open: 1, failed: 0, pruned: 0 })
    const { items } = await sessions.trials('a', { filter: 'state = COMPLETED' })
    expect(items.map(({ number, values }) => [number, values?.length])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ])
  })

  it('explains a short answer and changes nothing when there is nothing to hand out', async () => {
    const sessions = await open()
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 1 })
    expect(queries).toHaveLength(1)
    const again = await sessions.step('a', { count: 1 })
    const third = await sessions.step('a', { count: 1 })
    expect(again.queries).toEqual([])
    expect(again.short?.reason).toBe('one gradient at a time')
    expect(again.short?.retryAfter).toBeCloseTo(600, 0)
    expect(third.revision).toBe(again.revision)
  })

  it('refuses everything that does not fit its query, located, and changes nothing', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'g' })
    const [q, other] = (await sessions.step('a', { count: 2 })).queries
    const [g] = (await sessions.step('g', { count: 1 })).queries
    const gradient = (w: number[] | Float32Array, more: object = {}) => ({
      queryId: g.id,
      status: 'ok' as const,
      gradients: [{ w: Float32Array.from(w), b: new Float64Array(1), ...more }],
    })
    const nan = new Float32Array(20)
    nan[17] = NaN
    const cases: [session: string, observations: Observation[], reason: string, path: string][] = [
      ['a', [{ queryId: 'q9', status: 'ok', values: [[1]] }], 'QUERY_NOT_FOUND', 'observations[0].queryId'],
      ['a', [ok(q), { ...ok(other), values: [[1, 2]] }], 'OBSERVATION_INVALID', 'observations[1].values[0]'],
      ['a', [{ ...ok(q), values: [[1], [2]] }], 'OBSERVATION_INVALID', 'observations[0].values'],
      ['a', [{ queryId: q.id, status: 'ok' }], 'OBSERVATION_INVALID', 'observations[0].values'],
      ['a', [{ ...ok(q), noise: [[-1]] }], 'OBSERVATION_INVALID', 'observations[0].noise'],
      ['a', [{ ...ok(q), completions: ['x'] }], 'OBSERVATION_INVALID', 'observations[0].completions'],
      ['a', [{ ...ok(q), usage: { calls: -1 } }], 'OBSERVATION_INVALID', 'observations[0].usage.calls'],
      ['a', [{ ...ok(q), status: 'fine' as 'ok' }], 'OBSERVATION_INVALID', 'observations[0].status'],
      ['a', [ok(q), ok(q)], 'OBSERVATION_INVALID', 'observations[1].queryId'],
      ['a', [{ ...ok(q), message: 'half of \ud800 a pair' }], 'OBSERVATION_INVALID', 'observations[0].message'],
      ['g', [gradient(nan)], 'OBSERVATION_INVALID', 'observations[0].gradients[0].w[17]'],
      ['g', [gradient(new Float32Array(19))], 'OBSERVATION_INVALID', 'observations[0].gradients[0].w'],
      [
        'g',
        [gradient(new Float32Array(20), { v: new Float32Array(1) })],
        'OBSERVATION_INVALID',
        'observations[0].gradients[0].v',
      ],
      [
        'g',
        [gradient(new Float32Array(20), { b: undefined })],
        'OBSERVATION_INVALID',
        'observations[0].gradients[0].b',
      ],
      ['g', [{ queryId: g.id, status: 'ok', gradients: [] }], 'OBSERVATION_INVALID', 'observations[0].gradients'],
    ]
    const before = { a: await sessions.get('a'), g: await sessions.get('g') }
    for (const [session, observations, reason, path] of cases)
      expect(await refusal(sessions.step(session, { observations, count: 1 }))).toMatchObject({ reason, path })
    expect({ a: await sessions.get('a'), g: await sessions.get('g') }).toEqual(before)
    await sessions.step('a', { observations: [ok(q)], count: 0 })
    expect(await refusal(sessions.step('a', { observations: [ok(q)], count: 0 }))).toMatchObject({
      reason: 'QUERY_RESOLVED',
      path: 'observations[0].queryId',
    })
  })

  it('checks rankings and scores', async () => {
    const { checkObservation } = await import('../../src/sessions/validate.js')
    const points = [0, 1, 2, 3].map((i) => ({ kind: 'item' as const, item: `${i}` }))
    const problem = { space: { kind: 'items' as const, items: [] }, objectives: [] }
    const wrong = (wants: never, told: object) => {
      const issues: { path: string }[] = []
      checkObservation(
        { id: 'q', points, wants: [wants] },
        { queryId: 'q', status: 'ok', ...told },
        problem,
        'o',
        issues as never,
      )
      return issues.map(({ path }) => path)
    }
    const ranking = (top: number, groups: number[][]) => wrong({ kind: 'ranking', top } as never, { ranking: groups })
    expect(ranking(4, [[2], [0, 1], [3]])).toEqual([])
    expect(ranking(4, [[2], [0], [1]])).toEqual([])
    expect(ranking(2, [[2, 0]])).toEqual([])
    expect(ranking(2, [[2]])).toEqual(['o.ranking'])
    expect(ranking(2, [[2], [4]])).toEqual(['o.ranking[1][0]'])
    expect(ranking(2, [[2], [1, 2]])).toEqual(['o.ranking[1][1]'])
    expect(ranking(2, [[2], [0.5], []])).toEqual(['o.ranking[1][0]', 'o.ranking[2]'])
    const scores = (list: object[]) => wrong({ kind: 'score', examples: [3, 5] } as never, { scores: list })
    const score = { score: 1 }
    expect(scores([score, score, score, { score: 1, examples: [1, 0], outputs: ['', ''] }])).toEqual([])
    expect(scores([score])).toEqual(['o.scores'])
    expect(scores([score, score, score, { score: 1, examples: [1] }])).toEqual(['o.scores[3].examples'])
    const derivatives = (list: number[]) => wrong({ kind: 'directional' } as never, { derivatives: list })
    expect(derivatives([1, 2, 3])).toEqual([])
    expect(derivatives([1, 2])).toEqual(['o.derivatives'])
    expect(derivatives([])).toEqual(['o.derivatives'])
    const completions = (list: string[]) => wrong({ kind: 'completion', count: 2 } as never, { completions: list })
    expect(completions(['a'])).toEqual([])
    expect(completions(['a', 'b', 'c'])).toEqual(['o.completions'])
    expect(completions([])).toEqual(['o.completions'])
  })

  it('checks products and quantities: as many as asked, each of its size, finite', async () => {
    const { checkObservation } = await import('../../src/sessions/validate.js')
    const point = (w: number[]) => ({ kind: 'tensors' as const, tensors: { w: Float64Array.from(w) } })
    const points = [point([1, 2]), point([0, 1]), point([1, 0])]
    const space = { kind: 'tensors' as const, tensors: [{ name: 'w', shape: [2], dtype: 'f64' as const }] }
    const wrong = (want: Want, told: Partial<Observation>) => {
      const issues: Issue[] = []
      checkObservation(
        { id: 'q', points, wants: [want] },
        { queryId: 'q', status: 'ok', ...told },
        { space, objectives: [] },
        'o',
        issues,
      )
      return issues.map(({ path }) => path)
    }
    const w = (...values: number[]) => ({ w: Float64Array.from(values) })
    const products = (...list: Tensors[]) => wrong({ kind: 'hvp', curvature: 'hessian' }, { products: list })
    expect(products(w(1, 2), w(3, 4))).toEqual([])
    expect(products()).toEqual(['o.products'])
    expect(products(w(1, 2))).toEqual(['o.products'])
    expect(products(w(1, 2), w(3))).toEqual(['o.products[1].w'])
    expect(products(w(1, NaN), w(3, 4))).toEqual(['o.products[0].w[1]'])
    expect(products({ v: w(1, 2).w }, w(3, 4))).toEqual(['o.products[0].v', 'o.products[0].w'])

    const quantities = [
      { name: 'loss', shape: [], description: '' },
      { name: 'J', shape: [-1, 2], description: '' },
    ]
    const good = { loss: Float32Array.of(1), J: Float64Array.of(1, 2, 3, 4) }
    const told = (...list: Tensors[]) => wrong({ kind: 'quantities', quantities }, { quantities: list })
    expect(told(good, good, { ...good, J: Float64Array.of(1, 2) })).toEqual([])
    expect(told(good, good)).toEqual(['o.quantities'])
    expect(told(good, good, { loss: good.loss })).toEqual(['o.quantities[2].J'])
    expect(told(good, good, { ...good, hessian: good.J })).toEqual(['o.quantities[2].hessian'])
    expect(told(good, { ...good, loss: Float64Array.of(1, 2) }, good)).toEqual(['o.quantities[1].loss'])
    expect(told({ ...good, J: Float64Array.of(1, 2, 3) }, good, good)).toEqual(['o.quantities[0].J'])
    expect(told({ ...good, J: new Float64Array() }, good, good)).toEqual(['o.quantities[0].J'])
    expect(told(good, good, { ...good, J: Float64Array.of(1, Infinity) })).toEqual(['o.quantities[2].J[1]'])
    expect(told(good, good, { ...good, J: [1, 2] as never })).toEqual(['o.quantities[2].J'])
    // Of a query that asks for neither.
    expect(wrong({ kind: 'value' }, { products: [w(1, 2)], values: [[1], [1], [1]] })).toContain('o.products')
  })

  it('checks terms: as many at every point, and groups that are there', async () => {
    const { checkObservation } = await import('../../src/sessions/validate.js')
    const space = { kind: 'tensors' as const, tensors: [{ name: 'x', shape: [3, 2], dtype: 'f64' as const }] }
    const query = {
      id: 'q',
      points: [0, 1].map(() => ({ kind: 'tensors' as const, tensors: { x: new Float64Array(6) } })),
      wants: [{ kind: 'terms' as const }],
    }
    const told = (terms: { losses: number[]; contributors: number[][] }[]) => {
      const issues: { path: string }[] = []
      const { status } = checkObservation(
        query,
        { queryId: 'q', status: 'ok', terms },
        { space, objectives: [] },
        'o',
        issues as never,
      )
      return [status, ...issues.map(({ path }) => path)]
    }
    const good = { losses: [1, 2], contributors: [[0, 2], []] }
    expect(told([good, good])).toEqual(['ok'])
    expect(told([good])).toEqual(['ok', 'o.terms'])
    expect(told([good, { losses: [1], contributors: [[0]] }])).toEqual(['ok', 'o.terms[1].losses'])
    expect(told([good, { losses: [1, 2], contributors: [[0]] }])).toEqual(['ok', 'o.terms[1].contributors'])
    expect(told([good, { losses: [1, 2], contributors: [[0], [3]] }])).toEqual(['ok', 'o.terms[1].contributors[1][0]'])
    expect(told([good, { losses: [1, Number.NaN], contributors: [[0], []] }])).toEqual(['failed'])
  })

  it('counts a value that is no number as a failed evaluation', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 2 })
    await sessions.step('a', { observations: [ok(queries[0], NaN), ok(queries[1], Infinity)], count: 0 })
    const { items } = await sessions.trials('a', {})
    expect(items.map(({ state, values }) => [state, values])).toEqual([
      ['failed', undefined],
      ['failed', undefined],
    ])
    expect((await sessions.get('a')).counts).toMatchObject({ told: 2, failed: 2 })
  })

  it('puts enqueued points first and takes points that it did not ask for', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    const mine = { kind: 'params' as const, params: { x: 0.5, y: 2 } }
    const { queries } = await sessions.step('a', { count: 2, enqueue: [mine] })
    expect(queries.map(({ id, trial }) => [id, trial])).toEqual([
      ['enqueued-1', 0],
      ['q0', 1],
    ])
    expect(queries[0].points).toEqual([mine])
    await sessions.step('a', {
      observations: [ok(queries[0]), { queryId: '', status: 'ok', values: [[3]], point: mine }],
      count: 0,
    })
    const { items } = await sessions.trials('a', {})
    expect(items.map(({ queryId, state }) => [queryId, state])).toEqual([
      ['enqueued-1', 'completed'],
      ['q0', 'running'],
      ['told-2', 'completed'],
    ])
    const bad = { kind: 'params' as const, params: { x: 5, y: 2 } }
    expect(await refusal(sessions.step('a', { count: 0, enqueue: [bad] }))).toMatchObject({
      reason: 'INVALID_ARGUMENT',
      path: 'enqueue[0].x',
    })
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'g' })
    const point = { kind: 'tensors' as const, tensors: { w: new Float32Array(20), b: new Float64Array(1) } }
    expect(await refusal(sessions.step('g', { count: 0, enqueue: [point] }))).toMatchObject({ path: 'enqueue[0]' })
  })

  it('waits for a query and is woken by the tell that brings it', async () => {
    const sessions = await open()
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'a' })
    const [first] = (await sessions.step('a', { count: 1 })).queries
    const waiting = sessions.step('a', { count: 1, wait: 30_000 })
    const gradients = [{ w: new Float32Array(20).fill(1), b: new Float64Array(1) }]
    await sessions.step('a', { observations: [{ queryId: first.id, status: 'ok', gradients }], count: 0 })
    expect((await waiting).queries.map(({ id }) => id)).toEqual(['g1'])
    const end = new AbortController()
    const aborted = sessions.step('a', { count: 1, wait: 30_000, signal: end.signal })
    setTimeout(() => end.abort(), 20)
    expect((await aborted).queries).toEqual([])
    expect((await sessions.step('a', { count: 1, wait: 20 })).queries).toEqual([])
  })

  it('gives completions to the resolver alone, and says what others wait for', async () => {
    const sessions = await open()
    await sessions.create({ method: 'chat', problem: text, resolver: { endpoint: 'local' } }, { id: 'a' })
    const other = await sessions.step('a', { count: 1 })
    expect(other.queries).toEqual([])
    expect(other.short?.reason).toBe("waiting for the server's model endpoint")
    const [completion] = (await sessions.step('a', { count: 4, worker: 'resolver' })).queries
    expect(completion.wants[0].kind).toBe('completion')
    const usage = { calls: 1, promptTokens: 10, completionTokens: 5, money: 0.5 }
    const observations = [{ queryId: completion.id, status: 'ok' as const, completions: ['think'], usage }]
    const after = await sessions.step('a', { observations, count: 4, worker: 'resolver' })
    expect(after.queries).toEqual([])
    const [score] = (await sessions.step('a', { count: 1 })).queries
    expect(score.points).toEqual([{ kind: 'text', text: { prompt: 'think' } }])
    expect((await sessions.get('a')).usage).toEqual(usage)
  })
})

describe('trials', () => {
  it('asks pruners about intermediate values, once per step', async () => {
    const sessions = await open()
    await sessions.create({ ...spec, pruner: { method: 'ceiling', config: { limit: 2 } } }, { id: 'a' })
    const [query] = (await sessions.step('a', { count: 1 })).queries
    const report = (step: number, value: number) => sessions.report('a', { queryId: query.id, step, value })
    expect(await report(1, 1)).toMatchObject({ prune: false, revision: 3 })
    expect(await report(2, 3)).toMatchObject({ prune: true, reason: 'above 2', revision: 4 })
    expect(await report(2, 3)).toMatchObject({ prune: true, reason: 'above 2', revision: 4 })
    expect(await refusal(report(2, 4))).toMatchObject({ reason: 'OBSERVATION_INVALID', path: 'step' })
    expect(await report(5, NaN)).toMatchObject({ prune: true, reason: 'the intermediate value is NaN' })
    expect(await refusal(sessions.report('a', { queryId: 'q7', step: 1, value: 1 }))).toMatchObject({
      reason: 'QUERY_NOT_FOUND',
    })
    await sessions.step('a', { observations: [{ queryId: query.id, status: 'pruned' }], count: 0 })
    const { items } = await sessions.trials('a', {})
    expect(items[0]).toMatchObject({ state: 'pruned', intermediates: [{ step: 1 }, { step: 2 }, { step: 5 }] })
    expect((await sessions.get('a')).counts.pruned).toBe(1)
  })

  it('are listed in pages', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    await sessions.step('a', { count: 7 })
    const numbers: number[] = []
    for (let pageToken = ''; ; ) {
      const page = await sessions.trials('a', { pageSize: 3, pageToken })
      numbers.push(...page.items.map(({ number }) => number))
      pageToken = page.nextPageToken
      if (!pageToken) break
    }
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(await refusal(sessions.trials('a', { filter: 'mood = good' }))).toMatchObject({ path: 'filter' })
    for (const filter of ['state = RUNNING', 'state = TRIAL_STATE_RUNNING', 'state = "running"', 'state != WAITING'])
      expect((await sessions.trials('a', { filter })).items).toHaveLength(7)
    expect(await refusal(sessions.trials('a', { filter: 'state = PAUSED' }))).toMatchObject({ path: 'filter' })
  })
})

describe('leases', () => {
  it('asks a query again when its worker is gone, and takes a late answer', async () => {
    const clock = new Clock()
    const sessions = await open({ clock: clock.read })
    await sessions.create({ ...spec, lease: 10 }, { id: 'a' })
    const [lost, kept] = (await sessions.step('a', { count: 2, worker: 'dead' })).queries
    expect(lost.leaseUntil).toBe(clock.now + 10_000)
    clock.now += 6000
    await sessions.report('a', { queryId: kept.id, step: 1, value: 1 })
    clock.now += 5000
    const again = await sessions.step('a', { count: 2 })
    expect(again.queries.map(({ id, attempt }) => [id, attempt])).toEqual([
      [lost.id, 2],
      ['q2', 1],
    ])
    expect(again.queries[0].points).toEqual(lost.points)
    await sessions.step('a', { observations: [ok(lost)], count: 0 })
    expect(await refusal(sessions.step('a', { observations: [ok(again.queries[0])], count: 0 }))).toMatchObject({
      reason: 'QUERY_RESOLVED',
    })
  })
})

describe('workers that die', () => {
  it('cost nothing but time: every evaluation is told once', async () => {
    const clock = new Clock()
    const sessions = await open({ clock: clock.read })
    await sessions.create({ ...spec, lease: 10, budget: { maxEvaluations: 200 } }, { id: 'a' })
    const dies = rngStream(1, 'dies')
    const luck = new Rng(dies)
    let attempts = 0
    for (let round = 0; round < 1000; round++) {
      const { queries, state } = await sessions.step('a', { count: 4, worker: `w${round}` })
      if (state === 'done') break
      attempts += queries.length
      const alive = queries.filter(() => luck.uniform() > 0.3)
      if (alive.length > 0) await sessions.step('a', { observations: alive.map((q) => ok(q)), count: 0 })
      clock.now += 3000
    }
    const info = await sessions.get('a')
    expect(info).toMatchObject({ state: 'done', counts: { asked: 200, told: 200, open: 0 } })
    expect(attempts).toBeGreaterThan(220)
    const { items } = await sessions.trials('a', {})
    expect(items.map(({ state }) => state)).toEqual(Array(200).fill('completed'))
  })

  it('are noticed by a worker that waits', async () => {
    const sessions = await open()
    await sessions.create({ method: 'slope', problem: tensors, lease: 0.15 }, { id: 'a' })
    await sessions.step('a', { count: 1, worker: 'dead' })
    const [again] = (await sessions.step('a', { count: 1, wait: 60_000 })).queries
    expect(again).toMatchObject({ id: 'g0', attempt: 2 })
  })
})

describe('budgets', () => {
  it('hands out no more than the budget and ends when it is used up', async () => {
    const sessions = await open()
    await sessions.create({ ...spec, budget: { maxEvaluations: 5 } }, { id: 'a' })
    const first = await sessions.step('a', { count: 4 })
    const second = await sessions.step('a', { count: 4 })
    expect([first.queries.length, second.queries.length]).toEqual([4, 1])
    expect(second.short?.reason).toBe('the rest of the budget is being evaluated')
    await sessions.step('a', { observations: first.queries.map((q) => ok(q)), count: 1 })
    const last = await sessions.step('a', { observations: second.queries.map((q) => ok(q)), count: 1 })
    expect(last).toMatchObject({ state: 'done', queries: [], statusMessage: 'the budget of 5 evaluations is used up' })
    expect(last.short?.reason).toBe(last.statusMessage)
    const point = { kind: 'params' as const, params: { x: 0, y: 0 } }
    expect(await refusal(sessions.step('a', { count: 0, enqueue: [point] }))).toMatchObject({
      reason: 'SESSION_CLOSED',
    })
    const raised = await sessions.update('a', { budget: { maxEvaluations: 6 } })
    expect(raised.state).toBe('running')
    expect((await sessions.step('a', { count: 3 })).queries).toHaveLength(1)
  })

  it('counts tokens and money, and takes what is still open', async () => {
    const sessions = await open()
    await sessions.create({ ...spec, budget: { maxTokens: 100 } }, { id: 'a' })
    const [one, two] = (await sessions.step('a', { count: 2 })).queries
    const usage = { promptTokens: 60, completionTokens: 40 }
    const done = await sessions.step('a', { observations: [{ ...ok(one), usage }], count: 1 })
    expect(done).toMatchObject({ state: 'done', statusMessage: 'the budget of 100 tokens is used up' })
    await sessions.step('a', { observations: [ok(two)], count: 0 })
    expect((await sessions.get('a')).counts).toMatchObject({ told: 2, open: 0 })
  })
})

describe('creation', () => {
  it('refuses what cannot work, located', async () => {
    const sessions = await open()
    const cases: [request: Partial<SessionSpec>, reason: string, path: string][] = [
      [{ method: 'dise' }, 'METHOD_NOT_FOUND', 'method'],
      [{ method: 'slope' }, 'METHOD_UNSUITABLE', 'space'],
      [{ config: { scale: -1 } }, 'CONFIG_INVALID', 'config.scale'],
      [{ pruner: { method: 'roof' } }, 'METHOD_NOT_FOUND', 'pruner.method'],
      [{ pruner: { method: 'ceiling', config: { limit: 'x' } } }, 'CONFIG_INVALID', 'pruner.config.limit'],
      [{ pruner: { method: 'ceiling', config: { limit: -1 } } }, 'CONFIG_INVALID', 'pruner.config.limit'],
      [{ offers: ['ranking'] }, 'METHOD_UNSUITABLE', 'offers'],
      [{ offers: ['value', 'gradiant'] }, 'INVALID_ARGUMENT', 'offers[1]'],
      [{ seed: 0.5 }, 'INVALID_ARGUMENT', 'seed'],
      [{ lease: -1 }, 'INVALID_ARGUMENT', 'lease'],
      [{ durability: 'snapshot' }, 'INVALID_ARGUMENT', 'durability'],
      [{ budget: { maxMoney: -1 } }, 'INVALID_ARGUMENT', 'budget.maxMoney'],
      [{ problem: { ...search, objectives: [{ name: 'a' } as never] } }, 'INVALID_ARGUMENT', 'objectives[0].direction'],
      [
        {
          problem: {
            ...search,
            space: { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 2, high: 1 }] },
          },
        },
        'SPACE_INVALID',
        'space.parameters[0].low',
      ],
      [{ displayName: '\ud800' }, 'INVALID_ARGUMENT', 'displayName'],
    ]
    for (const [change, reason, path] of cases)
      expect(await refusal(sessions.create({ ...spec, ...change }))).toMatchObject({ reason, path })
    expect((await refusal(sessions.create({ ...spec, method: 'dise' }))).message).toContain('did you mean "dice"')
    expect((await sessions.list({})).items).toEqual([])
    await sessions.create(spec, { id: 'a' })
    expect(await refusal(sessions.create(spec, { id: 'a' }))).toMatchObject({ reason: 'SESSION_EXISTS' })
    expect(await refusal(sessions.create(spec, { id: '../a' }))).toMatchObject({ path: 'id' })
    expect(await refusal(sessions.get('b'))).toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })

  it('refuses tensors that are too large before it makes any', async () => {
    const huge = (...shapes: number[][]): SessionSpec => ({
      method: 'slope',
      problem: {
        space: { kind: 'tensors', tensors: shapes.map((shape, i) => ({ name: `w${i}`, shape, dtype: 'bf16' })) },
        objectives: [],
      },
    })
    const refused = { reason: 'SPACE_INVALID', path: 'space.tensors[1].shape' }
    const sessions = await open()
    expect(await refusal(sessions.create(huge([2], [3_000_000_000])))).toMatchObject(refused)
    expect(await refusal(sessions.create(huge([2], [2 ** 40, 2 ** 40])))).toMatchObject(refused)
    const small = await open({ limits: { tensorBytes: 84 } })
    expect(await refusal(small.create(huge([2], [20])))).toMatchObject({
      ...refused,
      message: 'expected tensors of at most 84 bytes in all, got 88 up to this one',
    })
    expect((await small.create(huge([1], [20]))).revision).toBe(1)
  })

  it('fills in defaults, and gives a seed', async () => {
    const sessions = await open()
    const info = await sessions.create({ method: 'slope', problem: tensors })
    expect(info.problem.objectives).toEqual([{ name: 'objective', direction: 'minimize' }])
    expect(info.durability).toBe('journal')
    expect(Number.isSafeInteger(info.seed)).toBe(true)
    expect(info.stateHash).toMatch(/^[0-9a-f]{64}$/)
  })
})

describe('changes and lists', () => {
  it('changes what may change', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    const updated = await sessions.update('a', {
      displayName: 'Digits',
      labels: { team: 'vision' },
      config: { scale: 0.5 },
    })
    expect(updated).toMatchObject({
      displayName: 'Digits',
      labels: { team: 'vision' },
      config: { scale: 0.5 },
      revision: 2,
    })
    expect((await sessions.update('a', { displayName: 'Digits' })).revision).toBe(2)
    expect(await refusal(sessions.update('a', { config: { most: 3 } }))).toMatchObject({
      reason: 'NOT_MUTABLE',
      path: 'config.most',
    })
    expect(await refusal(sessions.update('a', { config: { scale: -3 } }))).toMatchObject({ reason: 'CONFIG_INVALID' })
    expect(await refusal(sessions.update('a', { displayName: 'x' }, { expectedRevision: 1 }))).toMatchObject({
      reason: 'REVISION_MISMATCH',
    })
    await sessions.update('a', { state: 'paused' }, { expectedRevision: 2 })
    const paused = await sessions.step('a', { count: 1 })
    expect(paused).toMatchObject({ state: 'paused', queries: [] })
    await sessions.update('a', { state: 'running' })
    expect((await sessions.step('a', { count: 1 })).queries).toHaveLength(1)
  })

  it('ends when the method has finished, for good', async () => {
    const sessions = await open()
    await sessions.create({ ...spec, config: { most: 2 } }, { id: 'a' })
    const { queries, short } = await sessions.step('a', { count: 5 })
    expect([queries.length, short?.reason]).toEqual([2, 'all points are out'])
    const { state, statusMessage } = await sessions.step('a', { observations: queries.map((q) => ok(q)), count: 1 })
    expect([state, statusMessage]).toEqual(['done', 'all points were tried'])
    expect(await refusal(sessions.update('a', { state: 'running' }))).toMatchObject({ reason: 'SESSION_CLOSED' })
  })

  it('lists by filter, in pages', async () => {
    const sessions = await open()
    for (let i = 0; i < 12; i++)
      await sessions.create(
        { ...spec, displayName: `Run ${i}`, labels: { team: i % 2 ? 'vision' : 'text' } },
        { id: `s${String(i).padStart(2, '0')}` },
      )
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'g' })
    await sessions.update('s03', { state: 'paused' })
    const ids = async (filter: string) => (await sessions.list({ filter })).items.map(({ id }) => id)
    expect(await ids('method = "slope"')).toEqual(['g'])
    expect(
      await ids('method = "dice" AND state = RUNNING AND labels.team = "vision" AND display_name : "run 1"'),
    ).toEqual(['s01', 's11'])
    expect(await ids('state = PAUSED')).toEqual(['s03'])
    expect(await ids('state = session_state_Paused')).toEqual(['s03'])
    expect(await ids('state != "running"')).toEqual(['s03'])
    expect(await ids('state != SESSION_STATE_RUNNING')).toEqual(['s03'])
    expect(await ids('state : pau')).toEqual(['s03'])
    expect(await refusal(ids('method = dice AND state = foo'))).toMatchObject({
      reason: 'INVALID_ARGUMENT',
      path: 'filter',
      message: '"foo" is no state; there are RUNNING, PAUSED, DONE, at character 19',
    })
    expect(await refusal(ids('color = red'))).toMatchObject({ reason: 'INVALID_ARGUMENT', path: 'filter' })
    expect(await refusal(ids('method = "dice" OR state = DONE'))).toMatchObject({ path: 'filter' })
    const all: string[] = []
    for (let pageToken = ''; ; ) {
      const page = await sessions.list({ pageSize: 5, pageToken, filter: 'method = dice' })
      all.push(...page.items.map(({ id }) => id))
      pageToken = page.nextPageToken
      if (!pageToken) break
    }
    expect(all).toEqual(Array.from({ length: 12 }, (_, i) => `s${String(i).padStart(2, '0')}`))
    expect(await refusal(sessions.list({ pageToken: 'nonsense' }))).toMatchObject({ path: 'pageToken' })
  })
})
