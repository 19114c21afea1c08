import { describe, expect, it } from 'vitest'
import { method } from '../../../src/blackbox/prompt/apo.js'
import { tagged } from '../../../src/blackbox/prompt/critique.js'
import {
  EVALUATORS,
  type EvaluatorId,
  nextPulls,
  rankArms,
  recordScore,
  rejectsLevel,
  startArms,
} from '../../../src/blackbox/prompt/evaluators.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'

const RULES = ['alpha', 'beta', 'gamma', 'delta']
const problem = (initial = '', more: Partial<Problem> = {}): Problem => ({
  space: { kind: 'text', components: [{ name: 'prompt', initial }] },
  objectives: [{ name: 'accuracy', direction: 'maximize' }],
  task: {
    description: 'Follow four rules.',
    examples: Array.from({ length: 40 }, (_, i) => ({ input: `case ${i}`, expected: `rule ${RULES[i % 4]}` })),
  },
  ...more,
})

/** An example of rule j is right iff the prompt contains keyword j. */
const judge = (prompt: string, examples: readonly number[]) => {
  const scores = examples.map((i) => (prompt.includes(RULES[i % 4]) ? 1 : 0))
  return {
    score: scores.reduce((sum: number, x) => sum + x, 0) / scores.length,
    examples: scores,
    outputs: scores.map((s) => (s ? 'right' : 'wrong')),
  }
}
const promptIn = (text: string) => /<PROMPT>\n([\s\S]*)\n<\/PROMPT>/.exec(text)![1]

/** Critique names a rule missing in the shown errors, edit appends it, paraphrase only rewrites whitespace. */
const scripted = (purpose: string, text: string, count: number): string[] => {
  if (purpose === 'critique') {
    const rules = [...text.matchAll(/^Expected: rule (\w+)$/gm)].map((match) => match[1])
    return [`<START>It lacks ${rules.find((rule) => !promptIn(text).includes(rule))}.<END>`]
  }
  if (purpose === 'edit') return [`<START>${promptIn(text)} ${/lacks (\w+)/.exec(text)![1]}<END>`]
  return Array.from({ length: count }, (_, k) => promptIn(text).replaceAll(' ', ' '.repeat(k + 2)))
}

type Script = {
  model?: (purpose: string, text: string, count: number) => string[]
  score?: (prompt: string, examples: readonly number[]) => NonNullable<Observation['scores']>[number]
  problem?: Problem
  seed?: number
}
function play(input: object, script: Script = {}) {
  const run = {
    config: parseConfig(method.config, input),
    problem: script.problem ?? problem(),
    engine: 'wasm' as const,
    memo: new Map<string, unknown>(),
  }
  let state = method.init(run, script.seed ?? 1)
  const asked: Query[] = []
  const open: Query[] = []
  const rounds: { score: number; beam: string[] }[] = []
  let outcome = method.step(run, state, [{ type: 'capacity', count: 1000 }])
  open.push(...outcome.queries)
  let round = 1
  const look = (last: boolean) => {
    if (state.round === round && !last) return
    round = state.round
    const { points } = method.estimate(run, state)
    const text = (point: (typeof points)[number]['point']) => (point.kind === 'text' ? point.text.prompt : '')
    rounds.push({ score: points[0].values?.[0] ?? Number.NaN, beam: points.map(({ point }) => text(point)) })
  }
  while (outcome.status.phase === 'running') {
    const query = open.shift()!
    asked.push(query)
    const [want] = query.wants
    const observation: Observation = { queryId: query.id, status: 'ok' }
    if (want.kind === 'completion')
      observation.completions = (script.model ?? scripted)(want.purpose, want.messages[0].content, want.count)
    else if (want.kind === 'score' && query.points[0].kind === 'text')
      observation.scores = [(script.score ?? judge)(query.points[0].text.prompt, want.examples ?? [])]
    outcome = method.step(run, state, [
      { type: 'observation', query, observation },
      { type: 'capacity', count: 1000 },
    ])
    state = outcome.state
    open.push(...outcome.queries)
    look(outcome.status.phase === 'done')
  }
  return { rounds, asked, status: outcome.status, state }
}
const purposes = (asked: readonly Query[]) => new Set(asked.map(({ purpose }) => purpose))

