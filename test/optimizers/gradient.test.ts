import { beforeAll, describe, expect, test } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import { jsonSchema, parseConfig } from '../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import { methods } from '../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../src/optimizers/engines/index.js'
import { method as adam, adam as adamPreset } from '../../src/optimizers/presets/adam.js'
import { method as rule } from '../../src/optimizers/presets/rule.js'
import { method as sgd } from '../../src/optimizers/presets/sgd.js'
import { kernelOf, program } from '../../src/optimizers/step-program.js'
import { of, Session, vectors } from './session.js'

beforeAll(loadEngines)

const space = (dtype: 'f32' | 'f64'): TensorsSpace => ({
  kind: 'tensors',
  tensors: [
    { name: 'W', shape: [3, 4], dtype, group: 'weights' },
    { name: 'b', shape: [5], dtype },
    { name: 's', shape: [], dtype },
  ],
  initial: {
    W: Float64Array.from({ length: 12 }, (_, i) => Math.sin(i + 1)),
    b: Float64Array.from({ length: 5 }, (_, i) => Math.cos(i)),
    s: Float64Array.of(0.7),
  },
})
/** No two elements have the same. */
const curvature = (name: string, i: number) => 1 + (i % 5) + 0.03 * i + (name.charCodeAt(0) % 13) / 10
/** A bowl whose curvature and centre vary from element to element. */
const bowl = (x: Tensors) =>
  Object.fromEntries(
    Object.entries(x).map(([name, values]) => [
      name,
      Array.from(values, (v, i) => curvature(name, i) * (v - 0.1 * i) + name.length),
    ]),
  )
/** The bowl itself, above 0. */
function depth(x: Tensors) {
  let sum = 50
  for (const [name, values] of Object.entries(x))
    for (let i = 0; i < values.length; i++)
      sum += 0.5 * curvature(name, i) * (values[i] - 0.1 * i) ** 2 + name.length * values[i]
  return sum
}
/** Its Hessian times a direction. */
const bend = (_: Tensors, direction: Tensors) =>
  Object.fromEntries(Object.entries(direction).map(([name, v]) => [name, v.map((vi, i) => curvature(name, i) * vi)]))
const beside = { value: depth, examples: (x: Tensors) => [1, 2].map((k) => k * depth(x)), product: bend }
/** What the bowl can answer. */
const ANSWERED = ['gradient', 'value', 'score', 'hvp']

const COMPOSITIONS: Record<string, object> = {
  plain: {},
  'sam, clipped, under warm-up and cosine': {
    driver: { id: 'sam', rho: 0.05, norm: 3, shards: 2 },
    transforms: [{ id: 'clip-norm', threshold: 1, groups: 'group' }],
    schedule: { id: 'cosine', steps: 40, warmupSteps: 5 },
  },
  'extragradient, three transforms, averaged': {
    driver: { id: 'extragradient', variant: 'peg' },
    transforms: [
      { id: 'clip-norm', groups: 'tensor' },
      { id: 'weight-decay', mode: 'decoupled' },
      { id: 'clip-value', threshold: 0.5 },
    ],
    averaging: { id: 'ergodic' },
  },
  'noise, clipped after it, in a ball, averaged': {
    transforms: [{ id: 'gradient-noise' }, { id: 'clip-norm' }, { id: 'clip-norm', threshold: 2 }],
    averaging: { id: 'ema', decay: 0.9 },
    ball: 2,
  },
}

/** Methods made of a rule and parts. */
const composable = methods.filter(({ config }) => 'transforms' in (jsonSchema(config).properties as object))

