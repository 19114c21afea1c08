/** asktell.v1.Asktell once, as plain functions of messages. Both transports run these. */
import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import { type Duration, EmptySchema } from '@bufbuild/protobuf/wkt'
import { AsktellError } from '../core/errors.js'
import type { Method } from '../core/gen/asktell/v1/method_pb.js'
import type { PointSchema } from '../core/gen/asktell/v1/query_pb.js'
import {
  type Asktell,
  type FileChunk,
  FileChunkSchema,
  type ImportSessionRequest,
  ListMethodsResponseSchema,
  ListSessionsResponseSchema,
  ListTrialsResponseSchema,
  ReportResponseSchema,
  type StepRequest,
  type StepResponse,
  StepResponseSchema,
} from '../core/gen/asktell/v1/service_pb.js'
import { EstimateSchema, type Session, SessionSchema, WatchEventSchema } from '../core/gen/asktell/v1/session_pb.js'
import type { Dtype as ProtoDtype } from '../core/gen/asktell/v1/tensor_pb.js'
import type { Point } from '../core/query.js'
import type { Space } from '../core/space.js'
import type { Dtype, TensorSpec, Tensors } from '../core/tensor.js'
import type { Mutation, SessionInfo, Sessions, StepInput } from '../sessions/api.js'
import { pageToken as nextPage, parseFilter, readPageToken } from '../sessions/filter.js'
import { RESOLVER } from '../sessions/index.js'
import type { Call } from './call.js'
import { linked, until } from './call.js'
import { describeAll } from './catalogue.js'
import { count, duration, fail, idOf, int64, integer, newId, quote, seconds } from './codec/basics.js'
import {
  manifest,
  observationFromProto,
  pointFromProto,
  pointToProto,
  queryToProto,
  trialToProto,
} from './codec/query.js'
import { eventToProto, patchFromProto, sessionToProto, specFromProto, states } from './codec/session.js'
import { sessionPath } from './codec/space.js'
import { dtypes } from './codec/tensors.js'
import { draining, relocate } from './errors.js'
import { optimize } from './optimize.js'
import type { Resolver } from './resolver.js'
import type { Telemetry } from './telemetry.js'

type Methods = (typeof Asktell)['method']
type In<M> = M extends { input: infer I extends Parameters<typeof create>[0] } ? MessageShape<I> : never
type Out<M> = M extends { output: infer O extends Parameters<typeof create>[0] } ? MessageShape<O> : never

/** One function per rpc. Streams begin once the promise resolves, so that a call that cannot begin fails as a whole. */
export type Implementation = {
  [K in keyof Methods]: Methods[K]['methodKind'] extends 'unary'
    ? (request: In<Methods[K]>, call: Call) => Promise<Out<Methods[K]>>
    : Methods[K]['methodKind'] extends 'server_streaming'
      ? (request: In<Methods[K]>, call: Call) => Promise<AsyncIterable<Out<Methods[K]>>>
      : Methods[K]['methodKind'] extends 'client_streaming'
        ? (requests: AsyncIterable<In<Methods[K]>>, call: Call) => Promise<Out<Methods[K]>>
        : (requests: AsyncIterable<In<Methods[K]>>, call: Call) => Promise<AsyncIterable<Out<Methods[K]>>>
}

/** Gradients that came ahead of a step, by query id. */
export type Gradients = ReadonlyMap<string, readonly Tensors[]>

/** What the stream needs of the service. */
export type Stepper = {
  manifest(id: string): Promise<readonly TensorSpec[]>
  step(request: StepRequest, path: string, call: Call, gradients?: Gradients): Promise<StepResponse>
}

const MAX_COUNT = 10_000
const CHUNK_BYTES = 1 << 20
const MAX_MANIFESTS = 10_000

const mutation = (request: { requestId: string; expectedRevision?: bigint }): Mutation => ({
  requestId: request.requestId || undefined,
  expectedRevision: request.expectedRevision ? count(request.expectedRevision, 'expected_revision') : undefined,
})

