/** Every kind of analysis on trials whose answer is known. */
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { describe, expect, it } from 'vitest'
import { type Analysis, analyze } from '../../../src/blackbox/analysis/analysis.js'
import { leaveOneOut } from '../../../src/blackbox/analysis/cross-validation.js'
import { Model } from '../../../src/blackbox/analysis/model.js'
import { type AnalysisRequest, planOf } from '../../../src/blackbox/analysis/request.js'
import { slice } from '../../../src/blackbox/analysis/slices.js'
import { sobolIndices } from '../../../src/blackbox/analysis/sobol-indices.js'
import { type TrialData, toldTrials, withValues } from '../../../src/blackbox/analysis/trials.js'
import { Surrogate } from '../../../src/blackbox/bayes/surrogate.js'
import { workspace } from '../../../src/blackbox/linalg/linalg.js'
import { sobolSequence } from '../../../src/blackbox/sampling/sobol.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import { AsktellError } from '../../../src/core/errors.js'
import type { Params, Problem, SearchSpace } from '../../../src/core/space.js'

const space: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x', type: 'float', low: -2, high: 2 },
    { name: 'lr', type: 'float', low: 1e-4, high: 1, log: true },
    { name: 'n', type: 'int', low: 1, high: 5 },
    { name: 'kind', type: 'categorical', choices: ['a', 'b', true] },
    { name: 'depth', type: 'int', low: 1, high: 8, condition: { parent: 'kind', values: ['a'] } },
    { name: 'order', type: 'permutation', items: [1, 2, 3] },
  ],
}
const problem: Problem = { space, objectives: [{ name: 'loss', direction: 'minimize' }] }
const loss = ({ x, lr, kind }: Params) =>
  (x as number) ** 2 + 0.2 * (Math.log10(lr as number) + 2) ** 2 + (kind === 'b' ? 1 : 0)

/** Trials at Sobol' points. */
function trialsOf(within: SearchSpace, count: number, values: (params: Params) => number[]): TrialData[] {
  const encoding = encodingOf(within)
  const sobol = sobolSequence(encoding.dimension)
  return Array.from({ length: count }, (_, number) => {
    const params = encoding.decode(sobol(number + 1))
    const times = { createTime: 1000 * number, endTime: 1000 * number + 500 }
    return { number, state: 'completed', params, values: values(params), ...times }
  })
}
const trials = trialsOf(space, 48, (params) => [loss(params)])
const run = (request: AnalysisRequest, on = problem, of: readonly TrialData[] = trials): Analysis =>
  analyze(on, of, planOf(request, on))
const trial = (number: number, values: number[], more: Partial<TrialData> = {}): TrialData => ({
  number,
  state: 'completed',
  params: { x: 0, lr: 0.01, n: 1, kind: 'b', order: [1, 2, 3] },
  values,
  createTime: 0,
  endTime: number,
  ...more,
})
const refusal = (request: AnalysisRequest, on = problem) => {
  try {
    planOf(request, on)
  } catch (error) {
    if (error instanceof AsktellError) return { reason: error.reason, path: error.issues[0].path }
    throw error
  }
  return undefined
}

describe('history', () => {
  const seen = [
    trial(0, [3], { constraints: [1] }),
    trial(1, [5], { endTime: 9 }),
    trial(2, [4], { endTime: 8 }),
    trial(3, [4.5], { endTime: 10 }),
    trial(4, [Number.NaN]),
    trial(5, [1], { state: 'pruned' }),
  ]
  it('is the best feasible value, in the order in which trials were told', () => {
    expect(run({ kinds: ['history'] }, problem, seen).history).toEqual([
      { trial: 0, value: 3 },
      { trial: 2, value: 4, best: 4 },
      { trial: 1, value: 5, best: 4 },
      { trial: 3, value: 4.5, best: 4 },
    ])
  })
  it('rises where the objective is to be maximized', () => {
    const up: Problem = { space, objectives: [{ name: 'score', direction: 'maximize' }] }
    expect(run({ kinds: ['history'] }, up, seen).history?.map(({ best }) => best)).toEqual([undefined, 4, 5, 5])
  })
})

