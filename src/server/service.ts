/** asktell.v1.Asktell once, as plain functions of messages. Both transports run these. */
import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import { AsktellError } from '../core/errors.js'
import { AnalysisSchema } from '../core/gen/asktell/v1/analysis_pb.js'
import type { Method } from '../core/gen/asktell/v1/method_pb.js'
import { TrialSchema } from '../core/gen/asktell/v1/query_pb.js'
import {
  type Asktell,
  type FileChunk,
  FileChunkSchema,
  type ImportSessionRequest,
  ListAuditEntriesResponseSchema,
  ListMethodsResponseSchema,
  ListSessionsResponseSchema,
  ListTrialsResponseSchema,
  ReportResponseSchema,
} from '../core/gen/asktell/v1/service_pb.js'
import { EstimateSchema, type Session, SessionSchema, WatchEventSchema } from '../core/gen/asktell/v1/session_pb.js'
import type { SessionInfo, Sessions } from '../sessions/api.js'
import { pageToken as nextPage, parseFilter, readPageToken } from '../sessions/filter.js'
import type { Call } from './call.js'
import { linked, until } from './call.js'
import { Catalogue } from './catalogue.js'
import { analysisRequestFromProto, analysisToProto } from './codec/analysis.js'
import { count, fail, idOf, int64, integer, newId, params, quote } from './codec/basics.js'
import { observationFromProto, trialToProto } from './codec/query.js'
import { auditToProto, eventToProto, patchFromProto, sessionToProto, specFromProto } from './codec/session.js'
import { searchPath, sessionPath, spaceFromProto } from './codec/space.js'
import { dtypes } from './codec/tensors.js'
import { draining, relocate } from './errors.js'
import { optimize } from './optimize.js'
import type { Resolver } from './resolver.js'
import { SharedMemories } from './shared-memory.js'
import { mutation, Steps } from './steps.js'
import type { Telemetry } from './telemetry.js'

type Methods = (typeof Asktell)['method']
type In<M> = M extends { input: infer I extends Parameters<typeof create>[0] } ? MessageShape<I> : never
type Out<M> = M extends { output: infer O extends Parameters<typeof create>[0] } ? MessageInitShape<O> : never

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

const CHUNK_BYTES = 1 << 20

