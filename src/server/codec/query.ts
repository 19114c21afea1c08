/** Queries, observations, points and trials between protocol and domain. */
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf'
import type { Move } from '../../core/directions.js'
import type { Lossy } from '../../core/encodings/index.js'
import {
  type PointSchema,
  Curvature as ProtoCurvature,
  type Observation as ProtoObservation,
  type Point as ProtoPoint,
  ObservationStatus as ProtoStatus,
  TrialState as ProtoTrialState,
  type Usage as ProtoUsage,
  type QuerySchema,
  type TrialSchema,
  type WantSchema,
} from '../../core/gen/asktell/v1/query_pb.js'
import type { TensorsSchema } from '../../core/gen/asktell/v1/tensor_pb.js'
import type { Curvature, Observation, ObservationStatus, Point, Want } from '../../core/query.js'
import type { TensorSpec, Tensors } from '../../core/tensor.js'
import type { Encodings, LeasedQuery, SessionInfo, Trial, TrialState } from '../../sessions/api.js'
import { count, enumTable, fail, int64, params, timestamp, unlessEmpty } from './basics.js'
import { arraysFromProto, type Reserve, tensorsFromProto } from './tensors.js'

export const statuses = enumTable<ProtoStatus, ObservationStatus>([
  [ProtoStatus.OK, 'ok'],
  [ProtoStatus.FAILED, 'failed'],
  [ProtoStatus.INFEASIBLE, 'infeasible'],
  [ProtoStatus.PRUNED, 'pruned'],
  [ProtoStatus.CANCELLED, 'cancelled'],
])

const curvatures = enumTable<ProtoCurvature, Curvature>([
  [ProtoCurvature.HESSIAN, 'hessian'],
  [ProtoCurvature.GAUSS_NEWTON, 'gauss-newton'],
  [ProtoCurvature.FISHER, 'fisher'],
])

export const trialStates = enumTable<ProtoTrialState, TrialState>([
  [ProtoTrialState.WAITING, 'waiting'],
  [ProtoTrialState.RUNNING, 'running'],
  [ProtoTrialState.COMPLETED, 'completed'],
  [ProtoTrialState.FAILED, 'failed'],
  [ProtoTrialState.INFEASIBLE, 'infeasible'],
  [ProtoTrialState.PRUNED, 'pruned'],
  [ProtoTrialState.CANCELLED, 'cancelled'],
  [ProtoTrialState.DELETED, 'deleted'],
])

/** What decides how the tensors of a session travel. It never changes. */
export type Layout = { specs: readonly TensorSpec[]; encodings: Encodings }

/** There are no tensors where the space is another, so that every one that is sent is refused by name. */
export const layoutOf = ({ problem: { space }, encodings = {} }: SessionInfo): Layout => ({
  specs: space.kind === 'tensors' ? space.tensors : [],
  encodings,
})

export function pointFromProto(point: ProtoPoint, specs: readonly TensorSpec[], path: string): Point {
  const { kind } = point
  switch (kind.case) {
    case 'tensors':
      return {
        kind: 'tensors',
        tensors: tensorsFromProto(kind.value.tensors, specs, `${path}.tensors`, 'INVALID_ARGUMENT'),
      }
    case 'params':
      return { kind: 'params', params: params(kind.value, `${path}.params`) }
    case 'text':
      return { kind: 'text', text: kind.value.components }
    case 'item':
      return { kind: 'item', item: kind.value }
    default:
      return fail(path, 'expected one of tensors, params, text, item')
  }
}

const moveToProto = ({ seed, scale, rademacher }: Move, alone = false) => ({
  seed: { case: rademacher ? ('signs' as const) : ('normal' as const), value: seed },
  scale,
  alone,
})

/** `tensors` are those of the point as they travel, none where they are left out; `view` is resolved by the caller. */
export function pointToProto(
  point: Point,
  tensors: MessageInitShape<typeof TensorsSchema> = {},
): MessageInitShape<typeof PointSchema> {
  switch (point.kind) {
    case 'view':
    case 'tensors':
      return { kind: { case: 'tensors', value: tensors } }
    case 'params':
      return { kind: { case: 'params', value: point.params as JsonObject } }
    case 'text':
      return { kind: { case: 'text', value: { components: { ...point.text } } } }
    case 'item':
      return { kind: { case: 'item', value: point.item } }
    case 'seeded':
      return { kind: { case: 'seeded', value: moveToProto(point.move, point.alone) } }
  }
}