describe('distribution, lines, timeline', () => {
  it('counts the trials with at most each value, equal ones once', () => {
    const seen = [3, 1, 3, 2].map((value, i) => trial(i, [value]))
    expect(run({ kinds: ['edf'] }, problem, seen).edf).toEqual({ values: [1, 2, 3], fractions: [0.25, 0.5, 1] })
  })
  it('places values on their axes', () => {
    const seen = [trial(0, [1], { params: { x: 1, lr: 0.01, n: 5, kind: 'b', order: [1, 2, 3] } })]
    const { parameters, lines } = run({ kinds: ['parallel-coordinates'] }, problem, seen).parallelCoordinates!
    expect(parameters).toEqual(['x', 'lr', 'n', 'kind', 'depth', 'order'])
    expect(lines[0].coordinates[0]).toBe(0.75)
    expect(lines[0].coordinates[1]).toBeCloseTo(0.5, 12)
    expect(lines[0].coordinates.slice(2)).toEqual([0.9, 0.5, Number.NaN, Number.NaN])
    const chosen = run({ kinds: ['parallel-coordinates'], parameters: ['n', 'x'] }, problem, seen)
    expect(chosen.parallelCoordinates?.parameters).toEqual(['x', 'n'])
  })
  it('shows every trial but deleted ones with its times', () => {
    const seen = [
      trial(0, [1]),
      trial(1, [], { state: 'running', endTime: undefined }),
      trial(2, [1], { state: 'deleted' }),
    ]
    expect(run({ kinds: ['timeline'] }, problem, seen).timeline).toEqual([
      { trial: 0, state: 'completed', createTime: 0, endTime: 0 },
      { trial: 1, state: 'running', createTime: 0, endTime: undefined },
    ])
  })
})

describe('Pareto front', () => {
  const two: Problem = {
    space,
    objectives: [
      { name: 'loss', direction: 'minimize' },
      { name: 'score', direction: 'maximize' },
    ],
  }
  const seen = [
    trial(0, [2, 2]),
    trial(1, [3, 3]),
    trial(2, [3, 1]),
    trial(3, [1, 1]),
    trial(4, [0, 9], { constraints: [1] }),
  ]
  it('has the trials that no other dominates, and the volume as it grows', () => {
    const { front, hypervolumes, reference } = run({ kinds: ['pareto'], reference: [4, 0] }, two, seen).pareto!
    expect(front.map((t) => [t.trial, t.values])).toEqual([
      [3, [1, 1]],
      [0, [2, 2]],
      [1, [3, 3]],
    ])
    expect(hypervolumes.map(({ hypervolume }) => hypervolume)).toEqual([4, 5, 5, 6])
    expect(reference).toEqual([4, 0])
  })
  it('measures from the worst told values where no corner is given', () => {
    expect(run({ kinds: ['pareto'] }, two, seen).pareto?.reference).toEqual([3, 1])
  })
  it('has no volumes where they would take too long', () => {
    const objectives = Array.from({ length: 8 }, (_, k) => ({ name: `f${k}`, direction: 'minimize' as const }))
    const sobol = sobolSequence(8)
    const many = Array.from({ length: 60 }, (_, i) => trial(i, [...sobol(i + 1)]))
    const found = run({ kinds: ['pareto'] }, { space, objectives }, many).pareto!
    expect(found.front.length).toBeGreaterThan(20)
    expect(found.hypervolumes).toEqual([])
  })
  it('says when no trial is feasible', () => {
    const { pareto, leftOut } = run({ kinds: ['pareto'] }, two, [trial(0, [0, 0], { constraints: [2] })])
    expect(pareto).toBeUndefined()
    expect(leftOut).toEqual([{ kind: 'pareto', reason: 'no trial satisfies all constraints' }])
  })
})

