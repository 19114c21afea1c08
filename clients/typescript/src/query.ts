import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampDate } from '@bufbuild/protobuf/wkt'
import {
  Curvature as CurvatureMessage,
  type Move as MoveMessage,
  type ObservationSchema,
  ObservationStatus,
  type Point as PointMessage,
  PointSchema,
  type Query as QueryMessage,
} from './gen/asktell/v1/query_pb.js'
import type { StepResponse } from './gen/asktell/v1/service_pb.js'
import { SessionState } from './gen/asktell/v1/session_pb.js'
import type { Tensors as TensorsMessage } from './gen/asktell/v1/tensor_pb.js'
import type { Move } from './random/directions.js'
import type { Params } from './space.js'
import { type FloatArray, packTensors, type Tensors, unpackTensors } from './tensors.js'

/**
 * One of the four, by the kind of space. Tensors are empty when the client asked to leave them out. `seeded`: made by the
 * client, see SeededIterate.
 */
export type Point = {
  params?: Params
  tensors?: Tensors
  text?: Record<string, string>
  item?: string
  seeded?: { move: Move; alone: boolean }
}

export type ChatMessage = { role: string; content: string }
export type Want =
  /** directional: at the first point, along each of the other points. terms: at each point. */
  | { kind: 'value' | 'gradient' | 'directional' | 'terms' }
  | { kind: 'ranking'; top: number }
  | {
      kind: 'completion'
      purpose: string
      messages: ChatMessage[]
      count: number
      temperature: number
      maxTokens: number
    }
  | { kind: 'score'; examples: number[] }
  /** A curvature matrix at the first point, times each of the other points. */
  | { kind: 'hvp'; curvature: Curvature }
  /** Named arrays at each point. */
  | { kind: 'quantities'; quantities: Quantity[] }

export type Curvature = 'hessian' | 'gauss-newton' | 'fisher'
/** `shape` is row-major; a length of -1 is the client's choice. */
export type Quantity = { name: string; shape: number[]; description: string }

/** What the session asks. Answer with an observation of the same id. */
export type Query = {
  id: string
  points: Point[]
  wants: Want[]
  sampleKey: string
  purpose: string
  trial?: number
  leaseUntil?: Date
  attempt: number
  /** The first trial that was told at the same parameters; absent for a new point. */
  repeats?: number
  /** The trial that this one goes on from: load the checkpoint kept after it. Absent: from scratch. */
  parent?: number
  /** Where the iterate that the client keeps has to be: after so many steps, the last of which made these moves. */
  iterate?: { step: number; last: readonly Move[] }
}

export type Status = 'ok' | 'failed' | 'infeasible' | 'pruned' | 'cancelled'
export type Score = { score: number; examples?: number[]; outputs?: string[] }
/** The terms of an objective at a point, and of each the groups (slices along the first axis) that it was made of. */
export type Terms = { losses: readonly number[]; contributors: readonly (readonly number[])[] }

/** What was found out. Give what the query wants: per point a value (or one per objective), gradients, a ranking … */
export type Observation = {
  queryId?: string
  status?: Status
  /** One per point; a number for one objective, a list for several. */
  values?: readonly (number | readonly number[])[]
  noise?: readonly (number | readonly number[])[]
  constraints?: readonly (readonly number[])[]
  /** One per point, as arrays or as ErrorFeedback has encoded them. */
  gradients?: readonly (Tensors | TensorsMessage)[]
  /** Point indices, best first; ties in one inner list. */
  ranking?: readonly (number | readonly number[])[]
  completions?: readonly string[]
  scores?: readonly Score[]
  /** One per direction. */
  derivatives?: readonly number[]
  /** One per point. */
  terms?: readonly Terms[]
  /** One per direction, each of the tensors of the first point. */
  products?: readonly Tensors[]
  /** One per point, by name. */
  quantities?: readonly Tensors[]
  usage?: { calls?: number; promptTokens?: number; completionTokens?: number; money?: number }
  message?: string
  /** For a point that was not asked: the point, without a query id. */
  point?: Point
}

export type StepResult = {
  revision: number
  queries: Query[]
  /** Why fewer queries came than wanted. */
  short?: string
  /** Seconds after which asking again may help. */
  retryAfter?: number
  state: 'running' | 'paused' | 'done'
  statusMessage: string
  repeated: boolean
  durableStep?: number
  metrics: Record<string, number>
}

/** Arrays of a message of tensors. */
export type Unpack = (message: TensorsMessage) => Record<string, FloatArray>

export function toPoint(message: PointMessage, unpack: Unpack = unpackTensors): Point {
  const { kind } = message
  switch (kind.case) {
    case 'params':
      return { params: kind.value as unknown as Params }
    case 'tensors':
      return { tensors: unpack(kind.value) }
    case 'text':
      return { text: { ...kind.value.components } }
    case 'item':
      return { item: kind.value }
    case 'seeded':
      return { seeded: { move: toMove(kind.value), alone: kind.value.alone } }
    default:
      return {}
  }
}

const toMove = ({ seed, scale }: MoveMessage): Move => ({
  seed: seed.value ?? 0,
  scale,
  rademacher: seed.case === 'signs',
})

