/** Sessions that begin from the trials of earlier ones. */
import { afterAll, describe, expect, it } from 'vitest'
import type { Params, Problem, SearchSpace } from '../../src/core/space.js'
import { createSessions } from '../../src/sessions/index.js'
import { refusal } from './fakes.js'

const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
afterAll(() => sessions.close())

const space: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x', type: 'float', low: 0, high: 1 },
    { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
    { name: 'depth', type: 'int', low: 1, high: 5, condition: { parent: 'kind', values: ['b'] } },
  ],
}
const problemOf = (space: Problem['space'], direction: 'minimize' | 'maximize' = 'minimize'): Problem => ({
  space,
  objectives: [{ name: 'loss', direction }],
})
const problem = problemOf(space)
const loss = ({ x, kind, depth = 1 }: Params) =>
  ((x as number) - 0.3) ** 2 + (kind === 'a' ? 0.2 : (depth as number) / 50)

type Point = [Params, number]
const told = (points: readonly Point[]) =>
  points.map(([params, value]) => ({
    queryId: '',
    point: { kind: 'params' as const, params },
    status: 'ok' as const,
    values: [[value]],
  }))
async function begin(id: string, points: readonly Point[], of = problem, more: object = {}) {
  await sessions.create({ method: 'random', problem: of, seed: 1, ...more }, { id })
  await sessions.step(id, { observations: told(points), count: 0 })
}
/** Answers some asks; what was asked. */
async function play(id: string, steps: number): Promise<Params[]> {
  const asked: Params[] = []
  for (let i = 0; i < steps; i++) {
    const [query] = (await sessions.step(id, { count: 1 })).queries
    const { params } = query.points[0] as { params: Params }
    asked.push(params)
    await sessions.step(id, { observations: [{ queryId: query.id, status: 'ok', values: [[loss(params)]] }], count: 0 })
  }
  return asked
}
const grid: Point[] = Array.from({ length: 24 }, (_, i) => {
  const x = (i + 0.5) / 24
  const params: Params = i % 2 ? { x, kind: 'a' } : { x, kind: 'b', depth: 1 + (i % 5) }
  return [params, loss(params) + 0.01 * x] as Point
})
const best = grid.reduce((least, point) => (point[1] < least[1] ? point : least))[0]
const message = async (id: string) => {
  for await (const event of sessions.watch(id, 0, AbortSignal.timeout(5000))) return event.message
}
async function* chunked(chunks: Uint8Array[]) {
  yield* chunks
}

describe('a session that begins from earlier ones', () => {
  for (const method of ['gp', 'gp-bo', 'tpe'])
    it(`${method}: asks the best trial first, and goes on the same where the earlier one is gone`, async () => {
      const id = (name: string) => `${method}-${name}`
      await begin(id('old'), grid)
      const spec = { method, problem, seed: 3, warmStartFrom: [id('old')] }
      const created = await sessions.create(spec, { id: id('new'), requestId: id('r') })
      expect(created.warmStartFrom).toEqual([id('old')])
      expect(await message(id('new'))).toBe(`begins from 24 trials of ${id('old')}`)
      await sessions.create(spec, { id: id('twin') })
      const first = await play(id('new'), 6)
      expect(first[0]).toEqual(best)
      await sessions.delete(id('old'))
      expect(await sessions.create(spec, { id: id('new'), requestId: id('r') })).toEqual(created)

      const file: Uint8Array[] = []
      for await (const chunk of sessions.export(id('new'))) file.push(chunk)
      const imported = await sessions.import(chunked(file), { id: id('imported') })
      const fork = await sessions.fork(id('new'), { id: id('fork') })
      const past = await sessions.fork(id('new'), { id: id('past'), revision: 5 })
      expect([imported, fork, past].map(({ warmStartFrom }) => warmStartFrom)).toEqual(Array(3).fill([id('old')]))
      const { stateHash } = await sessions.get(id('new'))
      expect([imported.stateHash, fork.stateHash]).toEqual([stateHash, stateHash])
      const rest = await play(id('new'), 4)
      expect(await play(id('imported'), 4)).toEqual(rest)
      expect(await play(id('fork'), 4)).toEqual(rest)
      expect(await play(id('past'), 8)).toEqual([...first.slice(2), ...rest])
      expect(await play(id('twin'), 10)).toEqual([...first, ...rest])
      const [listed] = (await sessions.list({ filter: `id = "${id('new')}"` })).items
      expect(listed.warmStartFrom).toEqual([id('old')])
    })

  it('has another hash than one that begins from nothing', async () => {
    await begin('hashed', grid)
    const hash = async (warmStartFrom?: string[]) =>
      (await sessions.create({ method: 'tpe', problem, seed: 1, warmStartFrom })).stateHash
    expect(await hash(['hashed'])).not.toBe(await hash())
    expect(await hash([])).toBe(await hash())
  })

  it('matches parameters by name: others are in the middle or left out, and trials out of range are not taken', async () => {
    const other: SearchSpace = {
      kind: 'search',
      parameters: [
        { name: 'x', type: 'float', low: -1, high: 2 },
        { name: 'width', type: 'int', low: 1, high: 9 },
      ],
    }
    const points: Point[] = [-0.5, 0.25, 1.5, 0.75].map((x, i) => [{ x, width: 2 }, i])
    await begin('other', points, problemOf(other))
    const wider: SearchSpace = {
      kind: 'search',
      parameters: [
        { name: 'x', type: 'float', low: 0, high: 1 },
        { name: 'rate', type: 'float', low: 1e-4, high: 1, log: true },
        { name: 'mode', type: 'ordinal', choices: [1, 2, 3] },
      ],
    }
    await sessions.create({ method: 'tpe', problem: problemOf(wider), warmStartFrom: ['other'] }, { id: 'matched' })
    expect(await message('matched')).toBe('begins from 2 trials of other')
    const { queries } = await sessions.step('matched', { count: 2 })
    const asked = queries.map(({ points: [point] }) => (point as { params: Params }).params)
    expect(asked).toEqual([0.25, 0.75].map((x) => ({ x, rate: expect.closeTo(0.01, 12), mode: 2 })))
  })

  it('takes no trial that failed or broke a constraint, and of very many some', async () => {
    const limited = { ...problem, constraints: ['memory'] }
    await sessions.create({ method: 'tpe', problem: limited }, { id: 'limited' })
    const points = Array.from({ length: 300 }, (_, i): Point => [{ x: i / 299, kind: 'a' }, i])
    const observations = told(points).map((o, i) => ({ ...o, constraints: [[i < 20 ? 1 : -1]] }))
    await sessions.step('limited', { observations, count: 0 })
    await sessions.create({ method: 'gp', problem, warmStartFrom: ['limited'] }, { id: 'some' })
    expect(await message('some')).toBe('begins from 200 trials of limited')
    expect(await play('some', 1)).toEqual([{ x: 20 / 299, kind: 'a' }])
  })

  it('keeps them after an edit of its space, those that are points of the new one', async () => {
    await begin('wide', grid)
    await sessions.create({ method: 'gp', problem, seed: 1, warmStartFrom: ['wide'] }, { id: 'edited' })
    await play('edited', 3)
    const narrow = {
      ...space,
      parameters: [{ ...space.parameters[0], low: 0.5 } as never, ...space.parameters.slice(1)],
    }
    await sessions.editSpace('edited', { space: narrow, dropInvalid: true })
    const [first] = await play('edited', 1)
    const inside = grid.filter(([{ x }]) => (x as number) >= 0.5).sort((a, b) => a[1] - b[1])
    expect(first).toEqual(inside[0][0])
  })
})

