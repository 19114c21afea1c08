import { expect, test } from 'vitest'
import { compile, functionalHash, print, simplify } from '../../../src/blackbox/evolution/programs.js'
import { method } from '../../../src/blackbox/evolution/rule-search.js'
import type { Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import { method as rule } from '../../../src/optimizers/presets/rule.js'
import { of, Session, vectors } from '../../optimizers/session.js'
import { problem } from '../../problems/index.js'
import { ruleFitness } from '../../problems/rules.js'

const ADAMW = `m = 0.9*m + 0.1*g
v = 0.999*v + 0.001*g^2
x = x - lr*((m/(1 - 0.9^t))/(sqrt(v/(1 - 0.999^t)) + 1e-8) + 0.01*x)`
const MOMENTUM = 'm = 0.9*m + g\nx = x - lr*m'

test('[lion] rule-search: an unused slot goes when a rule is simplified, and the path stays bit-identical', () => {
  const padded = 'm = 0.9*m + g\nv = 0.99*v + 0.01*g^2\nw = v + m\nx = x - lr*m'
  const simple = simplify(padded)
  expect(simple).toBe(MOMENTUM)
  const run = (text: string) => {
    const session = new Session(rule, vectors([1, -2]), { config: { text, slots: 'inferred', learningRate: 0.01 } })
    const path: number[] = []
    for (let k = 0; k < 50; k++)
      path.push(
        ...session.steps(
          1,
          of((x) => [x[0], 10 * x[1]]),
        ).x,
      )
    return { path, slots: Object.keys(session.state.slots) }
  }
  expect(run(padded).slots).toEqual(['m', 'v'])
  expect(run(simple).slots).toEqual(['m'])
  expect(run(simple).path).toEqual(run(padded).path)
  expect(simplify(ADAMW)).toBe(ADAMW)
})

test('[lion] rule-search: renamed variables have the same functional hash, another function has another', () => {
  const renamed = ADAMW.replace(/\bm\b/g, 'average').replace(/\bv\b/g, 'square')
  expect(renamed).not.toBe(ADAMW)
  expect(functionalHash(renamed)).toBe(functionalHash(ADAMW))
  expect(functionalHash(ADAMW.replace('0.999*v', '0.99*v'))).not.toBe(functionalHash(ADAMW))
  expect(functionalHash('x = x - lr*h(g)')).toBeUndefined()
  expect(functionalHash('x = x/0')).toBeUndefined()
})

/** Answers what a search asks until nothing is open, three queries at a time; gives what was told, by task and text. */
function search(config: object, seed: number, fitness: (text: string, task: string) => number) {
  const run = {
    config: parseConfig(method.config, config),
    problem: problem('rule-fitness').problem,
    engine: 'interpreter' as const,
    memo: new Map(),
  }
  let outcome = method.step(run, method.init(run, seed), [{ type: 'capacity', count: 3 }])
  const first = outcome
  const open = [...outcome.queries]
  const told: Record<string, Record<string, number>> = {}
  while (open.length > 0) {
    const query = open.shift() as Query
    const [point] = query.points
    const text = point.kind === 'text' ? point.text.rule : ''
    const task = query.purpose as string
    const value = fitness(text, task)
    told[task] = { ...told[task], [text]: value }
    const status = Number.isNaN(value) ? 'infeasible' : 'ok'
    outcome = method.step(run, outcome.state, [
      { type: 'observation', query, observation: { queryId: query.id, status, values: [[value]] } },
      { type: 'capacity', count: 3 - open.length },
    ])
    open.push(...outcome.queries)
  }
  return { first, outcome, told, estimate: method.estimate(run, outcome.state) }
}
const finite = (values: object) => Object.values(values).filter((f) => !Number.isNaN(f))

test('[lion] rule-search: 300 evaluations end below the seed rule, and no function is asked twice', () => {
  const { told, estimate, outcome } = search({ maxEvaluations: 300 }, 3, ruleFitness)
  const asked = Object.keys(told.proxy)
  expect(outcome.status.phase).toBe('done')
  expect(asked[0]).toBe(ADAMW)
  expect(asked).toHaveLength(300)
  const [{ point, values }] = estimate.points
  expect(values).toEqual([Math.min(...finite(told.proxy))])
  expect(values![0]).toBeLessThan(ruleFitness(ADAMW))
  expect(new Set(asked.map(functionalHash)).size).toBe(300)
  // The answer is simplified: its value is what was told for its longer form.
  expect(ruleFitness(point.kind === 'text' ? point.text.rule : '')).toBe(values![0])
})

test('[lion] rule-search: the best go on to the harder tasks, and the answer is the best on the hardest', () => {
  // On the hard task the order is the other way round.
  const fitness = (text: string, task: string) => (task === 'hard' ? -1 : 1) * ruleFitness(text)
  const config = { maxEvaluations: 20, tasks: ['easy', 'hard'], keep: 4, population: 10 }
  const { first, outcome, told, estimate } = search(config, 1, fitness)
  expect(first.queries).toHaveLength(1)
  expect(first.short).toMatchObject({ until: 'tell' })
  expect(outcome.status.phase).toBe('done')
  expect(Object.keys(told.easy)).toHaveLength(20)
  const best = finite(told.easy)
    .sort((a, b) => a - b)
    .slice(0, 4)
  expect(
    Object.values(told.hard)
      .map((f) => -f)
      .sort((a, b) => a - b),
  ).toEqual(best)
  expect(estimate.points[0].values).toEqual([Math.min(...Object.values(told.hard))])
})

test('what a program prints is the program', () => {
  for (const text of [
    ADAMW,
    'x = x - lr*(g - (m - g))/2^(1 + t)*-sign(g)\nm = abs(-g^2) - -1e-7',
    'd = t > 1 and not (norm(g, all) > 2) ? max(g, 0.1) : dot(g, x)/(size*mean(g^2))\nx = x - lr*d^0.5*rademacher()',
    'x = x - lr*(1 - (2 - t)) - lr*g/(t/(t + 1))',
  ]) {
    const printed = compile(text)
      .statements.map(({ target, value }) => `${target.name} = ${print(value)}`)
      .join('\n')
    expect(functionalHash(printed)).toBe(functionalHash(text))
    expect(compile(printed).statements).toEqual(compile(text).statements)
  }
})

test('a seed rule that is wrong is refused where it is wrong', () => {
  const issues = (initial: string, more: object[] = []) =>
    method.check!(parseConfig(method.config, {}), {
      space: { kind: 'text', components: [{ name: 'rule', initial }, ...(more as [])] },
      objectives: [{ name: 'loss', direction: 'minimize' }],
    })
  expect(issues('')).toEqual([])
  expect(issues(MOMENTUM)).toEqual([])
  expect(issues('x = x - lr*(g')[0].path).toMatch(/^space\.components\[0\]\.initial:1:/)
  expect(issues('x = x/0')[0].message).toContain('finite')
  expect(issues('', [{ name: 'b', initial: '' }])[0].path).toBe('space.components[1]')
})