export function wantToProto(want: Want): MessageInitShape<typeof WantSchema> {
  switch (want.kind) {
    case 'value':
    case 'gradient':
    case 'directional':
    case 'terms':
      return { kind: { case: want.kind, value: {} } }
    case 'ranking':
      return { kind: { case: 'ranking', value: { top: want.top } } }
    case 'completion': {
      const { purpose, messages, count, temperature, maxTokens } = want
      return {
        kind: {
          case: 'completion',
          value: { purpose, messages: messages.map((m) => ({ ...m })), count, temperature, maxTokens },
        },
      }
    }
    case 'score':
      return { kind: { case: 'score', value: { examples: [...(want.examples ?? [])] } } }
    case 'hvp':
      return { kind: { case: 'hvp', value: { curvature: curvatures.write(want.curvature) } } }
    case 'quantities': {
      const quantities = want.quantities.map(({ name, shape, description }) => ({
        name,
        shape: shape.map(int64),
        description,
      }))
      return { kind: { case: 'quantities', value: { quantities } } }
    }
  }
}

export function queryToProto(
  query: LeasedQuery,
  points: MessageInitShape<typeof PointSchema>[],
): MessageInitShape<typeof QuerySchema> {
  return {
    id: query.id,
    points,
    wants: query.wants.map(wantToProto),
    sampleKey: query.sampleKey,
    purpose: query.purpose,
    trial: query.trial === undefined ? undefined : int64(query.trial),
    leaseUntil: timestamp(query.leaseUntil),
    attempt: query.attempt,
    repeats: query.repeats === undefined ? undefined : int64(query.repeats),
    parent: query.parent === undefined ? undefined : int64(query.parent),
    iterate: query.iterate && {
      step: int64(query.iterate.step),
      last: query.iterate.last.map((move) => moveToProto(move)),
    },
  }
}

/** Tensors of an observation that came ahead of it in chunks. */
export type Ahead = { gradients?: readonly Tensors[]; products?: readonly Tensors[] }

export function observationFromProto(
  o: ProtoObservation,
  { specs, encodings }: Layout,
  path: string,
  ahead: Ahead = {},
  reserve?: Reserve,
): Observation & { point?: Point } {
  if (!o.queryId && !o.point) fail(`${path}.query_id`, 'expected the id of a query, or a point that was not asked')
  if (o.queryId && o.point) fail(`${path}.point`, 'an observation of a query takes no point')
  const sets = (field: keyof Ahead, takes: readonly Lossy[] = []) => {
    if (!ahead[field])
      return o[field].map(({ tensors }, i) =>
        tensorsFromProto(tensors, specs, `${path}.${field}[${i}]`, 'OBSERVATION_INVALID', { reserve, takes }),
      )
    if (o[field].length > 0) fail(`${path}.${field}`, `${field} were sent in chunks already`)
    return ahead[field]
  }
  return {
    queryId: o.queryId,
    status: statuses.read(o.status, `${path}.status`) ?? 'ok',
    values: unlessEmpty(o.values.map((v) => v.values)),
    noise: unlessEmpty(o.noise.map((v) => v.values)),
    constraints: unlessEmpty(o.constraints.map((v) => v.values)),
    gradients: unlessEmpty(sets('gradients', encodings.gradients)),
    ranking: o.ranking?.ties.map((tie) => tie.points),
    completions: unlessEmpty(o.completions),
    scores: unlessEmpty(
      o.scores.map(({ score, examples, outputs }) => ({
        score,
        examples: unlessEmpty(examples),
        outputs: unlessEmpty(outputs),
      })),
    ),
    derivatives: unlessEmpty(o.derivatives),
    terms: unlessEmpty(
      o.terms.map(({ losses, contributors }) => ({ losses, contributors: contributors.map(({ ids }) => ids) })),
    ),
    products: unlessEmpty(sets('products')),
    quantities: unlessEmpty(o.quantities.map((q, p) => arraysFromProto(q.tensors, `${path}.quantities[${p}]`))),
    usage: o.usage && usageFromProto(o.usage, `${path}.usage`),
    ...(o.message && { message: o.message }),
    ...(o.point && { point: pointFromProto(o.point, specs, `${path}.point`) }),
  }
}

function usageFromProto(usage: ProtoUsage, path: string) {
  if (!(usage.money >= 0 && Number.isFinite(usage.money)))
    fail(`${path}.money`, `expected a number >= 0, got ${usage.money}`)
  return {
    calls: count(usage.calls, `${path}.calls`),
    promptTokens: count(usage.promptTokens, `${path}.prompt_tokens`),
    completionTokens: count(usage.completionTokens, `${path}.completion_tokens`),
    money: usage.money,
  }
}

export function trialToProto(trial: Trial): MessageInitShape<typeof TrialSchema> {
  return {
    number: int64(trial.number),
    queryId: trial.queryId,
    state: trialStates.write(trial.state),
    params: trial.params as JsonObject,
    values: [...(trial.values ?? [])],
    constraints: [...(trial.constraints ?? [])],
    parent: trial.parent === undefined ? undefined : int64(trial.parent),
    intermediates: trial.intermediates.map(({ step, value }) => ({ step: int64(step), value })),
    createTime: timestamp(trial.createTime),
    endTime: trial.endTime === undefined ? undefined : timestamp(trial.endTime),
    message: trial.message,
  }
}
