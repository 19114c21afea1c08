/** What `Session.analyze` takes and gives: figures of a session over a search space, and their charts. */
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf'
import { timestampDate, type Value } from '@bufbuild/protobuf/wkt'
import {
  type AnalyzeSessionRequestSchema,
  AnalysisKind as Kind,
  type Analysis as Message,
  ImportanceMethod as Method,
} from './gen/asktell/v1/analysis_pb.js'
import { TrialState } from './gen/asktell/v1/query_pb.js'
import type { Trial } from './session.js'
import type { Params, ParamValue } from './space.js'

const KINDS = {
  history: Kind.HISTORY,
  importances: Kind.IMPORTANCES,
  slices: Kind.SLICES,
  contour: Kind.CONTOUR,
  'parallel-coordinates': Kind.PARALLEL_COORDINATES,
  edf: Kind.EDF,
  pareto: Kind.PARETO,
  timeline: Kind.TIMELINE,
  'cross-validation': Kind.CROSS_VALIDATION,
  prediction: Kind.PREDICTION,
} as const
const METHODS = { 'ped-anova': Method.PED_ANOVA, fanova: Method.FANOVA, sobol: Method.SOBOL } as const

export type AnalysisKind = keyof typeof KINDS
export type ImportanceMethod = keyof typeof METHODS
export const ANALYSIS_KINDS = Object.keys(KINDS) as readonly AnalysisKind[]
export const IMPORTANCE_METHODS = Object.keys(METHODS) as readonly ImportanceMethod[]

export type AnalyzeOptions = {
  /** All that the session allows when absent. */
  kinds?: readonly AnalysisKind[]
  /** Name of the objective; the first one when absent. */
  objective?: string
  /** Of slices and parallel coordinates, all when absent; the two of a contour, those that matter most when absent. */
  parameters?: readonly string[]
  /** "ped-anova" when absent. */
  importanceMethod?: ImportanceMethod
  /** Share of the trials that PED-ANOVA counts as the best; 0.1 when absent. */
  quantile?: number
  /** Points along each axis of slices and contours, from 2 to 200; 30 when absent. */
  resolution?: number
  /** Where to predict. */
  points?: readonly Params[]
  /** The corner that hypervolumes are measured from; the worst told values when absent. */
  reference?: readonly number[]
  /** Whether charts are wanted beside the numbers. */
  charts?: boolean
}

export type Slice = {
  parameter: string
  trials: { trial: number; parameterValue: ParamValue; value: number }[]
  /** Mean and standard deviation of the surrogate along the parameter; empty where there is none. */
  surrogate: { parameterValue: ParamValue; mean: number; deviation: number }[]
  /** The best trial in which the parameter is active: the other parameters of the surrogate. */
  at: Params
}
export type Contour = {
  x: string
  y: string
  xValues: ParamValue[]
  yValues: ParamValue[]
  /** Row by row: all x of the first y, then of the next. */
  means: number[]
  deviations: number[]
  trials: { trial: number; xValue: ParamValue; yValue: ParamValue; value: number }[]
  at: Params
}
/** A Vega-Lite specification with its data: what vega-embed takes. */
export type Chart = { kind: AnalysisKind; title: string; spec: JsonObject }

/** What was asked for; the rest is empty or undefined. */
export type Analysis = {
  revision: number
  objective: string
  /** Completed trials with a finite value that are points of the present space. */
  trials: number
  /** `best` is missing while all trials break a constraint. */
  history: { trial: number; value: number; best?: number }[]
  /** Largest first; `importance` is the share of the sum of `raw`. */
  importances?: {
    method: ImportanceMethod
    parameters: { parameter: string; importance: number; raw: number; firstOrder?: number }[]
  }
  slices: Slice[]
  contour?: Contour
  /** Coordinates are places from 0 to 1, NaN where a parameter is not active. */
  parallelCoordinates?: {
    parameters: string[]
    lines: { trial: number; params: Params; coordinates: number[]; value: number }[]
  }
  edf?: { values: number[]; fractions: number[] }
  pareto?: {
    front: { trial: number; params: Params; values: number[] }[]
    hypervolumes: { trial: number; hypervolume: number }[]
    reference: number[]
  }
  timeline: { trial: number; state: Trial['state']; createTime?: Date; endTime?: Date }[]
  crossValidation?: {
    folds: { trial: number; value: number; mean: number; deviation: number }[]
    rmse: number
    explained: number
    coverage: number
  }
  predictions: { params: Params; mean: number; deviation: number }[]
  /** Kinds that could not be computed. */
  leftOut: { kind: AnalysisKind; reason: string }[]
  charts: Chart[]
}