describe('[apo] the run', () => {
  it.each(EVALUATORS)('from an empty prompt to score 1.0 in at most 4 rounds, evaluator %s', (evaluator) => {
    for (const seed of [1, 2, 3]) {
      const { rounds } = play({ rounds: 4, evaluator }, { seed })
      expect(rounds).toHaveLength(4)
      expect(rounds.at(-1)!.score).toBe(1)
      for (const rule of RULES) expect(rounds.at(-1)!.beam[0]).toContain(rule)
    }
  })

  it('without gradients, by paraphrase alone, the best score never rises', () => {
    const { rounds, asked } = play(
      { rounds: 6, nGradients: 0, evaluator: 'brute-force' },
      { problem: problem('be alpha') },
    )
    for (const { score } of rounds) expect(score).toBe(0.25)
    expect(purposes(asked)).toEqual(new Set(['paraphrase', 'pull']))
  })

  it('nor does it from the empty prompt with the default evaluator', () => {
    for (const { score } of play({ nGradients: 0 }).rounds) expect(score).toBe(0)
  })

  it('the beam never exceeds its size and holds no prompt twice', () => {
    for (const beamSize of [1, 2, 4]) {
      const { rounds } = play({ rounds: 4, beamSize, mcSamples: 4 })
      for (const { beam } of rounds) {
        expect(beam.length).toBeLessThanOrEqual(beamSize)
        expect(new Set(beam).size).toBe(beam.length)
      }
    }
  })

  it('the best old prompt survives a round in which all edits are worse', () => {
    const worse = (purpose: string, text: string, count: number) =>
      purpose === 'critique' ? scripted(purpose, text, count) : ['<START>nothing<END>']
    const start = 'alpha beta gamma'
    for (const evaluator of EVALUATORS) {
      const { rounds } = play({ rounds: 2, evaluator }, { model: worse, problem: problem(start) })
      for (const { beam } of rounds) expect(beam[0]).toBe(start)
    }
  })

  it('duplicates, also of old prompts, are scored once', () => {
    const echo = (purpose: string, text: string, count: number) => {
      if (purpose === 'critique') return scripted(purpose, text, count)
      return purpose === 'edit' ? ['<START>same<END>'] : ['same', 'start', promptIn(text)]
    }
    const { asked } = play({ rounds: 1, evaluator: 'brute-force' }, { model: echo, problem: problem('start') })
    const pulls = asked.filter(({ purpose }) => purpose === 'pull').map(({ points }) => points[0])
    expect(pulls).toEqual(['start', 'same'].map((prompt) => ({ kind: 'text', text: { prompt } })))
  })

  it('keeps at most maxExpansion texts of each prompt, at random or the best on its errors', () => {
    const many = (purpose: string, text: string, count: number) => {
      if (purpose !== 'edit') return scripted(purpose, text, count)
      return [['one', 'two', 'three', 'four', 'alpha'].map((word) => `<START>${word}<END>`).join('')]
    }
    const config = {
      rounds: 1,
      nGradients: 1,
      stepsPerGradient: 5,
      mcSamples: 0,
      maxExpansion: 2,
      evaluator: 'brute-force',
    }
    const pulled = (asked: readonly Query[]) =>
      asked.flatMap(({ purpose, points: [p] }) => (purpose === 'pull' && p.kind === 'text' ? [p.text.prompt] : []))
    expect(pulled(play(config, { model: many }).asked)).toHaveLength(3)
    const screened = play({ ...config, keep: 'errors' }, { model: many })
    expect(pulled(screened.asked)).toContain('alpha')
    expect(pulled(screened.asked)).toHaveLength(3)
    expect(screened.asked.filter(({ purpose }) => purpose === 'screen')).toHaveLength(5)
  })

  it('shows a critique the errors of the prompt with the answers given, at most errorsPerGradient', () => {
    const { asked } = play({ rounds: 1, errorsPerGradient: 3 })
    const critiques = asked.filter(({ purpose }) => purpose === 'critique')
    expect(critiques).toHaveLength(4)
    const [want] = critiques[0].wants
    const text = want.kind === 'completion' ? want.messages[0].content : ''
    expect(text.match(/^Example \d\nInput: case \d+\nExpected: rule \w+\nAnswer: wrong$/gm)).toHaveLength(3)
    expect(text).toContain('Follow four rules.')
  })

  it('keeps a transcript of the critiques', () => {
    const { state } = play({ rounds: 1 })
    expect(state.transcript).toHaveLength(4)
    expect(state.transcript[0]).toMatchObject({
      round: 1,
      prompt: '',
      gradient: expect.stringMatching(/^It lacks \w+\.$/),
    })
  })

  it('stops with the reason when scores come without those of their examples', () => {
    const { status } = play({}, { score: () => ({ score: 0.5 }) })
    expect(status).toMatchObject({
      phase: 'done',
      reason: expect.stringContaining('without the scores of its examples'),
    })
  })

  it('a round without errors goes straight to the selection', () => {
    const { asked } = play({ rounds: 1, mcSamples: 0 }, { problem: problem(RULES.join(' ')) })
    expect(purposes(asked)).toEqual(new Set(['predict', 'pull']))
  })
})

describe('[apo] replies', () => {
  it('text between unbalanced tags is ignored', () => {
    expect(tagged('a <START> one <END> b <START>two<END>')).toEqual(['one', 'two'])
    expect(tagged('<START>open <START>closed<END> late<END>')).toEqual(['closed'])
    expect(tagged('<START>never closed')).toEqual([])
    expect(tagged('never opened<END>')).toEqual([])
    expect(tagged('<END>wrong way<START>')).toEqual([])
    expect(tagged('<START>  <END>')).toEqual([])
    expect(tagged('<START>two\nlines<END>')).toEqual(['two\nlines'])
  })
})

