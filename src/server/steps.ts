/** Asking and telling: Ask, Tell and Step are one operation of a session, between messages and domain. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Duration } from '@bufbuild/protobuf/wkt'
import { DENSITY, isLossy, type Lossy } from '../core/encodings/index.js'
import type { Observation, PointSchema } from '../core/gen/asktell/v1/query_pb.js'
import type {
  AskRequest,
  Held as ProtoHeld,
  Shared,
  StepRequest,
  StepResponseSchema,
  TellRequest,
} from '../core/gen/asktell/v1/service_pb.js'
import type { Dtype as ProtoDtype } from '../core/gen/asktell/v1/tensor_pb.js'
import type { Point } from '../core/query.js'
import type { Dtype, Tensors } from '../core/tensor.js'
import type { Landing, Lend, Mutation, Sessions, StepInput } from '../sessions/api.js'
import { RESOLVER, shortOf } from '../sessions/index.js'
import { type Call, linked } from './call.js'
import { count, duration, fail, idOf, int64, quote, seconds } from './codec/basics.js'
import { type DeltaFormat, type Held, heldFromProto, tensorsForHolder } from './codec/held.js'
import {
  type Ahead,
  type Layout,
  layoutOf,
  observationFromProto,
  pointFromProto,
  pointToProto,
  queryToProto,
} from './codec/query.js'
import { states } from './codec/session.js'
import { giveBack } from './codec/staging.js'
import { allowance, encodings, type Place, tensorsToProto } from './codec/tensors.js'
import { draining } from './errors.js'
import { type SharedFile, SharedMemories } from './shared-memory.js'
import type { Telemetry } from './telemetry.js'

/** The fields of a StepResponse. */
export type StepAnswer = MessageInitShape<typeof StepResponseSchema>
/** What came ahead of a step, by query id. */
export type Chunked = ReadonlyMap<string, Ahead>
/** How the tensors of an answer travel: all of them in `encoding`, or those of the first point for a copy of the client. */
type Format = { encoding: Dtype | undefined; delta?: DeltaFormat & { held: Held } }
/** `lends`: the points become the bytes of a message at once. */
type PointOptions = Format & { omitTensors?: boolean; queryId?: string; place?: Place; lends?: boolean }
type Answer = { omitTensors: boolean; encoding: ProtoDtype; held?: ProtoHeld; shared?: Shared; path: string }

const MAX_COUNT = 10_000
const MAX_LAYOUTS = 10_000

export const mutation = (request: { requestId: string; expectedRevision?: bigint }): Mutation => ({
  requestId: request.requestId || undefined,
  expectedRevision: request.expectedRevision ? count(request.expectedRevision, 'expected_revision') : undefined,
})

export class Steps {
  /** By session: looked up for every tensor that comes or goes. */
  private readonly layouts = new Map<string, Promise<Layout>>()

  constructor(
    private readonly sessions: Sessions,
    private readonly telemetry: Telemetry,
    private readonly maxGradientBytes: number,
    private readonly memories = new SharedMemories(undefined, 0, 0),
  ) {}

  layout(id: string): Promise<Layout> {
    const { layouts } = this
    let layout = layouts.get(id)
    if (!layout) {
      layout = this.sessions.get(id, { stateHash: false }).then(layoutOf)
      layout.catch(() => layouts.delete(id))
      if (layouts.size >= MAX_LAYOUTS) layouts.delete(layouts.keys().next().value as string)
      layouts.set(id, layout)
    }
    return layout
  }

  /** The session is gone; its id may come back with another space. */
  forget(id: string): void {
    this.layouts.delete(id)
    this.telemetry.steps.forget(id)
  }

  /** Room in the session for a gradient that comes in chunks. */
  land(id: string, queryId: string): Promise<Landing | undefined> {
    return this.sessions.land(id, queryId)
  }

