import { expect, test } from 'vitest'
import { method } from '../../../src/blackbox/prompt/iterate-refine.js'
import type { Observation, Query } from '../../../src/core/query.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

const problem: Problem = {
  space: { kind: 'text', components: [{ name: 'answer', initial: 'draft', maxLength: 12 }] },
  objectives: [{ name: 'quality', direction: 'maximize' }],
  task: { description: 'Say it well.' },
}
const tell = (driver: Driver, query: Query, told: Partial<Observation>) =>
  driver.step(
    { type: 'observation', query, observation: { queryId: query.id, status: 'ok', ...told } },
    { type: 'capacity', count: 1 },
  ).queries[0]
const content = (query: Query) => {
  const [want] = query.wants
  if (want.kind !== 'completion') throw new Error(`expected a completion, got ${want.kind}`)
  return want.messages[0].content
}
const distance = (value: number) => ({
  quantities: [{ distance: Float64Array.of(0) }, { distance: Float64Array.of(value) }],
})

test('[iterate-accelerate] a text is revised until the told distance of successive answers is small', () => {
  const driver = new Driver(method, problem, { tolerance: 0.1 })
  let [query] = driver.ask()
  expect(query.purpose).toBe('revise')
  expect(content(query)).toMatch(/Task: Say it well\.[\s\S]*<TEXT>\ndraft\n<\/TEXT>/)
  query = tell(driver, query, { completions: [' better text, far too long '] })
  expect(query.purpose).toBe('compare')
  expect(query.points).toEqual([
    { kind: 'text', text: { answer: 'draft' } },
    { kind: 'text', text: { answer: 'better text,' } },
  ])
  query = tell(driver, query, distance(0.7))
  expect(driver.estimate()).toMatchObject({ step: 1, metrics: { residual: 0.7 } })
  expect(content(query)).toContain('better text,')
  driver.restart()
  query = tell(driver, query, { completions: ['good text'] })
  tell(driver, query, distance(0.05))
  expect(driver.outcome?.status).toEqual({ phase: 'done', reason: 'two successive texts agree' })
  expect(driver.estimate().points).toEqual([{ point: { kind: 'text', text: { answer: 'good text' } } }])
})

test('iterate-refine: critiques are the feedback; the steps are bounded; two components are refused', () => {
  const driver = new Driver(method, problem, { critique: true, maxSteps: 1 })
  let [query] = driver.ask()
  expect(query.purpose).toBe('critique')
  query = tell(driver, query, { completions: ['too short'] })
  expect(content(query)).toContain('Critique: too short')
  query = tell(driver, query, { completions: ['longer'] })
  tell(driver, query, distance(1))
  expect(driver.outcome?.status).toEqual({ phase: 'done', reason: '1 revisions are made' })

  const two = {
    kind: 'text' as const,
    components: [
      { name: 'a', initial: '' },
      { name: 'b', initial: '' },
    ],
  }
  expect(method.check?.(driver.run.config as never, { ...problem, space: two })).toMatchObject([
    { path: 'space.components[1]' },
  ])
})