describe('importances', () => {
  it.each(['ped-anova', 'fanova', 'sobol'] as const)(
    'by %s rank what the values depend on first',
    (importanceMethod) => {
      const { parameters, method } = run({ kinds: ['importances'], importanceMethod }).importances!
      expect(method).toBe(importanceMethod)
      expect(parameters[0].parameter).toBe('x')
      expect(parameters.reduce((sum, p) => sum + p.importance, 0)).toBeCloseTo(1, 12)
    },
  )
  it('are zero where nothing matters', () => {
    const flat = trialsOf(space, 20, () => [7])
    for (const importanceMethod of ['ped-anova', 'fanova', 'sobol'] as const)
      for (const { importance } of run({ kinds: ['importances'], importanceMethod }, problem, flat).importances!
        .parameters)
        expect(importance).toBe(0)
  })
  it("have the Sobol' indices of Ishigami's function", () => {
    // T. Ishigami, T. Homma 1990, with a = 7, b = 0.1: first order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437.
    const cube: SearchSpace = {
      kind: 'search',
      parameters: ['a', 'b', 'c'].map((name) => ({ name, type: 'float', low: -Math.PI, high: Math.PI })),
    }
    const indices = sobolIndices(cube, encodingOf(cube), (points) =>
      points.map((u) => {
        const [a, b, c] = u.map((v) => Math.PI * (2 * v - 1))
        return Math.sin(a) + 7 * Math.sin(b) ** 2 + 0.1 * c ** 4 * Math.sin(a)
      }),
    )
    const known = [
      [0.3139, 0.5576],
      [0.4424, 0.4424],
      [0, 0.2437],
    ]
    indices.forEach(({ firstOrder, total }, i) => {
      expect(Math.abs(firstOrder - known[i][0])).toBeLessThan(0.02)
      expect(Math.abs(total - known[i][1])).toBeLessThan(0.02)
    })
  })
})