  async ask(request: AskRequest, call: Call): Promise<StepAnswer> {
    const id = idOf('sessions', request.name)
    const tensorial = request.enqueue.some((point) => point.kind.case === 'tensors')
    const { specs } = tensorial ? await this.layout(id) : NO_TENSORS
    const input: StepInput = {
      ...mutation(request),
      by: call.principal,
      count: wanted(request.count, 'count'),
      wait: milliseconds(request.wait, 'wait'),
      enqueue: request.enqueue.map((point, i) => pointFromProto(point, specs, `enqueue[${i}]`)),
      worker: workerName(request.worker, 'worker'),
    }
    return this.run(id, input, answerOf(request, ''), call)
  }

  async tell(request: TellRequest, call: Call): Promise<StepAnswer> {
    const id = idOf('sessions', request.name)
    if (request.observations.length === 0) fail('observations', 'expected at least one')
    const file = this.memories.of(request.shared, 'shared', call)
    const layout = await this.layoutFor(id, request.observations)
    const observations = this.observations(request.observations, layout, '', file)
    const input: StepInput = { ...mutation(request), observations, count: 0 }
    return this.run(id, input, { omitTensors: true, encoding: 0, path: '' }, call)
  }

  /** `path` goes before the names of fields in refusals: the request may be part of another. */
  async step(request: StepRequest, path: string, call: Call, chunked?: Chunked): Promise<StepAnswer> {
    const id = idOf('sessions', request.name, `${path}name`)
    const file = this.memories.of(request.shared, `${path}shared`, call)
    const layout = await this.layoutFor(id, request.observations)
    const input: StepInput = {
      ...mutation(request),
      observations: this.observations(request.observations, layout, path, file, chunked),
      count: wanted(request.count, `${path}count`),
      wait: milliseconds(request.wait, `${path}wait`),
      worker: workerName(request.worker, `${path}worker`),
    }
    return this.run(id, input, answerOf(request, path), call)
  }

  /** Points with their views resolved; undefined when they are of a query that has been answered meanwhile. */
  async points(id: string, points: readonly Point[], options: PointOptions) {
    const { omitTensors, encoding, delta, queryId, place, lends } = options
    const out: MessageInitShape<typeof PointSchema>[] = []
    for (const point of points) {
      if (omitTensors || (point.kind !== 'view' && point.kind !== 'tensors')) {
        out.push(pointToProto(point))
        continue
      }
      const { specs } = await this.layout(id)
      const copies = delta && out.length === 0 ? await this.sessions.copies(id) : undefined
      const write = (tensors: Tensors, lend?: Lend) =>
        copies && delta
          ? tensorsForHolder(tensors, specs, delta, delta.held, copies, place)
          : tensorsToProto(tensors, specs, encoding, place, lends ? lend : undefined)
      const tensors =
        point.kind === 'view' ? await this.sessions.view(id, point.name, write, queryId) : write(point.tensors)
      if (!tensors) return undefined
      out.push(pointToProto(point, tensors))
    }
    return out
  }

  /** Refuses what the session does not give. */
  private format(id: string, { encoding, held, path }: Answer): Format | Promise<Format> {
    const name: Dtype | Lossy | undefined = encodings.read(encoding, `${path}encoding`)
    const lossy = name && isLossy(name) ? name : undefined
    const plain = lossy ? undefined : (name as Dtype | undefined)
    if (!held) {
      if (lossy) fail(`${path}encoding`, `${lossy} is for deltas: held must say what the client holds`)
      return { encoding: plain }
    }
    return this.layout(id).then(({ encodings: { parameters = [], density = DENSITY } }) => {
      if (lossy && !parameters.includes(lossy))
        fail(`${path}encoding`, `the session gives no ${lossy}; it was created with ${parameters.join(', ') || 'none'}`)
      return { encoding: plain, delta: { encoding: name, density, held: heldFromProto(held, `${path}held`) } }
    })
  }

  private layoutFor(id: string, list: readonly Observation[]): Layout | Promise<Layout> {
    const tensorial = list.some(
      (o) => o.gradients.length > 0 || o.products.length > 0 || o.point?.kind.case === 'tensors',
    )
    return tensorial ? this.layout(id) : NO_TENSORS
  }