describe.each(composable.map((method) => [method.id, method] as const))('%s', (_, method) => {
  const own = method.recipes[0].config as { schedule?: object }
  const fixed = method.id === 'adafactor' ? { relativeStep: false } : {}
  // Some rules are for other tensors, or refuse parts that make no sense of them.
  const refusal = (composition: object): string | undefined => {
    const parsed = method.config.safeParse({ ...own, ...fixed, learningRate: 0.01, ...composition })
    if (!parsed.success) return parsed.error.issues[0].message
    const problem: Problem = { space: space('f64'), objectives: [{ name: 'loss', direction: 'minimize' }] }
    const [issue] = method.check!(parsed.data, problem)
    if (issue) return `${issue.path} ${issue.message}`
    const other = method.needs(parsed.data, problem).find((kind) => !ANSWERED.includes(kind))
    return other && `asks for ${other}`
  }
  const suiting = Object.entries(COMPOSITIONS).filter(([, composition]) => !refusal(composition))
  if (suiting.length === 0) {
    test.skip(`takes none of the compositions: ${refusal(Object.values(COMPOSITIONS)[0])}`, () => {})
    return
  }

  test.each(suiting)('%s: the same on both engines', (_, composition) => {
    const config = { ...own, ...fixed, learningRate: 0.01, ...composition }
    const run = (engine: 'interpreter' | 'wasm', dtype: 'f32' | 'f64') =>
      new Session(method, space(dtype), { engine, config, ...beside }).steps(25, bowl)
    const oracle = run('interpreter', 'f64')
    for (const [dtype, tolerance] of [
      ['f64', 1e-9],
      ['f32', 2e-3],
    ] as const) {
      const wasm = run('wasm', dtype)
      for (const [name, values] of Object.entries(oracle.answer))
        for (const [i, value] of values.entries())
          expect(Math.abs(wasm.answer[name][i] - value)).toBeLessThan(tolerance * Math.max(1, Math.abs(value)))
      expect(wasm.metrics.gradientNorm).toBeCloseTo(oracle.metrics.gradientNorm, dtype === 'f64' ? 8 : 1)
    }
  })

  test.each(suiting)('%s: restarts change no bit', (_, composition) => {
    const config = { ...own, ...fixed, learningRate: 0.01, ...composition }
    const [plain, restarted] = [0, 1].map(
      () => new Session(method, space('f32'), { engine: 'wasm', config, ...beside }),
    )
    for (let k = 0; k < 12; k++) {
      plain.tell(bowl(plain.asked))
      restarted.tell(bowl(restarted.asked))
      restarted.restart()
    }
    expect(restarted.state).toEqual(plain.state)
    expect(restarted.query).toEqual(plain.query)
  })
})

test('transforms, projections and averages fuse with the rule: a pass more only where a reduction must come first', () => {
  const passes = (config: object) => {
    const parsed = parseConfig(adam.config, config)
    const composition = program(adamPreset.rule, parsed, space('f32'))
    return kernelOf(composition, space('f32').tensors, 'wasm', 'f32').passes
  }
  expect(passes({})).toBe(1)
  expect(passes({ reportNorm: false })).toBe(1)
  expect(
    passes({
      transforms: [{ id: 'clip-value' }, { id: 'weight-decay' }, { id: 'gradient-noise' }],
      averaging: { id: 'ema' },
    }),
  ).toBe(1)
  expect(passes({ transforms: [{ id: 'clip-norm' }] })).toBe(2)
  expect(passes({ transforms: [{ id: 'clip-norm', groups: [['W'], ['b', 's']] }] })).toBe(2)
  expect(passes({ transforms: [{ id: 'clip-norm' }], ball: 1 })).toBe(3)
})

test('a tensor that is left out of an answer has a zero gradient', () => {
  const session = new Session(sgd, vectors({ a: [1], b: [1] }), { config: { learningRate: 0.5 } }).tell({ a: [1] })
  expect([session.state.x.a[0], session.state.x.b[0]]).toEqual([0.5, 1])
})