describe('surrogate', () => {
  const encoding = encodingOf(space)
  const told = toldTrials(problem, encoding, trials)
  const model = new Model(encoding, told, 0, 1)

  it('predicts told values, in the direction of the objective', () => {
    const points = trials.slice(0, 4).map(({ params }) => params)
    const { predictions } = run({ kinds: ['prediction'], points })
    predictions!.forEach(({ mean, deviation }, i) => {
      expect(Math.abs(mean - trials[i].values![0])).toBeLessThan(0.05)
      expect(deviation).toBeGreaterThan(0)
    })
    const up: Problem = { space, objectives: [{ name: 'score', direction: 'maximize' }] }
    const negated = trialsOf(space, 48, (params) => [-loss(params)])
    run({ kinds: ['prediction'], points }, up, negated).predictions!.forEach(({ mean, deviation }, i) => {
      expect(mean).toBeCloseTo(-predictions![i].mean, 10)
      expect(deviation).toBeCloseTo(predictions![i].deviation, 10)
    })
  })

  it('is cross-validated as if each trial were left out', () => {
    const { residuals, variances } = leaveOneOut(model.factor.packed, model.values)
    const axes = [...encoding.axes.keys()]
    const dimensions = {
      ordered: axes.filter((i) => encoding.axes[i].ordered),
      unordered: axes.filter((i) => !encoding.axes[i].ordered),
    }
    const zeros = model.values.map(() => 0)
    const noise = Math.exp(model.theta[axes.length + 1])
    for (const left of [0, 7, 31]) {
      const rest = <T>(list: readonly T[]) => list.filter((_, i) => i !== left)
      const [{ mean, variance }] = workspace().scope(() => {
        const surrogate = new Surrogate(workspace(), dimensions, model.theta, told.length)
        surrogate.factorize(
          rest(model.trials).map(({ u }) => u),
          zeros,
        )
        surrogate.condition(rest(model.values), zeros)
        return surrogate.predict([model.trials[left].u], false)
      })
      expect(model.values[left] - residuals[left]).toBeCloseTo(mean, 7)
      expect(variances[left] / (variance + noise)).toBeCloseTo(1, 7)
    }
    const { folds, rmse, explained, coverage } = run({ kinds: ['cross-validation'] }).crossValidation!
    expect(folds).toHaveLength(48)
    expect(rmse).toBeCloseTo(Math.sqrt(folds.reduce((sum, f) => sum + (f.value - f.mean) ** 2, 0) / 48), 12)
    expect(explained).toBeGreaterThan(0.9)
    expect(coverage).toBeGreaterThan(0.8)
  })

  it('is cut along each parameter through the best trial', () => {
    const { slices } = run({ kinds: ['slices'], resolution: 11 })
    const best = trials.reduce((a, b) => (b.values![0] < a.values![0] ? b : a))
    const [x, lr, n, kind, depth, order] = slices!
    expect(x.at).toEqual(best.params)
    expect(x.surrogate).toHaveLength(11)
    expect(x.surrogate.map(({ parameterValue }) => parameterValue)[5]).toBeCloseTo(0, 12)
    expect(lr.surrogate[5].parameterValue).toBeCloseTo(0.01, 12)
    expect(n.surrogate.map(({ parameterValue }) => parameterValue)).toEqual([1, 2, 3, 4, 5])
    expect(kind.surrogate.map(({ parameterValue }) => parameterValue)).toEqual(['a', 'b', true])
    const points = x.surrogate.map(({ parameterValue }) => ({ ...best.params, x: parameterValue }))
    expect(x.surrogate.map(({ mean, deviation }) => ({ mean, deviation }))).toEqual(
      run({ kinds: ['prediction'], points }).predictions,
    )
    expect(depth.trials.length).toBe(trials.filter(({ params }) => params.kind === 'a').length)
    expect(depth.at?.kind).toBe('a')
    // A permutation has no axis: only what was told is shown.
    expect(order.surrogate).toEqual([])
    expect(order.trials).toHaveLength(48)
  })

  it('spans two parameters, by default those that matter most', () => {
    const { contour } = run({ kinds: ['contour'], resolution: 7 })
    expect([contour!.x, contour!.y]).toEqual(['x', 'lr'])
    expect(contour!.means).toHaveLength(49)
    const points = contour!.yValues.flatMap((lr) => contour!.xValues.map((x) => ({ ...contour!.at, x, lr })))
    const { predictions } = run({ kinds: ['prediction'], points })
    expect(contour!.means).toEqual(predictions!.map(({ mean }) => mean))
    expect(contour!.deviations).toEqual(predictions!.map(({ deviation }) => deviation))
    expect(contour!.trials).toHaveLength(48)
    const named = run({ kinds: ['contour'], parameters: ['kind', 'x'], resolution: 5 }).contour!
    expect([named.xValues, named.yValues.length]).toEqual([['a', 'b', true], 5])
  })

  it('has no plane of a parameter and what depends on it', () => {
    const { contour, leftOut } = run({ kinds: ['contour'], parameters: ['kind', 'depth'] })
    expect(contour).toBeUndefined()
    expect(leftOut).toEqual([{ kind: 'contour', reason: '"kind" and "depth" are not active together everywhere' }])
  })

  it('drops what is no longer active and fills in what becomes so', () => {
    const params = { x: 1, lr: 0.1, n: 2, kind: 'a', depth: 3, order: [3, 2, 1] }
    expect(withValues(space, encoding, params, { kind: 'b' })).toEqual({
      x: 1,
      lr: 0.1,
      n: 2,
      kind: 'b',
      order: [3, 2, 1],
    })
    const { depth: _, ...rest } = params
    expect(withValues(space, encoding, { ...rest, kind: 'b' }, { kind: 'a' })).toEqual({ ...params, depth: 5 })
  })
})

describe('charts', () => {
  it('draw every kind', async () => {
    const two: Problem = { space, objectives: [...problem.objectives, { name: 'cost', direction: 'minimize' }] }
    const seen = trialsOf(space, 24, (params) => [loss(params), params.n as number])
    const { charts } = run({ charts: true, points: [seen[0].params], resolution: 5 }, two, seen)
    expect(charts.map(({ kind }) => kind)).toEqual([
      'history',
      'importances',
      'slices',
      'contour',
      'parallel-coordinates',
      'edf',
      'pareto',
      'timeline',
      'cross-validation',
      'prediction',
    ])
    for (const { spec, kind } of charts) {
      expect(JSON.parse(JSON.stringify(spec)), kind).toEqual(JSON.parse(JSON.stringify(spec, (_, v) => v ?? null)))
      const warnings: unknown[] = []
      const warn = (...said: unknown[]) => {
        warnings.push(said)
        return logger
      }
      const logger = { ...console, level: () => logger, warn }
      const compiled = compile(spec as unknown as TopLevelSpec, { logger: logger as never })
      const svg = await new View(parse(compiled.spec), { renderer: 'none' }).toSVG()
      expect(warnings, kind).toEqual([])
      expect(svg.match(/<path|<text/g)!.length, kind).toBeGreaterThan(5)
      expect(svg, kind).not.toContain('NaN')
    }
  })
})