describe('[apo] evaluators', () => {
  const options = (evaluator: EvaluatorId, more: object = {}) => ({
    evaluator,
    c: 1,
    samplesPerEval: 100,
    evalRounds: 1,
    promptsPerRound: 1,
    ...more,
  })
  /** Deterministic means; returns every batch of pulls. */
  const contest = (means: readonly number[], o: ReturnType<typeof options>) => {
    const arms = startArms(means.length)
    const batches: { arms: number[]; samples: number }[] = []
    for (let pulls = nextPulls(arms, o); pulls; pulls = nextPulls(arms, o)) {
      batches.push(pulls)
      for (const arm of pulls.arms) recordScore(arms, arm, means[arm], pulls.samples)
    }
    return { arms, batches }
  }

  it('successive rejects, K 4, B 100: levels 16, 21, 31, arms dropped in increasing order of their means', () => {
    expect([1, 2, 3].map((k) => rejectsLevel(k, 4, 100))).toEqual([16, 21, 31])
    const { arms, batches } = contest([0.6, 0.2, 0.8, 0.4], options('successive-rejects'))
    expect(batches).toEqual([
      { arms: [0, 1, 2, 3], samples: 16 },
      { arms: [0, 2, 3], samples: 5 },
      { arms: [0, 2], samples: 10 },
    ])
    expect(rankArms(arms)).toEqual([2, 0, 3, 1])
    expect(arms.samples).toEqual([31, 16, 31, 21])
  })

  it('successive halving: ceil(log2 K) phases, floor(B / (|S| ceil(log2 K))) each, the upper half stays', () => {
    const { arms, batches } = contest([0.1, 0.5, 0.3, 0.4, 0.2], options('successive-halving', { samplesPerEval: 90 }))
    expect(batches).toEqual([
      { arms: [0, 1, 2, 3, 4], samples: 6 },
      { arms: [1, 2, 3], samples: 10 },
      { arms: [1, 3], samples: 15 },
    ])
    expect(rankArms(arms)).toEqual([1, 3, 2, 4, 0])
  })

  it('ucb: unpulled arms first, then score + c sqrt(log t / N)', () => {
    const means = [0.9, 0.5, 0.1]
    const { batches } = contest(means, options('ucb', { evalRounds: 16, samplesPerEval: 1, c: 0.8 }))
    expect(batches.slice(0, 3).map((b) => b.arms)).toEqual([[0], [1], [2]])
    const counts = [1, 1, 1]
    for (let t = 4; t <= 16; t++) {
      const bounds = means.map((m, a) => m + 0.8 * Math.sqrt(Math.log(t) / counts[a]))
      const best = bounds.indexOf(Math.max(...bounds))
      expect(batches[t - 1].arms).toEqual([best])
      counts[best]++
    }
    expect(counts[1]).toBeGreaterThan(1)
  })

  it('ucb-e: score + c sqrt(c / N)', () => {
    const means = [0.9, 0.5, 0.1]
    const { batches } = contest(means, options('ucb-e', { evalRounds: 12, samplesPerEval: 1, c: 0.8 }))
    const counts = [1, 1, 1]
    for (let t = 4; t <= 12; t++) {
      const bounds = means.map((m, a) => m + 0.8 * Math.sqrt(0.8 / counts[a]))
      const best = bounds.indexOf(Math.max(...bounds))
      expect(batches[t - 1].arms).toEqual([best])
      counts[best]++
    }
    expect(counts[1]).toBeGreaterThan(1)
  })

  it('brute force: all arms on the same floor(B / K) examples', () => {
    const { batches, arms } = contest([0.1, 0.3, 0.2], options('brute-force'))
    expect(batches).toEqual([{ arms: [0, 1, 2], samples: 33 }])
    expect(rankArms(arms)).toEqual([1, 2, 0])
  })

  it.each(EVALUATORS)('%s scores a lone arm', (evaluator) => {
    const { arms } = contest([0.7], options(evaluator, { evalRounds: 2 }))
    expect(arms.samples[0]).toBeGreaterThan(0)
    expect(arms.means[0]).toBeCloseTo(0.7, 12)
  })
})

describe('[apo] refuses', () => {
  it('a task without examples, several texts, a score to minimize', () => {
    const paths = (p: Problem) => method.check!(parseConfig(method.config, {}), p).map(({ path }) => path)
    expect(paths(problem())).toEqual([])
    expect(paths(problem('', { task: { description: 'x' } }))).toEqual(['task.examples'])
    expect(paths(problem('', { objectives: [{ name: 'loss', direction: 'minimize' }] }))).toEqual([
      'objectives[0].direction',
    ])
    const components = ['a', 'b'].map((name) => ({ name, initial: '' }))
    expect(paths(problem('', { space: { kind: 'text', components } }))).toEqual(['space.components[1]'])
  })
})