test('a maximized objective is climbed, by every driver', () => {
  const hill = of((x) => [-2 * (x[0] - 3)])
  for (const driver of [{ id: 'step' }, { id: 'sam' }, { id: 'extragradient' }]) {
    const config = { learningRate: 0.1, driver }
    const up = new Session(sgd, vectors([0]), { config, direction: 'maximize' }).steps(50, hill)
    const down = new Session(sgd, vectors([0]), { config }).steps(
      50,
      of((x) => [2 * (x[0] - 3)]),
    )
    expect(up.x).toEqual(down.x)
    expect(up.x[0]).toBeGreaterThan(2.9)
  }
})

test('the iterate stays in the box of the space, or in a ball', () => {
  const run = (start: number[], more: object, config: object) =>
    new Session(sgd, vectors(start, more), { config: { learningRate: 0.5, ...config } }).steps(
      20,
      of((x) => [x[0] - 3, x[1] + 4]),
    ).x
  expect(run([0, 0], { low: -1, high: 2 }, {})).toEqual([2, -1])
  expect(run([0, 0], { high: 2 }, {})[0]).toBe(2)
  const [x, y] = run([0, 0], {}, { ball: 2.5 })
  expect(x).toBeCloseTo(1.5, 6)
  expect(y).toBeCloseTo(-2, 6)
  expect(() => run([0, 0], { low: -1 }, { ball: 1 })).toThrow('config.ball')
  expect(() => run([0, 5], { high: 2 }, {})).toThrow('space.initial.x')
})

test('an answer that did not come is asked for again: a new id, the same point and sample', () => {
  const session = new Session(sgd, vectors([1]), { config: { driver: { id: 'sam' } } }).tell([1])
  for (const status of ['failed', 'infeasible', 'cancelled', 'pruned'] as const) {
    const { id, ...rest } = session.query
    session.refuse(status)
    expect(session.query.id).not.toBe(id)
    expect(session.query).toEqual({ ...rest, id: session.query.id })
  }
  expect(session.state.t).toBe(0)
  const before = session.state.x.x[0]
  const { queries, short } = sgd.step(session.run as never, session.state, [{ type: 'capacity', count: 3 }])
  expect(queries).toEqual([])
  expect(short).toMatchObject({ until: 'tell' })
  expect(session.state.x.x[0]).toBe(before)
})

test('[rule] text of a user: the same run as the preset, and its state under its own names', () => {
  const config = {
    learningRate: 0.1,
    text: 'm = beta1*m + (1 - beta1)*g\nv = beta2*v + (1 - beta2)*g^2\nx = x - lr*(m/(1 - beta1^t))/(sqrt(v/(1 - beta2^t)) + eps)',
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' } },
    hyperparameters: { beta1: 0.9, beta2: 0.999, eps: 1e-8 },
  }
  const mine = new Session(rule, space('f64'), { config }).steps(30, bowl)
  const theirs = new Session(adam, space('f64'), { config: { learningRate: 0.1 } }).steps(30, bowl)
  expect(mine.state.x).toEqual(theirs.state.x)
  expect(Object.keys(mine.state.slots)).toEqual(['m', 'v'])
})

test('[rule] names that transforms, projections, averages and drivers use are the user’s to take', () => {
  const text = (names: { [name: string]: string | undefined }) =>
    'n = momentum*n + g\nw = n + 0\nx = x - lr*w\nreport clipped = norm(w, all)'.replace(
      /\b(n|w)\b/g,
      (m) => names[m] ?? m,
    )
  const run = (names: { n?: string; w?: string }) => {
    const config = {
      learningRate: 0.1,
      text: text(names),
      slots: { [names.n ?? 'n']: { kind: 'tensor', initial: 0.5 } },
      hyperparameters: { momentum: 0.5 },
      transforms: [{ id: 'clip-norm' }, { id: 'clip-norm', threshold: 1 }],
      driver: { id: 'extragradient', variant: 'og' },
      averaging: { id: 'ergodic' },
      ball: 1,
    }
    return new Session(rule, vectors([0.3, -0.2]), { config }).steps(
      20,
      of((x) => [x[0] - 3 * x[1], 3 * x[0] + x[1]]),
    )
  }
  const plain = run({ n: 'velocity', w: 'way' })
  for (const names of [{}, { n: 'average', w: 'averageWeight' }, { n: 'limit', w: 'z' }, { n: 'g_1', w: 'length' }]) {
    const session = run(names)
    expect(session.x, JSON.stringify(names)).toEqual(plain.x)
    expect(session.answer.x).toEqual(plain.answer.x)
  }
})

