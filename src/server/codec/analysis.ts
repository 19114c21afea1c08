/** Requests for analyses and their results between protocol and domain. */
import { fromJson, type JsonObject, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf'
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt'
import type { Analysis } from '../../blackbox/analysis/analysis.js'
import type { AnalysisKind, AnalysisRequest, ImportanceMethod } from '../../blackbox/analysis/request.js'
import {
  type AnalysisSchema,
  type AnalyzeSessionRequest,
  AnalysisKind as ProtoKind,
  ImportanceMethod as ProtoMethod,
} from '../../core/gen/asktell/v1/analysis_pb.js'
import type { Params, ParamValue } from '../../core/space.js'
import type { TrialState } from '../../sessions/api.js'
import { enumTable, fail, int64, params, timestamp, unlessEmpty } from './basics.js'
import { trialStates } from './query.js'

const kinds = enumTable<ProtoKind, AnalysisKind>([
  [ProtoKind.HISTORY, 'history'],
  [ProtoKind.IMPORTANCES, 'importances'],
  [ProtoKind.SLICES, 'slices'],
  [ProtoKind.CONTOUR, 'contour'],
  [ProtoKind.PARALLEL_COORDINATES, 'parallel-coordinates'],
  [ProtoKind.EDF, 'edf'],
  [ProtoKind.PARETO, 'pareto'],
  [ProtoKind.TIMELINE, 'timeline'],
  [ProtoKind.CROSS_VALIDATION, 'cross-validation'],
  [ProtoKind.PREDICTION, 'prediction'],
])
const methods = enumTable<ProtoMethod, ImportanceMethod>([
  [ProtoMethod.PED_ANOVA, 'ped-anova'],
  [ProtoMethod.FANOVA, 'fanova'],
  [ProtoMethod.SOBOL, 'sobol'],
])

export function analysisRequestFromProto(request: AnalyzeSessionRequest): AnalysisRequest {
  return {
    kinds: unlessEmpty(
      request.kinds.map((kind, i) => kinds.read(kind, `kinds[${i}]`) ?? fail(`kinds[${i}]`, 'expected a kind')),
    ),
    objective: request.objective || undefined,
    parameters: unlessEmpty(request.parameters),
    importanceMethod: methods.read(request.importanceMethod, 'importance_method'),
    // NaN is no default.
    quantile: request.quantile === 0 ? undefined : request.quantile,
    resolution: request.resolution || undefined,
    points: unlessEmpty(request.points.map((point, i) => params(point, `points[${i}]`))),
    reference: unlessEmpty(request.reference),
    charts: request.charts,
  }
}

const json = (point: Params | undefined) => point as JsonObject | undefined
const value = (v: ParamValue): Value => fromJson(ValueSchema, v as JsonValue)

/** `points` are those of the request, which the predictions belong to. */
export function analysisToProto(
  analysis: Analysis & { revision: number },
  points: readonly Params[] = [],
): MessageInitShape<typeof AnalysisSchema> {
  const { importances, slices, contour, parallelCoordinates, pareto, crossValidation } = analysis
  return {
    revision: int64(analysis.revision),
    objective: analysis.objective,
    trials: analysis.trials,
    history: analysis.history?.map(({ trial, ...step }) => ({ trial: int64(trial), ...step })),
    importances: importances && { method: methods.write(importances.method), parameters: importances.parameters },
    slices: slices?.map(({ parameter, trials, surrogate, at }) => ({
      parameter,
      trials: trials.map((t) => ({
        trial: int64(t.trial),
        parameterValue: value(t.parameterValue),
        value: t.value,
      })),
      surrogate: surrogate.map((point) => ({ ...point, parameterValue: value(point.parameterValue) })),
      at: json(at),
    })),
    contour: contour && {
      ...contour,
      xValues: contour.xValues.map(value),
      yValues: contour.yValues.map(value),
      trials: contour.trials.map((t) => ({
        trial: int64(t.trial),
        xValue: value(t.xValue),
        yValue: value(t.yValue),
        value: t.value,
      })),
      at: json(contour.at),
    },
    parallelCoordinates: parallelCoordinates && {
      parameters: parallelCoordinates.parameters,
      lines: parallelCoordinates.lines.map((line) => ({
        ...line,
        trial: int64(line.trial),
        params: json(line.params),
      })),
    },
    edf: analysis.edf,
    pareto: pareto && {
      front: pareto.front.map(({ trial, params, values }) => ({
        trial: int64(trial),
        params: json(params),
        values: [...values],
      })),
      hypervolumes: pareto.hypervolumes.map(({ trial, hypervolume }) => ({ trial: int64(trial), hypervolume })),
      reference: [...pareto.reference],
    },
    timeline: analysis.timeline?.map(({ trial, state, createTime, endTime }) => ({
      trial: int64(trial),
      state: trialStates.write(state as TrialState),
      createTime: timestamp(createTime),
      endTime: endTime === undefined ? undefined : timestamp(endTime),
    })),
    crossValidation: crossValidation && {
      ...crossValidation,
      folds: crossValidation.folds.map(({ trial, ...fold }) => ({ trial: int64(trial), ...fold })),
    },
    predictions: analysis.predictions?.map((moments, i) => ({ ...moments, params: json(points[i]) })),
    leftOut: analysis.leftOut.map(({ kind, reason }) => ({ kind: kinds.write(kind), reason })),
    charts: analysis.charts.map(({ kind, title, spec }) => ({
      kind: kinds.write(kind),
      title,
      spec: spec as JsonObject,
    })),
  }
}