const milliseconds = (wait: Duration | undefined, path: string) => wait && seconds(wait, path) * 1000

export function createService(
  sessions: Sessions,
  telemetry: Telemetry,
  resolver: Pick<Resolver, 'check' | 'attach'>,
  limits: { maxGradientBytes: number },
): Implementation {
  /** Made when it is first asked for: equations and schemas of all methods take longer than all else that a start does. */
  let described: Map<string, Method> | undefined
  const catalogue = () => (described ??= describeAll())
  /** Manifests by session: a space never changes, and `get` may be dear. */
  const manifests = new Map<string, Promise<readonly TensorSpec[]>>()

  const specsOf = (id: string): Promise<readonly TensorSpec[]> => {
    let specs = manifests.get(id)
    if (!specs) {
      specs = sessions.get(id, { stateHash: false }).then((info) => manifest(info.problem))
      specs.catch(() => manifests.delete(id))
      if (manifests.size >= MAX_MANIFESTS) manifests.delete(manifests.keys().next().value as string)
      manifests.set(id, specs)
    }
    return specs
  }

  const session = (info: SessionInfo): Session => create(SessionSchema, sessionToProto(info))

  /** A session that has just come to be. */
  const begun = (info: SessionInfo): Session => {
    resolver.attach(info)
    return session(info)
  }

  /** Resolves views one at a time: the arrays are the session's own, and are copied before the next await. */
  async function pointsToProto(
    id: string,
    points: readonly Point[],
    omitTensors: boolean,
    encoding: Dtype | undefined,
  ) {
    const out: MessageInitShape<typeof PointSchema>[] = []
    for (const point of points) {
      const tensorial = point.kind === 'view' || point.kind === 'tensors'
      const specs = tensorial ? await specsOf(id) : []
      const tensors =
        !tensorial || omitTensors
          ? undefined
          : point.kind === 'view'
            ? await sessions.view(id, point.name)
            : point.tensors
      out.push(pointToProto(point, specs, encoding, tensors))
    }
    return out
  }

  async function run(
    id: string,
    input: StepInput,
    answer: { omitTensors: boolean; encoding: ProtoDtype; path: string },
    call: Call,
  ): Promise<StepResponse> {
    const encoding = dtypes.read(answer.encoding, `${answer.path}encoding`)
    const { signal, release } = linked(call.signal, ...(input.wait ? [call.draining] : []))
    const span = telemetry.tracer.startSpan(
      'session.step',
      { attributes: { 'asktell.count': input.count } },
      call.trace,
    )
    try {
      const result = await sessions.step(id, { ...input, signal })
      if (!result.repeated) {
        telemetry.asked(result.queries.length)
        for (const { status } of input.observations ?? []) telemetry.told(status)
      }
      const queries = []
      for (const query of result.queries)
        queries.push(queryToProto(query, await pointsToProto(id, query.points, answer.omitTensors, encoding)))
      return create(StepResponseSchema, {
        revision: int64(result.revision),
        queries,
        short: result.short && {
          reason: result.short.reason,
          retryAfter: result.short.retryAfter === undefined ? undefined : duration(result.short.retryAfter),
        },
        state: states.write(result.state),
        statusMessage: result.statusMessage,
        repeatedRequest: result.repeated,
        durableStep: result.durableStep === undefined ? undefined : int64(result.durableStep),
        requestId: input.requestId,
        metrics: { ...result.metrics },
      })
    } catch (error) {
      span.recordException(error as Error)
      throw error
    } finally {
      release()
      span.end()
    }
  }

  const observed = (
    list: StepRequest['observations'],
    specs: readonly TensorSpec[],
    path: string,
    gradients?: Gradients,
  ) => list.map((o, i) => observationFromProto(o, specs, `${path}observations[${i}]`, gradients?.get(o.queryId)))

  const hasTensors = (list: StepRequest['observations']) =>
    list.some((o) => o.gradients.length > 0 || o.point?.kind.case === 'tensors')

  const wanted = (asked: number, path: string) =>
    asked > MAX_COUNT ? fail(path, `expected at most ${MAX_COUNT}, got ${asked}`) : asked

  async function step(request: StepRequest, path: string, call: Call, gradients?: Gradients): Promise<StepResponse> {
    const id = idOf('sessions', request.name, `${path}name`)
    const specs = hasTensors(request.observations) ? await specsOf(id) : []
    return run(
      id,
      {
        ...mutation(request),
        observations: observed(request.observations, specs, path, gradients),
        count: request.count < 0 ? 0 : wanted(request.count || 1, `${path}count`),
        wait: milliseconds(request.wait, `${path}wait`),
        worker: workerName(request.worker, `${path}worker`),
      },
      { omitTensors: request.omitTensors, encoding: request.encoding, path },
      call,
    )
  }

  return {
    async createSession(request) {
      const spec = specFromProto(request.session)
      const id = newId(request.sessionId, 'session_id')
      return located(spec.problem.space, async () => {
        resolver.check(spec)
        return begun(await sessions.create(spec, { id, ...mutation(request) }))
      })
    },

    async getSession({ name }) {
      return session(await sessions.get(idOf('sessions', name)))
    },

    async listSessions({ pageSize, pageToken, filter }) {
      const page = await sessions.list({ pageSize: pageLength(pageSize, 100, 1000), pageToken, filter })
      return create(ListSessionsResponseSchema, {
        sessions: page.items.map(session),
        nextPageToken: page.nextPageToken,
      })
    },

    async updateSession(request) {
      const proto = request.session ?? fail('session', 'is missing')
      const id = idOf('sessions', proto.name, 'session.name')
      const patch = patchFromProto(proto, request.updateMask)
      return session(await located(undefined, () => sessions.update(id, patch, mutation(request))))
    },

    async deleteSession(request) {
      const id = idOf('sessions', request.name)
      await sessions.delete(id, mutation(request))
      manifests.delete(id)
      return create(EmptySchema)
    },

    async ask(request, call) {
      const id = idOf('sessions', request.name)
      if (request.count < 0) fail('count', `expected a number >= 0, got ${request.count}`)
      const specs = request.enqueue.some((point) => point.kind.case === 'tensors') ? await specsOf(id) : []
      return run(
        id,
        {
          ...mutation(request),
          count: wanted(request.count || 1, 'count'),
          wait: milliseconds(request.wait, 'wait'),
          enqueue: request.enqueue.map((point, i) => pointFromProto(point, specs, `enqueue[${i}]`)),
          worker: workerName(request.worker, 'worker'),
        },
        { omitTensors: request.omitTensors, encoding: request.encoding, path: '' },
        call,
      )
    },

    async tell(request, call) {
      const id = idOf('sessions', request.name)
      if (request.observations.length === 0) fail('observations', 'expected at least one')
      const specs = hasTensors(request.observations) ? await specsOf(id) : []
      return run(
        id,
        { ...mutation(request), observations: observed(request.observations, specs, ''), count: 0 },
        { omitTensors: true, encoding: 0, path: '' },
        call,
      )
    },

    step: (request, call) => step(request, '', call),

    async optimize(requests, call) {
      return optimize(requests, call, { manifest: specsOf, step }, limits.maxGradientBytes)
    },

    async report(request) {
      const id = idOf('sessions', request.name)
      const { prune, reason, revision } = await sessions.report(id, {
        ...mutation(request),
        queryId: request.queryId || fail('query_id', 'is missing'),
        step: integer(request.step, 'step'),
        value: request.value,
      })
      return create(ReportResponseSchema, { shouldPrune: prune, reason, revision: int64(revision) })
    },

    async getEstimate(request) {
      const id = idOf('sessions', request.name)
      const encoding = dtypes.read(request.encoding, 'encoding')
      const estimate = await sessions.estimate(id)
      const points = await pointsToProto(
        id,
        estimate.points.map(({ point }) => point),
        false,
        encoding,
      )
      return create(EstimateSchema, {
        kind: estimate.kind,
        points: estimate.points.map(({ values, trial }, i) => ({
          point: points[i],
          values: [...(values ?? [])],
          trial: trial === undefined ? undefined : int64(trial),
        })),
        step: int64(estimate.step),
        metrics: { ...estimate.metrics },
        revision: int64(estimate.revision),
      })
    },

    async listTrials({ parent, pageSize, pageToken, filter }) {
      const id = idOf('sessions', parent, 'parent')
      const page = await sessions.trials(id, { pageSize: pageLength(pageSize, 1000, 10_000), pageToken, filter })
      return create(ListTrialsResponseSchema, {
        trials: page.items.map(trialToProto),
        nextPageToken: page.nextPageToken,
      })
    },

    async watch(request, call) {
      const id = idOf('sessions', request.name)
      const { revision } = await sessions.get(id, { stateHash: false })
      const after = integer(request.afterRevision, 'after_revision')
      if (after < -1) fail('after_revision', `expected -1 or a revision, got ${after}`)
      return events(sessions, id, after === -1 ? revision : after, call)
    },

    async forkSession(request) {
      const id = idOf('sessions', request.name)
      return begun(
        await sessions.fork(id, {
          ...mutation(request),
          revision: request.revision ? count(request.revision, 'revision') : undefined,
          id: newId(request.sessionId, 'session_id'),
          config: request.config,
        }),
      )
    },

    async exportSession({ name }) {
      const id = idOf('sessions', name)
      await sessions.get(id, { stateHash: false })
      return fileChunks(sessions.export(id))
    },

    async importSession(requests) {
      const iterator = requests[Symbol.asyncIterator]()
      const first = await iterator.next()
      if (first.done) return fail('data', 'expected at least one chunk')
      const { sessionId, requestId } = first.value
      const id = newId(sessionId, 'session_id')
      return begun(await sessions.import(fileBytes(first.value, iterator), { id, requestId: requestId || undefined }))
    },

    async listMethods({ pageSize, pageToken, filter }) {
      const matches = parseFilter<Method>(filter, (method, field) => method[field as 'id'], ['id', 'kind', 'family'])
      const after = readPageToken(pageToken)
      const all = [...catalogue().values()].filter((method) => method.id > after && matches(method))
      const page = all.slice(0, pageLength(pageSize, 1000, 1000))
      return create(ListMethodsResponseSchema, {
        methods: page,
        nextPageToken: page.length < all.length ? nextPage(page[page.length - 1].id) : '',
      })
    },

    async getMethod({ name }) {
      const id = idOf('methods', name)
      const method = catalogue().get(id)
      if (!method) throw new AsktellError('METHOD_NOT_FOUND', `there is no method ${quote(id)}`)
      return method
    },
  }
}