export function fromPoint(point: Point): PointMessage {
  const { params, tensors, text, item } = point
  if (params) return create(PointSchema, { kind: { case: 'params', value: params as JsonObject } })
  if (tensors) return create(PointSchema, { kind: { case: 'tensors', value: packTensors(tensors) } })
  if (text) return create(PointSchema, { kind: { case: 'text', value: { components: text } } })
  if (item !== undefined) return create(PointSchema, { kind: { case: 'item', value: item } })
  throw new TypeError('point: expected params, tensors, text or an item')
}

const CURVATURES: Partial<Record<CurvatureMessage, Curvature>> = {
  [CurvatureMessage.HESSIAN]: 'hessian',
  [CurvatureMessage.GAUSS_NEWTON]: 'gauss-newton',
  [CurvatureMessage.FISHER]: 'fisher',
}

const unknown = () => new TypeError('the server asks for something that this version of the client does not know')

function toWant({ kind }: QueryMessage['wants'][number]): Want {
  switch (kind.case) {
    case 'ranking':
      return { kind: 'ranking', top: kind.value.top }
    case 'completion': {
      const { purpose, count, temperature, maxTokens, messages } = kind.value
      const chat = messages.map(({ role, content }) => ({ role, content }))
      return { kind: 'completion', purpose, count, temperature, maxTokens, messages: chat }
    }
    case 'score':
      return { kind: 'score', examples: kind.value.examples }
    case 'value':
    case 'gradient':
    case 'directional':
    case 'terms':
      return { kind: kind.case }
    case 'hvp': {
      const curvature = CURVATURES[kind.value.curvature]
      if (!curvature) throw unknown()
      return { kind: 'hvp', curvature }
    }
    case 'quantities': {
      const quantities = kind.value.quantities.map(({ name, shape, description }) => ({
        name,
        shape: shape.map(Number),
        description,
      }))
      return { kind: 'quantities', quantities }
    }
    default:
      throw unknown()
  }
}

const toQuery = (q: QueryMessage, unpack?: Unpack): Query => ({
  id: q.id,
  points: q.points.map((point) => toPoint(point, unpack)),
  wants: q.wants.map(toWant),
  sampleKey: q.sampleKey,
  purpose: q.purpose,
  trial: q.trial === undefined ? undefined : Number(q.trial),
  leaseUntil: q.leaseUntil && timestampDate(q.leaseUntil),
  attempt: q.attempt,
  repeats: q.repeats === undefined ? undefined : Number(q.repeats),
  parent: q.parent === undefined ? undefined : Number(q.parent),
  iterate: q.iterate && { step: Number(q.iterate.step), last: q.iterate.last.map(toMove) },
})

const STATUS: Record<Status, ObservationStatus> = {
  ok: ObservationStatus.OK,
  failed: ObservationStatus.FAILED,
  infeasible: ObservationStatus.INFEASIBLE,
  pruned: ObservationStatus.PRUNED,
  cancelled: ObservationStatus.CANCELLED,
}

const list = (entry: number | readonly number[]): number[] => (typeof entry === 'number' ? [entry] : [...entry])

export const isMessage = (tensors: Tensors | TensorsMessage): tensors is TensorsMessage => '$typeName' in tensors

export const fromObservation = (o: Observation): MessageInitShape<typeof ObservationSchema> => ({
  queryId: o.queryId,
  status: STATUS[o.status ?? 'ok'],
  values: o.values?.map((v) => ({ values: list(v) })),
  noise: o.noise?.map((v) => ({ values: list(v) })),
  constraints: o.constraints?.map((v) => ({ values: list(v) })),
  gradients: o.gradients?.map((gradient) => (isMessage(gradient) ? gradient : packTensors(gradient))),
  ranking: o.ranking && { ties: o.ranking.map((tie) => ({ points: list(tie) })) },
  completions: o.completions && [...o.completions],
  scores: o.scores?.map((s) => ({ ...s })),
  derivatives: o.derivatives && [...o.derivatives],
  terms: o.terms?.map(({ losses, contributors }) => ({
    losses: [...losses],
    contributors: contributors.map((ids) => ({ ids: [...ids] })),
  })),
  products: o.products?.map(packTensors),
  quantities: o.quantities?.map(packTensors),
  usage: o.usage && {
    calls: BigInt(o.usage.calls ?? 0),
    promptTokens: BigInt(o.usage.promptTokens ?? 0),
    completionTokens: BigInt(o.usage.completionTokens ?? 0),
    money: o.usage.money ?? 0,
  },
  message: o.message,
  point: o.point && fromPoint(o.point),
})

export const STATES = {
  [SessionState.UNSPECIFIED]: 'running',
  [SessionState.RUNNING]: 'running',
  [SessionState.PAUSED]: 'paused',
  [SessionState.DONE]: 'done',
} as const

export const toStepResult = (r: StepResponse, unpack?: Unpack): StepResult => ({
  revision: Number(r.revision),
  queries: r.queries.map((query) => toQuery(query, unpack)),
  short: r.short?.reason,
  retryAfter: r.short?.retryAfter && Number(r.short.retryAfter.seconds) + r.short.retryAfter.nanos / 1e9,
  state: STATES[r.state],
  statusMessage: r.statusMessage,
  repeated: r.repeatedRequest,
  durableStep: r.durableStep === undefined ? undefined : Number(r.durableStep),
  metrics: { ...r.metrics },
})
