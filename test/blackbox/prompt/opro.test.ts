import { describe, expect, it } from 'vitest'
import { metaPrompt, method } from '../../../src/blackbox/prompt/opro.js'
import { checkSuitable } from '../../../src/core/method.js'
import type { Observation, Point, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'

type Model = (text: string, count: number) => string[]

const text = (direction: 'minimize' | 'maximize' = 'maximize', more: Partial<Problem> = {}): Problem => ({
  space: { kind: 'text', components: [{ name: 'instruction', initial: 'Solve it.' }] },
  objectives: [{ name: 'score', direction }],
  task: {
    description: 'Solve problems.',
    examples: ['a', 'b', 'c', 'd', 'e'].map((x) => ({ input: x, expected: `${x}!` })),
  },
  ...more,
})
const regression: Problem = {
  space: {
    kind: 'search',
    parameters: [
      { name: 'w', type: 'int', low: -100, high: 100 },
      { name: 'b', type: 'int', low: -100, high: 100 },
    ],
  },
  objectives: [{ name: 'loss', direction: 'minimize' }],
}
const cities = Array.from({ length: 8 }, (_, i) => [Math.cos((i * Math.PI) / 4), Math.sin((i * Math.PI) / 4)])
const tour: Problem = {
  space: { kind: 'items', items: cities.map((features, i) => ({ id: `city ${i}`, features })) },
  objectives: [{ name: 'length', direction: 'minimize' }],
}

/** Plays a run until it is done, or to the end of the step in which `until` holds of an evaluated value. */
function play(
  input: object,
  problem: Problem,
  model: Model,
  evaluate: (point: Point) => number,
  until: (value: number) => boolean = () => false,
) {
  const run = { config: parseConfig(method.config, input), problem, engine: 'wasm' as const, memo: new Map() }
  let state = method.init(run, 1)
  const prompts: string[] = []
  const evaluated: Point[] = []
  const counts: number[] = []
  const open: Query[] = []
  let found = false
  let outcome = method.step(run, state, [{ type: 'capacity', count: 64 }])
  open.push(...outcome.queries)
  while (outcome.status.phase === 'running') {
    const query = open.shift()!
    const [want] = query.wants
    const observation: Observation = { queryId: query.id, status: 'ok' }
    if (want.kind === 'completion') {
      const prompt = want.messages.map(({ content }) => content).join('\n')
      prompts.push(prompt)
      counts.push(want.count)
      observation.completions = model(prompt, want.count)
    } else {
      const value = evaluate(query.points[0])
      evaluated.push(query.points[0])
      if (want.kind === 'score') observation.scores = [{ score: value }]
      else observation.values = [[value]]
      found ||= until(value)
    }
    outcome = method.step(run, state, [
      { type: 'observation', query, observation },
      { type: 'capacity', count: 64 },
    ])
    state = outcome.state
    open.push(...outcome.queries)
    if (found && open[0]?.purpose === 'propose') break
  }
  return { prompts, evaluated, counts, estimate: method.estimate(run, state), status: outcome.status }
}

describe('[opro] the meta-prompt', () => {
  const entry = (w: number, b: number, value: number) => ({ solution: { w, b }, value, step: 0 })
  const shown = (prompt: string, pattern: RegExp) => [...prompt.matchAll(pattern)].map((match) => match[1])

  it('minimize: the best two, worst first; the last line before the request is the best value', () => {
    const config = parseConfig(method.config, { historySize: 2 })
    const history = [entry(10, 10, 900), entry(20, 20, 400), entry(18, 10, 50)]
    const prompt = metaPrompt({ config, problem: regression }, history, 1)
    expect(shown(prompt, /^input:\n(.*)$/gm)).toEqual(['w=20, b=20', 'w=18, b=10'])
    const [history_, request] = prompt.split('\n\nGive one new input')
    expect(history_.split('\n').at(-1)).toBe('50')
    expect(request).toContain('[w, b]')
    expect(prompt).toBe(
      [
        'Minimize a function of w, b.',
        '',
        'Here are inputs with their function values, in descending order: the best comes last, lower is better.',
        '',
        'input:',
        'w=20, b=20',
        'value:',
        '400',
        '',
        'input:',
        'w=18, b=10',
        'value:',
        '50',
        '',
        'Give one new input that differs from all inputs above and whose value is lower than all of theirs. ' +
          'Write no code. End with the numbers as [w, b].',
      ].join('\n'),
    )
  })

  it('the order in which solutions are told does not matter', () => {
    const values: Record<string, number> = { '10,10': 900, '18,10': 50, '20,20': 400 }
    const initial = [
      { w: 10, b: 10 },
      { w: 18, b: 10 },
      { w: 20, b: 20 },
    ]
    const { prompts } = play(
      { initial, historySize: 2, maxSteps: 1 },
      regression,
      () => [],
      (point) => (point.kind === 'params' ? values[`${point.params.w},${point.params.b}`] : Number.NaN),
    )
    expect(shown(prompts[0], /^value:\n(.*)$/gm)).toEqual(['400', '50'])
  })

  it('maximize: shares as per cent, ascending, those below the threshold left out', () => {
    const scores: Record<string, number> = { p: 0.62, q: 0.875, r: 0.1 }
    const { prompts } = play(
      { initial: ['p', 'q', 'r'], scoreThreshold: 0.3, maxSteps: 1 },
      text(),
      () => [],
      (point) => (point.kind === 'text' ? scores[point.text.instruction] : 0),
    )
    expect(shown(prompts[0], /^score:\n(.*)$/gm)).toEqual(['62', '88'])
    expect(shown(prompts[0], /^text:\n(.*)$/gm)).toEqual(['p', 'q'])
  })

  it('shows other exemplars at each step, the same at the same step', () => {
    const show = () =>
      play(
        { maxSteps: 6 },
        text(),
        () => [],
        () => 0.5,
      ).prompts.map((p) => shown(p, /^output:\n(.*)$/gm).join())
    const steps = show()
    expect(steps.every((exemplars) => exemplars.split(',').length === 3)).toBe(true)
    expect(new Set(steps).size).toBeGreaterThan(1)
    expect(show()).toEqual(steps)
  })
})

describe('[opro] numbers', () => {
  const offsets = [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
    [1, 1],
    [1, -1],
    [-1, 1],
    [-1, -1],
  ]
  const lastPair: Model = (prompt, count) => {
    const [, w, b] = [...prompt.matchAll(/w=(-?\d+), b=(-?\d+)/g)].at(-1)!.map(Number)
    return offsets.slice(0, count).map(([dw, db]) => `I choose [${w + dw}, ${b + db}]`)
  }
  const loss = (point: Point) => {
    if (point.kind !== 'params') throw new Error('expected params')
    const { w, b } = point.params as { w: number; b: number }
    let sum = 0
    for (let x = 1; x <= 50; x++) sum += (w * x + b - (15 * x + 14)) ** 2
    return sum
  }
  const starts = [
    [18, 10],
    [11, 19],
    [20, 20],
    [10, 10],
    [19, 12],
  ].map(([w, b]) => ({ w, b }))
  const best = (value: number) => value === 0

  it('linear regression with a scripted model: found at step 8 after 39 evaluations', () => {
    const { prompts, evaluated, estimate, counts } = play({ initial: starts }, regression, lastPair, loss, best)
    expect(estimate.points[0]).toMatchObject({ point: { params: { w: 15, b: 14 } }, values: [0] })
    expect(prompts).toHaveLength(8)
    expect(evaluated).toHaveLength(39)
    expect(counts[0]).toBe(8)
  })

  it('with the history reversed, best first, it is not found in 40 steps', () => {
    const reversed: Model = (prompt, count) => {
      const blocks = [...prompt.matchAll(/^input:\n.*\nvalue:\n.*$/gm)].map(([block]) => block)
      return lastPair(blocks.reverse().join('\n\n'), count)
    }
    const { estimate, prompts } = play({ initial: starts, maxSteps: 40 }, regression, reversed, loss, best)
    expect(prompts).toHaveLength(40)
    expect(estimate.points[0].values![0]).toBeGreaterThan(0)
  })

  it('drops what it cannot parse, has seen, or what lies outside of the space, without asking for its value', () => {
    const replies = [
      '[1, 2]',
      'the pair w=1, b=2: [w=1, b=2]',
      '[1.2, 2.4]',
      '[3]',
      '[a, b]',
      'none',
      '[1000, 0]',
      '[7, 8] no, [4, 5]',
    ]
    const { evaluated } = play({ initial: [{ w: 0, b: 0 }], maxSteps: 1 }, regression, () => replies, loss)
    expect(evaluated.map((p) => p.kind === 'params' && p.params)).toEqual([
      { w: 0, b: 0 },
      { w: 1, b: 2 },
      { w: 4, b: 5 },
    ])
  })

  it('random starts lie in the space and depend on the seed alone', () => {
    const first = () => play({ maxSteps: 1 }, regression, () => [], loss).evaluated
    expect(first()).toHaveLength(5)
    expect(first()).toEqual(first())
  })

  it('digits after the point are those of the config', () => {
    const problem: Problem = {
      ...regression,
      space: { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] },
    }
    const seen = play(
      { decimals: 2, initial: [{ x: 0.123 }], maxSteps: 1 },
      problem,
      () => ['[0.1234]', '[0.517]'],
      () => 1.23456,
    )
    expect(seen.evaluated.map((p) => p.kind === 'params' && p.params.x)).toEqual([0.12, 0.52])
    expect(seen.prompts[0]).toContain('x=0.12\nvalue:\n1.23')
    expect(method.check!(parseConfig(method.config, { decimals: 0 }), problem)).toEqual([])
    const narrow: Problem = {
      ...problem,
      space: { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0.1, high: 0.9 }] },
    }
    expect(method.check!(parseConfig(method.config, {}), narrow)[0].path).toBe('space.parameters[0]')
  })
})