function pageLength(size: number, byDefault: number, most: number): number {
  if (size < 0) fail('page_size', `expected a number >= 0, got ${size}`)
  return Math.min(size || byDefault, most)
}

/** The server's own resolver asks under a name that nobody else may use. */
function workerName(worker: string, path: string): string | undefined {
  if (worker === RESOLVER) fail(path, `${quote(worker)} is reserved`)
  return worker || undefined
}

/** Runs a call whose refusals are about a session resource, and moves their paths to where the caller wrote it. */
async function located<T>(space: Space | undefined, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw relocate(error, (path) => sessionPath(path, space))
  }
}

async function* events(sessions: Sessions, id: string, after: number, call: Call) {
  const { signal, release } = linked(call.signal, call.draining)
  try {
    for await (const event of until(sessions.watch(id, after, signal), call.draining, draining))
      yield create(WatchEventSchema, eventToProto(event))
    if (call.draining.aborted) throw draining()
  } finally {
    release()
  }
}

async function* fileChunks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<FileChunk> {
  for await (const part of bytes)
    for (let at = 0; at < part.length; at += CHUNK_BYTES)
      yield create(FileChunkSchema, { data: part.subarray(at, at + CHUNK_BYTES) })
}

async function* fileBytes(first: ImportSessionRequest, rest: AsyncIterator<ImportSessionRequest>) {
  yield first.data
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value.data
}
