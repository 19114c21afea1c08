import { expect, test } from 'vitest'
import { type Node, plant, record, scatter, upperBounds } from '../../../src/blackbox/prompt/forest.js'
import { numbered } from '../../../src/blackbox/prompt/forest-requests.js'
import { method } from '../../../src/blackbox/prompt/scattered-forest.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

const problem: Problem = {
  space: { kind: 'text', components: [{ name: 'program', initial: '', maxLength: 200 }] },
  objectives: [{ name: 'passed', direction: 'maximize' }],
  task: { description: 'Sort a list.' },
}
const content = ({ wants: [want] }: Query) => (want.kind === 'completion' ? want.messages[0].content : '')
/** The solution that a request is about, its direction, and the theme of a seed. */
const current = (text: string) => [...text.matchAll(/<TEXT>\n([\s\S]*?)\n<\/TEXT>/g)].at(-1)?.[1] ?? ''
const after = (label: string, text: string) => new RegExp(`${label}: (.*)`).exec(text)?.[1] ?? ''

type Model = {
  /** A solution from the text of a request. */
  write(request: string): string
  score(solution: string): number
  insight?(request: string): string
  directions?: readonly string[]
}
const LIST = ['one', 'two', 'three'] as const

/** Plays to the end; `scored` are the solutions in the order of their scores, seeds first. */
function play(model: Model, config: unknown, seed = 0) {
  const driver = new Driver(method, problem, config, seed)
  const scored: string[] = []
  const requests: Query[] = []
  for (let [query] = driver.ask(); query; [query] = driver.ask()) {
    requests.push(query)
    const text = content(query)
    const reply = (): Partial<Observation> => {
      const [point] = query.points
      if (query.purpose === 'score' && point.kind === 'text') {
        scored.push(point.text.program)
        return { scores: [{ score: model.score(point.text.program) }], message: `ran ${point.text.program}` }
      }
      if (query.purpose === 'directions')
        return { completions: [(model.directions ?? LIST).map((d, i) => `${i + 1}. ${d}`).join('\n')] }
      if (query.purpose === 'insight') return { completions: [model.insight?.(text) ?? 'nothing'] }
      return { completions: [model.write(text)] }
    }
    driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', ...reply() } })
    driver.restart()
    if (driver.outcome?.status.phase === 'done') break
  }
  return { driver, scored, requests, solved: driver.best() === 1 }
}

/** Right only along the third direction of a seed. */
const modelA: Model = {
  write: (text) => (current(text) === '' ? 'seed' : `${current(text)}>${after('Direction', text)}`),
  score: (solution) => (solution === 'seed>three' ? 1 : 0.2),
}
/** The same twice in a row. */
const deeperA: Model = {
  ...modelA,
  score: (solution) => (solution.startsWith('seed>three>three') ? 1 : solution.startsWith('seed>three') ? 0.6 : 0.2),
}
/** Only seeds of an iterative theme can be improved. */
const modelB: Model = {
  write: (text) => (current(text) === '' ? after('Theme', text) : `${current(text)} better`),
  score: (solution) => (solution.includes('iterative') && solution.includes('better') ? 1 : 0.3),
}
/** Right once it is told what an earlier failure taught. */
const modelC: Model = {
  write: (text) => (text.includes('off by one') ? 'right' : 'wrong'),
  score: (solution) => Number(solution === 'right'),
  insight: () => 'The loop is off by one.',
}

test('[scattered-forest] directions are chosen by their upper confidence bounds', () => {
  const arms = [
    { value: 0.5, visits: 4 },
    { value: 0.6, visits: 4 },
    { value: 0.4, visits: 1 },
  ]
  const bounds = upperBounds(arms, 1)
  for (const [i, expected] of [1.2412, 1.3412, 1.8823].entries()) expect(bounds[i]).toBeCloseTo(expected, 4)
  expect(upperBounds([...arms, { value: 0, visits: 0 }], 1)[3]).toBe(Infinity)
  // Equal directions are tried in their order.
  const { scored } = play({ ...modelA, score: () => 0.2 }, { seeds: 1, maxEvaluations: 4 })
  expect(scored).toEqual(['seed', 'seed>one', 'seed>two', 'seed>three'])
})

test('[scattered-forest] scattering, foresting and scouting each solve what cannot be solved without', () => {
  const a = play(modelA, { baseline: 'tree', directions: 3 })
  expect(a.solved).toBe(true)
  expect(a.scored.length - 1).toBeLessThanOrEqual(4)
  expect(play(modelA, { seeds: 1, directions: 1, maxEvaluations: 30 }).solved).toBe(false)
  const line = play(modelA, { baseline: 'line', maxEvaluations: 30 })
  expect(line.solved).toBe(false)
  // Always the newest solution.
  expect(line.scored.slice(0, 3)).toEqual(['seed', 'seed>one', 'seed>one>one'])

  expect(play(modelB, { seeds: 5 }).solved).toBe(true)
  expect(play(modelB, { seeds: 1, maxEvaluations: 30 }).solved).toBe(false)

  expect(play(modelC, {}).solved).toBe(true)
  expect(play(modelC, { insights: false, maxEvaluations: 30 }).solved).toBe(false)
  expect(play(modelC, {}).scored).toEqual(play(modelC, {}, 9).scored)
})