describe('[opro] permutations', () => {
  const length = (point: Point) => {
    if (point.kind !== 'text') throw new Error('expected text')
    const order = point.text.order.split(',').map(Number)
    return order.reduce((sum, from, i) => {
      const [a, b] = [cities[from], cities[order[(i + 1) % order.length]]]
      return sum + Math.hypot(a[0] - b[0], a[1] - b[1])
    }, 0)
  }
  /** The last trace with one 2-opt move: reply k at the n-th call reverses the segment number n*count + k. */
  const twoOpt = (): Model => {
    let call = 0
    const moves: [number, number][] = []
    for (let i = 0; i < 7; i++) for (let j = i + 1; j < 8; j++) moves.push([i, j])
    return (prompt, count) => {
      const last = [...prompt.matchAll(/<trace>([\d,\s]+)<\/trace>/g)].at(-1)![1].split(',').map(Number)
      const at = count * call++
      return Array.from({ length: count }, (_, k) => {
        const [i, j] = moves[(at + k) % moves.length]
        const order = [...last.slice(0, i), ...last.slice(i, j + 1).reverse(), ...last.slice(j + 1)]
        return `<trace> ${order.join(',')} </trace>`
      })
    }
  }
  const optimum = 8 * 2 * Math.sin(Math.PI / 8)

  it('eight cities on a circle with 2-opt replies: the optimal tour in at most 40 steps', () => {
    const { estimate, prompts, evaluated } = play({ maxSteps: 40 }, tour, twoOpt(), length, (v) => v < optimum + 1e-9)
    expect(estimate.points[0].values![0]).toBeCloseTo(optimum, 9)
    expect(prompts.length).toBeLessThanOrEqual(40)
    const orders = evaluated.map((p) => (p.kind === 'text' ? p.text.order : ''))
    expect(new Set(orders).size).toBe(orders.length)
    expect(prompts[0]).toContain('(3) city 3 at (-0.707107, 0.707107)')
  })

  it('drops what is no permutation', () => {
    const replies = [
      '0,1,2,3,4,5,6',
      '0,1,2,3,4,5,6,6',
      '0,1,2,3,4,5,6,8',
      '0,1,2,3,4,5,6,',
      'a',
      '7,6,5,4,3,2,1,0',
    ].map((order) => `<trace> ${order} </trace>`)
    const initial = [[0, 1, 2, 3, 4, 5, 6, 7]]
    const { evaluated } = play({ initial, maxSteps: 1 }, tour, () => replies, length)
    expect(evaluated.map((p) => p.kind === 'text' && p.text.order)).toEqual(['0,1,2,3,4,5,6,7', '7,6,5,4,3,2,1,0'])
  })
})

