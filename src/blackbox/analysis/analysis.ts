/** The analyses of a session over a search space: from its trials alone, whatever the method. */
import type { Problem, SearchSpace } from '../../core/space.js'
import { encodingOf } from '../space/encoding.js'
import { type Chart, charts } from './charts.js'
import { type Contour, contour } from './contour.js'
import { type CrossValidation, crossValidation } from './cross-validation.js'
import { type Edf, edf } from './edf.js'
import { type HistoryStep, history } from './history.js'
import { type Importances, importances } from './importances.js'
import { isModelled, MIN_ROWS, Model, type Moments } from './model.js'
import { type ParallelCoordinates, parallelCoordinates } from './parallel.js'
import { type Pareto, pareto } from './pareto.js'
import type { AnalysisKind, Plan } from './request.js'
import { type Slice, slice } from './slices.js'
import { type TimelineEntry, timeline } from './timeline.js'
import { signsOf, type ToldTrial, type TrialData, toldTrials } from './trials.js'

export type Analysis = {
  objective: string
  /** Trials that were read: completed, with finite values, points of the space. */
  trials: number
  history?: HistoryStep[]
  importances?: Importances
  slices?: Slice[]
  contour?: Contour
  parallelCoordinates?: ParallelCoordinates
  edf?: Edf
  pareto?: Pareto
  timeline?: TimelineEntry[]
  crossValidation?: CrossValidation
  /** In the order of the points. */
  predictions?: Moments[]
  leftOut: { kind: AnalysisKind; reason: string }[]
  charts: Chart[]
}

/** What the trials don't allow; the message is for people. */
class LeftOut extends Error {}

/** Importances of fewer trials are noise. */
const LEAST_FOR_IMPORTANCES = 4

/** What is derived from a problem and trials: kept for further calls with the same ones. Surrogates by objective. */
export type Derived = { told?: readonly ToldTrial[]; models: Map<number, Model> }

/** The plan must fit the problem. */
export function analyze(
  problem: Problem,
  trials: readonly TrialData[],
  plan: Plan,
  derived: Derived = { models: new Map() },
): Analysis {
  const space = problem.space as SearchSpace
  const encoding = encodingOf(space)
  const signs = signsOf(problem)
  const { objective, resolution } = plan
  const sign = signs[objective]
  derived.told ??= toldTrials(problem, encoding, trials)
  const { told, models } = derived
  const atLeast = (count: number) => {
    if (told.length < count)
      throw new LeftOut(`needs ${count} completed trials with finite values, there are ${told.length}`)
  }
  const model = (): Model => {
    atLeast(MIN_ROWS)
    if (!isModelled(space, encoding)) throw new LeftOut('the space has only one point')
    const known = models.get(objective) ?? new Model(encoding, told, objective, sign)
    models.set(objective, known)
    return known
  }
  const hasModel = told.length >= MIN_ROWS && isModelled(space, encoding)
  const rank = () => {
    atLeast(LEAST_FOR_IMPORTANCES)
    return importances(space, encoding, told, plan, sign, model)
  }
  const result: Analysis = {
    objective: problem.objectives[objective].name,
    trials: told.length,
    leftOut: [],
    charts: [],
  }
  const compute: { [kind in AnalysisKind]: () => void } = {
    history: () => {
      result.history = history(told, objective, sign)
    },
    importances: () => {
      result.importances = rank()
    },
    slices: () => {
      const of = (name: string) => slice(space, told, objective, sign, name, resolution, hasModel ? model() : undefined)
      result.slices = plan.parameters.map(of)
    },
    contour: () => {
      const axes = plan.axes ?? leading(space, (result.importances ?? rank()).parameters, told)
      if (!axes) throw new LeftOut('no two parameters of the space span a plane')
      result.contour = contour(space, told, objective, sign, axes, resolution, model())
      if (!result.contour) throw new LeftOut(`"${axes[0]}" and "${axes[1]}" are not active together everywhere`)
    },
    'parallel-coordinates': () => {
      result.parallelCoordinates = parallelCoordinates(space, told, objective, plan.parameters)
    },
    edf: () => {
      result.edf = edf(told, objective)
    },
    pareto: () => {
      result.pareto = pareto(told, signs, plan.reference)
      if (!result.pareto) throw new LeftOut('no trial satisfies all constraints')
    },
    timeline: () => {
      result.timeline = timeline(trials)
    },
    'cross-validation': () => {
      result.crossValidation = crossValidation(model(), objective)
    },
    prediction: () => {
      result.predictions = model().predictParams(plan.points)
    },
  }
  for (const kind of plan.kinds) {
    try {
      compute[kind]()
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error
      result.leftOut.push({ kind, reason: error.message })
    }
  }
  if (plan.charts) result.charts = charts(result, space, problem.objectives)
  return result
}

/** The two most important parameters that can be the axes of a contour: no permutations, none that decides on the other. */
function leading(
  { parameters }: SearchSpace,
  ranked: readonly { parameter: string }[],
  told: readonly { params: object }[],
): readonly [string, string] | undefined {
  const named = new Map(parameters.map((p) => [p.name, p]))
  const able = ranked.map(({ parameter }) => named.get(parameter)!).filter(({ type }) => type !== 'permutation')
  const guards = (name: string | undefined, other: string): boolean =>
    name !== undefined && (name === other || guards(named.get(name)?.condition?.parent, other))
  for (let j = 1; j < able.length; j++)
    for (let i = 0; i < j; i++) {
      const [x, y] = [able[i], able[j]]
      const apart = !guards(x.condition?.parent, y.name) && !guards(y.condition?.parent, x.name)
      if (apart && told.some(({ params }) => x.name in params && y.name in params)) return [x.name, y.name]
    }
  return undefined
}