test('[scattered-forest] a random walk needs more solutions than bounds', () => {
  // Of one direction that is right in three, chosen at random, and of directions tried one after another, the third attempt
  // is the expected one alike; what bounds are worth shows where the right direction has to be found twice.
  const config = { baseline: 'tree', maxEvaluations: 100 }
  const { scored } = play(deeperA, config)
  const walks = Array.from({ length: 50 }, (_, seed) => play(deeperA, { ...config, selection: 'random' }, seed).scored)
  const mean = walks.reduce((sum, walk) => sum + walk.length, 0) / walks.length
  expect(scored.at(-1)).toBe('seed>three>three')
  expect(mean).toBeGreaterThan(scored.length)
})

test('scattered-forest: an arm is rewarded with the best score at or below the node it leads to', () => {
  const nodes: Node[] = plant(['theme'])
  const attempt = (node: number, direction: number, score: number) =>
    record(nodes, { node, direction }, { text: '', score, feedback: '' })
  attempt(0, 0, 0.5)
  expect(nodes[0].directions[0]).toMatchObject({ visits: 1, value: 0.5, child: 1 })
  scatter(nodes[1], ['a', 'b'])
  attempt(1, 0, 0.9)
  attempt(1, 1, 0.1)
  expect(nodes[1].directions).toMatchObject([
    { visits: 1, value: 0.9 },
    { visits: 1, value: 0.1 },
  ])
  expect(nodes[0].directions[0].visits).toBe(3)
  expect(nodes[0].directions[0].value).toBeCloseTo((0.5 + 0.9 + 0.9) / 3, 12)
  expect(record(nodes, { node: 1, direction: 1 }, null)).toBeNull()
  expect(nodes[1].directions[1]).toMatchObject({ visits: 2, value: 0.05, child: null })
})

test('scattered-forest: baselines, feedback, lists, fences and what cannot be used', () => {
  const best = play(modelA, { baseline: 'best-of-n', maxEvaluations: 7 })
  expect(best.scored).toHaveLength(7)
  expect(best.requests.filter(({ purpose }) => purpose === 'seed').map(content)).toHaveLength(7)
  expect(content(best.requests[5])).toContain('Variant 2')
  expect(best.driver.outcome?.status).toEqual({ phase: 'done', reason: '7 solutions were tried' })

  const { requests, driver } = play(modelA, { seeds: 1, maxEvaluations: 3 })
  const improve = requests.filter(({ purpose }) => purpose === 'improve').map(content)
  expect(improve[0]).toMatch(/Task: Sort a list\.[\s\S]*score is 0\.2[\s\S]*ran seed[\s\S]*Direction: one/)
  expect(improve[1]).toMatch(/- nothing[\s\S]*Direction: two/)
  expect(driver.estimate()).toMatchObject({
    kind: 'prompt',
    step: 3,
    metrics: { solutions: 3, 'solution1.parent': 0, 'solution3.parent': 1, 'solution3.score': 0.2 },
  })

  expect(numbered('Here:\n1. faster\n  by far\n2) simpler\n3. faster by far\n4: other')).toEqual([
    'faster by far',
    'simpler',
    'other',
  ])
  expect(play({ ...modelA, write: () => '```ts\nx\n```' }, { seeds: 1, maxEvaluations: 1 }).scored).toEqual(['x'])
  // Too long for the space, or nothing at all: attempts that came to nothing.
  const useless = play({ ...modelA, write: () => 'x'.repeat(201) }, { maxEvaluations: 8 })
  expect(useless.scored).toEqual([])
  expect(useless.driver.outcome?.status).toEqual({ phase: 'done', reason: '8 solutions were tried' })
  // No list: there is one direction all the same.
  const bare = play({ ...modelA, directions: [] }, { seeds: 1, maxEvaluations: 3 })
  expect(bare.scored).toHaveLength(3)
})

test('scattered-forest: two components and a score to be minimized are refused', () => {
  const two = [
    { name: 'a', initial: '' },
    { name: 'b', initial: '' },
  ]
  const config = parseConfig(method.config, {})
  expect(method.check?.(config, { ...problem, space: { kind: 'text', components: two } })).toMatchObject([
    { path: 'space.components[1]' },
  ])
  expect(method.check?.(config, { ...problem, objectives: [{ name: 'errors', direction: 'minimize' }] })).toMatchObject(
    [{ path: 'objectives[0].direction' }],
  )
  expect(() => parseConfig(method.config, { seeds: 0 })).toThrow('config.seeds')
})
