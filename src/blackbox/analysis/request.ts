/** What an analysis is asked for, checked against the session's problem. */
import { AsktellError, type Issue, refuse } from '../../core/errors.js'
import { checkParams, type Params, type Problem, type SearchSpace } from '../../core/space.js'

export const KINDS = [
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
] as const
export type AnalysisKind = (typeof KINDS)[number]

export const IMPORTANCE_METHODS = ['ped-anova', 'fanova', 'sobol'] as const
export type ImportanceMethod = (typeof IMPORTANCE_METHODS)[number]

export type AnalysisRequest = {
  /** All that the problem allows when absent. */
  kinds?: readonly AnalysisKind[]
  /** Name of the objective; the first when absent. */
  objective?: string
  /** Of slices and parallel coordinates, all when absent; the two of a contour. */
  parameters?: readonly string[]
  importanceMethod?: ImportanceMethod
  /** Share of the trials that PED-ANOVA counts as the best; 0.1 when absent. */
  quantile?: number
  /** Points along an axis; 30 when absent. */
  resolution?: number
  /** Where to predict. */
  points?: readonly Params[]
  /** The corner of hypervolumes, in the objectives' directions; the worst told values when absent. */
  reference?: readonly number[]
  /** Whether charts are wanted. */
  charts?: boolean
}

/** A request with its defaults, known to fit the problem. */
export type Plan = {
  kinds: readonly AnalysisKind[]
  objective: number
  parameters: readonly string[]
  /** The axes of a contour, where they were named. */
  axes?: readonly [string, string]
  importanceMethod: ImportanceMethod
  quantile: number
  resolution: number
  points: readonly Params[]
  reference?: readonly number[]
  charts: boolean
}

const RESOLUTION = { least: 2, most: 200, normal: 30 }
const MAX_POINTS = 1000
const QUANTILE = 0.1

/** Refuses what does not fit, with the path of the field. */
export function planOf(request: AnalysisRequest, problem: Problem): Plan {
  const { space, objectives } = problem
  const issues: Issue[] = []
  const bad = (path: string, message: string) => issues.push({ path, message })
  if (space.kind !== 'search') {
    const message = `expected a session over a search space, this one is over ${space.kind}`
    throw new AsktellError('INVALID_ARGUMENT', `name: ${message}`, { issues: [{ path: 'name', message }] })
  }
  const { points = [], reference, parameters = [], quantile = QUANTILE, resolution = RESOLUTION.normal } = request
  const asked = (kind: AnalysisKind) => request.kinds?.includes(kind) ?? false
  const objective = request.objective ? objectives.findIndex(({ name }) => name === request.objective) : 0
  if (objective < 0) {
    const names = objectives.map(({ name }) => `"${name}"`).join(', ')
    bad('objective', `expected one of ${names}, got "${request.objective}"`)
  }
  checkNames(space, parameters, bad)
  if (asked('contour')) checkAxes(space, parameters, bad)
  if (!(quantile > 0 && quantile < 1)) bad('quantile', `expected a number between 0 and 1, got ${quantile}`)
  if (!(resolution >= RESOLUTION.least && resolution <= RESOLUTION.most))
    bad('resolution', `expected a number from ${RESOLUTION.least} to ${RESOLUTION.most}, got ${resolution}`)
  if (points.length > MAX_POINTS) bad('points', `expected at most ${MAX_POINTS} points, got ${points.length}`)
  else issues.push(...points.flatMap((params, i) => checkParams(space, params, `points[${i}]`)))
  if (asked('prediction') && points.length === 0) bad('points', 'expected at least one point to predict at')
  if (reference && reference.length !== objectives.length)
    bad('reference', `expected ${objectives.length} numbers, one per objective, got ${reference.length}`)
  reference?.forEach((x, k) => {
    if (!Number.isFinite(x)) bad(`reference[${k}]`, `expected a finite number, got ${x}`)
  })
  if (asked('pareto') && objectives.length === 1)
    bad(`kinds[${request.kinds?.indexOf('pareto')}]`, 'expected several objectives for a front, the session has one')
  refuse('INVALID_ARGUMENT', issues)
  const fits = (kind: AnalysisKind) =>
    kind === 'pareto' ? objectives.length > 1 : kind === 'prediction' ? points.length > 0 : true
  return {
    kinds: request.kinds?.length ? request.kinds : KINDS.filter(fits),
    objective,
    parameters: parameters.length > 0 ? parameters : space.parameters.map(({ name }) => name),
    ...(parameters.length === 2 && checkAxes(space, parameters) && { axes: [parameters[0], parameters[1]] as const }),
    importanceMethod: request.importanceMethod ?? 'ped-anova',
    quantile,
    resolution,
    points,
    reference,
    charts: request.charts ?? false,
  }
}

type Bad = (path: string, message: string) => void

function checkNames({ parameters }: SearchSpace, names: readonly string[], bad: Bad) {
  names.forEach((name, i) => {
    if (!parameters.some((p) => p.name === name)) bad(`parameters[${i}]`, `"${name}" is not a parameter of the space`)
    else if (names.indexOf(name) < i) bad(`parameters[${i}]`, `"${name}" is named twice`)
  })
}

/** Whether the names can be the axes of a contour. */
function checkAxes({ parameters }: SearchSpace, names: readonly string[], bad: Bad = () => {}): boolean {
  if (names.length === 0) return true
  if (names.length !== 2) bad('parameters', `expected two parameters for a contour, or none, got ${names.length}`)
  const at = names.findIndex((name) => parameters.some((p) => p.name === name && p.type === 'permutation'))
  if (at >= 0) bad(`parameters[${at}]`, `"${names[at]}" is a permutation, which has no axis`)
  return names.length === 2 && at < 0
}