export function createService(
  sessions: Sessions,
  telemetry: Telemetry,
  resolver: Pick<Resolver, 'check' | 'attach'>,
  limits: { maxGradientBytes: number },
  memories: SharedMemories = new SharedMemories(undefined, 0, 0),
): Implementation {
  const catalogue = new Catalogue()
  const steps = new Steps(sessions, telemetry, limits.maxGradientBytes, memories)

  const inSpan = <T>(name: string, call: Call, work: () => Promise<T>) =>
    telemetry.span(`session.${name}`, {}, call, work)

  const session = (info: SessionInfo): Session => create(SessionSchema, sessionToProto(info))

  /** A session that has just come to be. */
  const begun = (info: SessionInfo): Session => {
    resolver.attach(info)
    return session(info)
  }

  return {
    async createSession(request, call) {
      const spec = specFromProto(request.session)
      const id = newId(request.sessionId, 'session_id')
      return located(
        (path) => sessionPath(path, spec.problem.space),
        async () => {
          resolver.check(spec)
          return begun(await inSpan('create', call, () => sessions.create(spec, { id, ...mutation(request) })))
        },
      )
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

    async updateSession(request, call) {
      const proto = request.session ?? fail('session', 'is missing')
      const id = idOf('sessions', proto.name, 'session.name')
      const patch = patchFromProto(proto, request.updateMask)
      return session(
        await located(
          (path) => sessionPath(path, undefined),
          () => inSpan('update', call, () => sessions.update(id, patch, { ...mutation(request), by: call.principal })),
        ),
      )
    },

    async deleteSession(request, call) {
      const id = idOf('sessions', request.name)
      await inSpan('delete', call, () => sessions.delete(id, mutation(request)))
      steps.forget(id)
      return create(EmptySchema)
    },

    ask: (request, call) => steps.ask(request, call),
    tell: (request, call) => steps.tell(request, call),
    step: (request, call) => steps.step(request, '', call),

    async optimize(requests, call) {
      return optimize(requests, call, steps, limits.maxGradientBytes)
    },

    shareMemory: (request, call) => memories.share(request, call),

    async report(request, call) {
      const id = idOf('sessions', request.name)
      const input = {
        ...mutation(request),
        queryId: request.queryId || fail('query_id', 'is missing'),
        step: integer(request.step, 'step'),
        value: request.value,
      }
      const { prune, reason, revision } = await inSpan('report', call, () => sessions.report(id, input))
      return create(ReportResponseSchema, { shouldPrune: prune, reason, revision: int64(revision) })
    },

    async getEstimate(request) {
      const id = idOf('sessions', request.name)
      const encoding = dtypes.read(request.encoding, 'encoding')
      const estimate = await sessions.estimate(id)
      const points = await steps.points(
        id,
        estimate.points.map(({ point }) => point),
        { encoding },
      )
      return create(EstimateSchema, {
        kind: estimate.kind,
        points: estimate.points.map(({ values, trial }, i) => ({
          point: points?.[i],
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

    async analyzeSession(request, call) {
      const id = idOf('sessions', request.name)
      const asked = analysisRequestFromProto(request)
      const analysis = await inSpan('analyze', call, () => sessions.analyze(id, asked))
      return create(AnalysisSchema, analysisToProto(analysis, asked.points))
    },

    async editSpace(request, call) {
      const id = idOf('sessions', request.name)
      const space = spaceFromProto(request.space, 'space')
      if (space.kind !== 'search') return fail('space', `expected a search space, got ${space.kind}`, 'SPACE_INVALID')
      const edit = {
        space,
        defaults: request.defaults && params(request.defaults, 'defaults'),
        dropInvalid: request.dropInvalid,
        reason: request.reason,
      }
      const options = { ...mutation(request), by: call.principal }
      const change = () => inSpan('editSpace', call, () => sessions.editSpace(id, edit, options))
      return session(await located((path) => searchPath(path, space), change))
    },

    async correctTrial(request, call) {
      const id = idOf('sessions', request.name)
      const told = request.observation ?? fail('observation', 'is missing')
      const { queryId, point } = told
      if (point) fail('observation.point', 'a correction is of a trial: it takes no point')
      const named = { ...told, queryId: queryId || 'trial' }
      const trial = count(request.trial, 'trial')
      const observation = observationFromProto(named, { specs: [], encodings: {} }, 'observation')
      const options = { ...mutation(request), by: call.principal }
      const correction = { trial, observation, reason: request.reason }
      const corrected = await inSpan('correctTrial', call, () => sessions.correctTrial(id, correction, options))
      return create(TrialSchema, trialToProto(corrected))
    },

    async deleteTrial(request, call) {
      const id = idOf('sessions', request.name)
      const deletion = { trial: count(request.trial, 'trial'), reason: request.reason }
      const options = { ...mutation(request), by: call.principal }
      const deleted = await inSpan('deleteTrial', call, () => sessions.deleteTrial(id, deletion, options))
      return create(TrialSchema, trialToProto(deleted))
    },

    async listAuditEntries({ parent, pageSize, pageToken }) {
      const id = idOf('sessions', parent, 'parent')
      const page = await sessions.audit(id, { pageSize: pageLength(pageSize, 1000, 10_000), pageToken })
      return create(ListAuditEntriesResponseSchema, {
        auditEntries: page.items.map(auditToProto),
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

    async forkSession(request, call) {
      const id = idOf('sessions', request.name)
      const options = {
        ...mutation(request),
        revision: request.revision ? count(request.revision, 'revision') : undefined,
        id: newId(request.sessionId, 'session_id'),
        config: request.config,
      }
      return begun(await inSpan('fork', call, () => sessions.fork(id, options)))
    },

    async exportSession({ name }) {
      const id = idOf('sessions', name)
      await sessions.get(id, { stateHash: false })
      return fileChunks(sessions.export(id))
    },

    async importSession(requests, call) {
      const iterator = requests[Symbol.asyncIterator]()
      const first = await iterator.next()
      if (first.done) return fail('data', 'expected at least one chunk')
      const { sessionId, requestId } = first.value
      const id = newId(sessionId, 'session_id')
      const options = { id, requestId: requestId || undefined }
      return begun(await inSpan('import', call, () => sessions.import(fileBytes(first.value, iterator), options)))
    },

    async listMethods({ pageSize, pageToken, filter }) {
      const matches = parseFilter<Method>(filter, (method, field) => method[field as 'id'], ['id', 'kind', 'family'])
      const after = readPageToken(pageToken)
      const all = catalogue.list().filter((method) => method.id > after && matches(method))
      const page = all.slice(0, pageLength(pageSize, 1000, 1000))
      return create(ListMethodsResponseSchema, {
        methods: page,
        nextPageToken: page.length < all.length ? nextPage(page[page.length - 1].id) : '',
      })
    },

    async getMethod({ name }) {
      const id = idOf('methods', name)
      const method = catalogue.describe(id)
      if (!method) throw new AsktellError('METHOD_NOT_FOUND', `there is no method ${quote(id)}`)
      return method
    },
  }
}

function pageLength(size: number, byDefault: number, most: number): number {
  if (size < 0) fail('page_size', `expected a number >= 0, got ${size}`)
  return Math.min(size || byDefault, most)
}

/** Runs a call whose refusals are about a resource, and moves their paths to where the caller wrote it. */
async function located<T>(move: (path: string) => string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw relocate(error, move)
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