  private observations(
    list: readonly Observation[],
    layout: Layout,
    path: string,
    file: SharedFile | undefined,
    chunked?: Chunked,
  ) {
    const reserve = allowance(this.maxGradientBytes, `${path}observations`)
    list.forEach(({ gradients, products }, i) => {
      this.memories.read(file, gradients, `${path}observations[${i}].gradients`)
      this.memories.read(file, products, `${path}observations[${i}].products`)
    })
    return list.map((o, i) =>
      observationFromProto(o, layout, `${path}observations[${i}]`, chunked?.get(o.queryId), reserve),
    )
  }

  private run(id: string, input: StepInput, answer: Answer, call: Call): Promise<StepAnswer> {
    const attributes = { 'asktell.count': input.count, 'asktell.observations': input.observations?.length ?? 0 }
    return this.telemetry.span('session.step', attributes, call, () => this.runStep(id, input, answer, call))
  }

  private async runStep(id: string, input: StepInput, answer: Answer, call: Call): Promise<StepAnswer> {
    const { sessions, telemetry } = this
    const { observations = [] } = input
    const format = await this.format(id, answer)
    const { shared, path } = answer
    const room = shared && this.memories.of(shared, `${path}shared`, call)?.answer(shared, `${path}shared`)
    // A wait ends with the drain; a step that does not wait is finished.
    const { signal, release } = input.wait ? linked(call.signal, call.draining) : { signal: call.signal, release() {} }
    try {
      const result = await sessions.step(id, { ...input, signal }).catch((error) => {
        telemetry.steps.refused(error, observations)
        throw error
      })
      if (call.draining.aborted && repeatable(input) && result.queries.length === 0 && result.state !== 'done')
        throw draining()
      if (result.released)
        for (const { gradients = [] } of observations)
          for (const tensors of gradients) for (const array of Object.values(tensors)) giveBack(array)
      if (!result.repeated) {
        telemetry.asked(result.queries.length)
        for (const { status } of observations) telemetry.told(status)
        telemetry.steps.taken(observations)
        const methodOf = async () => (await sessions.get(id, { stateHash: false })).method
        if (result.metrics?.nonFinite !== undefined) await telemetry.steps.step(id, result.metrics, methodOf)
      }
      const queries = []
      for (const query of result.queries) {
        const lends = call.transport === 'grpc'
        const options = { ...format, omitTensors: answer.omitTensors, queryId: query.id, place: room?.place, lends }
        const points = await this.points(id, query.points, options)
        if (points) queries.push(queryToProto(query, points))
      }
      const { durableStep } = result
      const short = shortOf(result, queries.length)
      return {
        revision: int64(result.revision),
        queries,
        short: short && {
          reason: short.reason,
          retryAfter: short.retryAfter === undefined ? undefined : duration(short.retryAfter),
        },
        state: states.write(result.state),
        statusMessage: result.statusMessage,
        repeatedRequest: result.repeated,
        durableStep: durableStep === undefined ? undefined : int64(durableStep),
        requestId: input.requestId,
        metrics: { ...result.metrics },
      }
    } finally {
      release()
      room?.done()
    }
  }
}

const NO_TENSORS: Layout = { specs: [], encodings: {} }

const answerOf = ({ omitTensors, encoding, held, shared }: AskRequest | StepRequest, path: string): Answer => ({
  omitTensors,
  encoding,
  held,
  shared,
  path,
})

/**
 * Whether a wait that the drain cut short may be sent again, and so ends with UNAVAILABLE: it has told nothing, or has a
 * request id by which the next server knows what it told.
 */
const repeatable = ({ wait, count, observations = [], enqueue = [], requestId }: StepInput): boolean =>
  !!wait && count > 0 && (!!requestId || observations.length + enqueue.length === 0)

const milliseconds = (wait: Duration | undefined, path: string) => wait && seconds(wait, path) * 1000

/** One query when the field is absent, none when it is negative. */
const wanted = (asked: number, path: string): number =>
  asked > MAX_COUNT ? fail(path, `expected at most ${MAX_COUNT}, got ${asked}`) : Math.max(asked || 1, 0)

/** The server's own resolver asks under a name that nobody else may use. */
function workerName(worker: string, path: string): string | undefined {
  if (worker === RESOLVER) fail(path, `${quote(worker)} is reserved`)
  return worker || undefined
}