describe('[opro] instructions', () => {
  const instructions = (replies: string[], input: object = {}) =>
    play(
      { maxSteps: 1, ...input },
      text(),
      () => replies,
      () => 0.5,
    ).evaluated.map((p) => (p.kind === 'text' ? p.text.instruction : ''))

  it('are read from between the tags, or from square brackets', () => {
    expect(
      instructions(['so: <INS> Think. </INS>', 'so: [Count.] done', 'nothing', '<INS></INS>', '<INS>open']),
    ).toEqual(['Solve it.', 'Think.', 'Count.'])
  })

  it('that are seen, too long or contain the placeholder are dropped', () => {
    const long = 'x'.repeat(501)
    const replies = ['[Solve it.]', `[${long}]`, '[Put <INS> first]', '<INS>a <INS> b</INS>', '[fine]', '[fine]']
    expect(instructions(replies)).toEqual(['Solve it.', 'fine'])
    expect(instructions(['[abcd]', '[abc]'], { maxLength: 3, initial: ['a'] })).toEqual(['a', 'abc'])
  })

  it('asks a step anew when no reply is of use, and is done after maxSteps', () => {
    const { prompts, status } = play(
      { maxSteps: 7 },
      text(),
      () => ['?'],
      () => 0,
    )
    expect(prompts).toHaveLength(7)
    expect(status).toEqual({ phase: 'done', reason: '7 steps are taken' })
  })
})

describe('[opro] refuses', () => {
  const paths = (input: object, problem: Problem) =>
    method.check!(parseConfig(method.config, input), problem).map(({ path }) => path)

  it('a mode that does not fit the space, and solutions that are none', () => {
    expect(paths({ mode: 'numeric' }, text())).toEqual(['config.mode'])
    expect(paths({ mode: 'numeric', initial: [{ w: 1 }, { w: 1, b: 2 }, 'x'] }, regression)).toEqual([
      'config.initial[0]',
      'config.initial[2]',
    ])
    expect(paths({ initial: [[0, 1]] }, tour)).toEqual(['config.initial[0]'])
  })

  it('several texts, tensors and categorical parameters', () => {
    const two: Problem = text('maximize', {
      space: { kind: 'text', components: ['a', 'b'].map((name) => ({ name, initial: '' })) },
    })
    expect(paths({}, two)).toEqual(['space.components[1]'])
    const categorical: Problem = {
      ...regression,
      space: { kind: 'search', parameters: [{ name: 'c', type: 'categorical', choices: ['a'] }] },
    }
    expect(checkSuitable(method, categorical)[0].path).toBe('space.parameters[0].type')
  })
})