describe('is refused, located, and nothing is created', () => {
  const flat: Problem = {
    space: { kind: 'tensors', tensors: [{ name: 'w', shape: [2], dtype: 'f64' }] },
    objectives: [],
  }
  const two: Problem = { ...problem, objectives: [...problem.objectives, { name: 'size', direction: 'minimize' }] }
  const foreign = problemOf({ kind: 'search', parameters: [{ name: 'z', type: 'float', low: 0, high: 1 }] })
  const renamed = problemOf({ kind: 'search', parameters: [{ name: 'x', type: 'float', low: 5, high: 6 }] })
  it('with the reason', async () => {
    await begin('good', grid)
    await begin('up', [[grid[0][0], 1]], problemOf(space, 'maximize'))
    await begin('empty', [])
    await begin('foreign', [[{ z: 0.5 }, 1]], foreign)
    await begin('renamed', [[{ x: 5.5 }, 1]], renamed)
    await sessions.create({ method: 'cma-es', problem: flat }, { id: 'flat' })
    await sessions.create({ method: 'tpe', problem: two }, { id: 'two' })
    const before = (await sessions.list({})).items.length
    const cases: [from: string[], reason: string, path: string, text: RegExp, more?: object][] = [
      [['good', 'gone'], 'SESSION_NOT_FOUND', 'warmStartFrom[1]', /there is no session "gone"/],
      [['flat'], 'INVALID_ARGUMENT', 'warmStartFrom[0]', /over a tensors space/],
      [['good', 'up'], 'INVALID_ARGUMENT', 'warmStartFrom[1]', /is to maximize, and this session to minimize/],
      [['two'], 'INVALID_ARGUMENT', 'warmStartFrom[0]', /has 2 objectives/],
      [['foreign'], 'INVALID_ARGUMENT', 'warmStartFrom[0]', /shares no parameter/],
      [['renamed'], 'INVALID_ARGUMENT', 'warmStartFrom[0]', /of the 1 completed trials of "renamed" none is a point/],
      [['empty'], 'INVALID_ARGUMENT', 'warmStartFrom[0]', /of the 0 completed trials/],
      [['good', 'good'], 'INVALID_ARGUMENT', 'warmStartFrom[1]', /"good" is warmStartFrom\[0\] already/],
      [
        Array.from({ length: 17 }, (_, i) => `s${i}`),
        'INVALID_ARGUMENT',
        'warmStartFrom',
        /at most 16 sessions, got 17/,
      ],
      [['good'], 'METHOD_UNSUITABLE', 'warmStartFrom', /sobol takes no trials/, { method: 'sobol' }],
      [['good'], 'METHOD_UNSUITABLE', 'warmStartFrom', /several objectives/, { method: 'tpe', problem: two }],
      [
        ['good'],
        'METHOD_UNSUITABLE',
        'warmStartFrom',
        /a tensors space takes none/,
        { method: 'cma-es', problem: flat },
      ],
    ]
    for (const [warmStartFrom, reason, path, text, more] of cases)
      expect(await refusal(sessions.create({ method: 'gp', problem, warmStartFrom, ...more }))).toMatchObject({
        reason,
        path,
        message: expect.stringMatching(text),
      })
    expect((await sessions.list({})).items).toHaveLength(before)
  })
})