test('[rule] wrong text is refused with line and column', () => {
  const issues = (config: object) => {
    const problem = { space: vectors([0]), objectives: [{ name: 'f', direction: 'minimize' as const }] }
    return rule.check!(parseConfig(rule.config, config), problem)
  }
  expect(issues({})).toEqual([])
  const [first] = issues({ text: 'x = x - lr*g\nx = x - lr*gg' })
  expect(first.path).toBe('config.text:2:12')
  expect(first.message).toContain('"gg"')
  expect(issues({ text: 'y = g' })[0]).toMatchObject({ path: 'config.text' })
  expect(issues({ text: 'x = m', slots: { norm: { kind: 'tensor' } } }).map(({ path }) => path)).toContain(
    'config.slots.norm',
  )
  expect(issues({ text: 'x = x - lr*rowMean(g)' })).toEqual([
    { path: 'config.text:1:5', message: expect.stringContaining('expected a value for tensor "x" of rank 1') },
  ])
  const late = { transforms: [{ id: 'clip-norm' }], text: '# rows\n\nu = rowMean(g)\nx = x - lr*g\nx = x - u' }
  expect(issues(late).map(({ path }) => path)).toEqual(['config.text:5:5'])
  expect(issues({ ball: 1, text: 'metric = 2\nx = x - lr*g' })[0]).toMatchObject({
    path: 'config.text:1:10',
    message: expect.stringContaining('expected a metric'),
  })
  expect(issues({ text: 'x = lr', slots: { lr: { kind: 'global' } } })[0].path).toBe('config.slots.lr')
  expect(issues({ hyperparameters: { b: 1, norm: 2 } })[0].path).toBe('config.hyperparameters.norm')
  expect(issues({ text: 'x = 1e999' })[0]).toMatchObject({ path: 'config.text:1:5' })
})

test('[rule] a wrong kind of slot is located, and the kinds are listed', () => {
  const issues = (slots: unknown) => {
    try {
      parseConfig(rule.config, { slots })
    } catch (error) {
      if (error instanceof AsktellError) return error.issues
    }
    throw new Error('expected an AsktellError')
  }
  const [issue, ...rest] = issues({ m: { kind: 'matrix' } })
  expect(issue.path).toBe('config.slots.m.kind')
  for (const kind of ['tensor', 'scalar', 'global', 'row', 'column']) expect(issue.message).toContain(`"${kind}"`)
  expect(rest).toEqual([])
  expect(issues('guessed')[0]).toMatchObject({
    path: 'config.slots',
    message: 'Invalid input: expected record, received string or "inferred"',
  })
})

test('gradient-noise has the deviation of its equation, and the same noise in a replay', () => {
  const n = 20_000
  const noise = (seed: number, eta: number) => {
    const config = { learningRate: 1, transforms: [{ id: 'gradient-noise', eta }] }
    const session = new Session(sgd, vectors(Array(n).fill(0)), { config, seed })
    return [0, 1].map(() => {
      const before = session.x
      const after = session.tell(Array(n).fill(0)).x
      return after.map((x, i) => before[i] - x)
    })
  }
  const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / n)
  const [first, second] = noise(1, 0.01)
  expect(deviation(first) / 0.1).toBeCloseTo(1, 1)
  expect(deviation(second) / 0.082645).toBeCloseTo(1, 1)
  expect(noise(1, 0.01)[0]).toEqual(first)
  expect(noise(2, 0.01)[0]).not.toEqual(first)
  expect(noise(1, 0)[0].every((v) => v === 0)).toBe(true)
})