describe('bad input and edges', () => {
  it('is refused where it is', () => {
    expect(refusal({ objective: 'zz' })).toEqual({ reason: 'INVALID_ARGUMENT', path: 'objective' })
    expect(refusal({ parameters: ['x', 'zz'] })?.path).toBe('parameters[1]')
    expect(refusal({ parameters: ['x', 'x'] })?.path).toBe('parameters[1]')
    expect(refusal({ kinds: ['contour'], parameters: ['x'] })?.path).toBe('parameters')
    expect(refusal({ kinds: ['contour'], parameters: ['x', 'order'] })?.path).toBe('parameters[1]')
    expect(refusal({ quantile: 1 })?.path).toBe('quantile')
    expect(refusal({ quantile: Number.NaN })?.path).toBe('quantile')
    expect(refusal({ resolution: 1 })?.path).toBe('resolution')
    expect(refusal({ kinds: ['prediction'] })?.path).toBe('points')
    expect(refusal({ points: [{ x: 9 }] })?.path).toBe('points[0].x')
    expect(refusal({ reference: [1, 2] })?.path).toBe('reference')
    expect(refusal({ reference: [Number.NaN] })?.path).toBe('reference[0]')
    expect(refusal({ kinds: ['history', 'pareto'] })?.path).toBe('kinds[1]')
    const text: Problem = { space: { kind: 'text', components: [] }, objectives: problem.objectives }
    expect(refusal({}, text)?.path).toBe('name')
  })
  it('has what can be had of no trial, and of one', () => {
    const none = run({ charts: true }, problem, [])
    expect(none.leftOut.map(({ kind }) => kind)).toEqual(['importances', 'contour', 'cross-validation'])
    expect(none.history).toEqual([])
    const one = run({}, problem, [trial(0, [1])])
    expect(one.leftOut[0].reason).toBe('needs 4 completed trials with finite values, there are 1')
    expect(one.slices?.[0].surrogate).toEqual([])
  })
  it('leaves out trials that are no points of the space', () => {
    const seen = [...trials, trial(99, [0], { params: { x: 0 } })]
    expect(run({ kinds: ['history'] }, problem, seen).trials).toBe(48)
  })
  it('stands equal points, equal values and huge ones', () => {
    const same = Array.from({ length: 12 }, (_, i) => trial(i, [3]))
    expect(run({ kinds: ['cross-validation'] }, problem, same).crossValidation).toMatchObject({ rmse: 0, explained: 0 })
    const huge = trialsOf(space, 16, (params) => [1e300 * loss(params)])
    const { predictions } = run({ kinds: ['prediction'], points: [huge[3].params] }, problem, huge)
    expect(predictions![0].mean / huge[3].values![0]).toBeCloseTo(1, 1)
  })
  it('models a part of many trials', () => {
    const line: SearchSpace = { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] }
    const on: Problem = { space: line, objectives: problem.objectives }
    const many = trialsOf(line, 2000, ({ x }) => [((x as number) - 0.3) ** 2])
    const { crossValidation } = run({ kinds: ['cross-validation'] }, on, many)
    expect(crossValidation?.folds).toHaveLength(600)
  })
  it('shows a part of many trials, the best among them', () => {
    const line: SearchSpace = { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] }
    const on: Problem = { space: line, objectives: problem.objectives }
    const many = trialsOf(line, 3000, ({ x }) => [((x as number) - 0.3) ** 2])
    const seen = toldTrials(on, encodingOf(line), many)
    const { trials: shown, at } = slice(line, seen, 0, 1, 'x', 5)
    expect(shown).toHaveLength(1000)
    const order = [...seen].sort((a, b) => a.values[0] - b.values[0])
    expect(at).toEqual(order[0].params)
    for (const { number } of order.slice(0, 250)) expect(shown.some((t) => t.trial === number)).toBe(true)
    const { charts } = run({ kinds: ['history'], charts: true }, on, many)
    expect((charts[0].spec.data as { values: unknown[] }).values).toHaveLength(1000)
  })
})