export const fromAnalyzeOptions = (
  name: string,
  { kinds = [], importanceMethod, points = [], ...o }: AnalyzeOptions,
): MessageInitShape<typeof AnalyzeSessionRequestSchema> => ({
  name,
  kinds: kinds.map((kind) => KINDS[kind]),
  objective: o.objective,
  parameters: [...(o.parameters ?? [])],
  importanceMethod: importanceMethod && METHODS[importanceMethod],
  quantile: o.quantile,
  resolution: o.resolution,
  points: points.map((params) => params as JsonObject),
  reference: [...(o.reference ?? [])],
  charts: o.charts,
})

const named = <N extends string>(table: { readonly [name in N]: number }, number: number): N =>
  (Object.keys(table) as N[]).find((name) => table[name] === number)!

function fromValue(value: Value | undefined): ParamValue {
  const kind = value?.kind
  if (kind?.case === 'listValue') return kind.value.values.map(fromValue) as ParamValue
  return kind?.value as ParamValue
}

const params = (json: JsonObject | undefined) => (json ?? {}) as Params

export function toAnalysis(a: Message): Analysis {
  const { importances, contour, parallelCoordinates, edf, pareto, crossValidation } = a
  return {
    revision: Number(a.revision),
    objective: a.objective,
    trials: a.trials,
    history: a.history.map(({ trial, value, best }) => ({ trial: Number(trial), value, best })),
    importances: importances && {
      method: named(METHODS, importances.method),
      parameters: importances.parameters.map(({ parameter, importance, raw, firstOrder }) => ({
        parameter,
        importance,
        raw,
        firstOrder,
      })),
    },
    slices: a.slices.map(({ parameter, trials, surrogate, at }) => ({
      parameter,
      trials: trials.map((t) => ({
        trial: Number(t.trial),
        parameterValue: fromValue(t.parameterValue),
        value: t.value,
      })),
      surrogate: surrogate.map(({ parameterValue, mean, deviation }) => ({
        parameterValue: fromValue(parameterValue),
        mean,
        deviation,
      })),
      at: params(at),
    })),
    contour: contour && {
      x: contour.x,
      y: contour.y,
      xValues: contour.xValues.map(fromValue),
      yValues: contour.yValues.map(fromValue),
      means: contour.means,
      deviations: contour.deviations,
      trials: contour.trials.map((t) => ({
        trial: Number(t.trial),
        xValue: fromValue(t.xValue),
        yValue: fromValue(t.yValue),
        value: t.value,
      })),
      at: params(contour.at),
    },
    parallelCoordinates: parallelCoordinates && {
      parameters: parallelCoordinates.parameters,
      lines: parallelCoordinates.lines.map((line) => ({
        trial: Number(line.trial),
        params: params(line.params),
        coordinates: line.coordinates,
        value: line.value,
      })),
    },
    edf: edf && { values: edf.values, fractions: edf.fractions },
    pareto: pareto && {
      front: pareto.front.map((t) => ({ trial: Number(t.trial), params: params(t.params), values: t.values })),
      hypervolumes: pareto.hypervolumes.map(({ trial, hypervolume }) => ({ trial: Number(trial), hypervolume })),
      reference: pareto.reference,
    },
    timeline: a.timeline.map(({ trial, state, createTime, endTime }) => ({
      trial: Number(trial),
      state: TrialState[state].toLowerCase() as Trial['state'],
      createTime: createTime && timestampDate(createTime),
      endTime: endTime && timestampDate(endTime),
    })),
    crossValidation: crossValidation && {
      folds: crossValidation.folds.map(({ trial, value, mean, deviation }) => ({
        trial: Number(trial),
        value,
        mean,
        deviation,
      })),
      rmse: crossValidation.rmse,
      explained: crossValidation.explained,
      coverage: crossValidation.coverage,
    },
    predictions: a.predictions.map((p) => ({ params: params(p.params), mean: p.mean, deviation: p.deviation })),
    leftOut: a.leftOut.map(({ kind, reason }) => ({ kind: named(KINDS, kind), reason })),
    charts: a.charts.map(({ kind, title, spec }) => ({ kind: named(KINDS, kind), title, spec: spec ?? {} })),
  }
}
