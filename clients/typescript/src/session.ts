import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf'
import { durationFromMs, timestampDate } from '@bufbuild/protobuf/wkt'
import { type Analysis, type AnalyzeOptions, fromAnalyzeOptions, toAnalysis } from './analysis.js'
import { encodedSteps } from './encoded.js'
import type { Lossy } from './encodings/index.js'
import { toError } from './errors.js'
import { ObservationStatus, TrialState } from './gen/asktell/v1/query_pb.js'
import type { StepRequestSchema } from './gen/asktell/v1/service_pb.js'
import type {
  AuditEntry as AuditEntryMessage,
  Session as SessionMessage,
  WatchEvent as WatchEventMessage,
} from './gen/asktell/v1/session_pb.js'
import { SessionState } from './gen/asktell/v1/session_pb.js'
import type { Space as SpaceMessage } from './gen/asktell/v1/space_pb.js'
import { Dtype } from './gen/asktell/v1/tensor_pb.js'
import { dtypeOf, type Encoding, type HeldCopy } from './lossy.js'
import {
  fromObservation,
  fromPoint,
  type Observation,
  type Point,
  type Query,
  STATES,
  type Status,
  type StepResult,
  toPoint,
  toStepResult,
  type Unpack,
} from './query.js'
import { type Params, type SearchSpace, search } from './space.js'
import { OptimizeStream } from './stream.js'
import type { Transport } from './transport.js'

export type Budget = { maxEvaluations?: number; maxCalls?: number; maxTokens?: number; maxMoney?: number }

export type Trial = {
  number: number
  queryId: string
  state: 'waiting' | 'running' | 'completed' | 'failed' | 'infeasible' | 'pruned' | 'cancelled' | 'deleted'
  params: Params
  values: number[]
  intermediates: { step: number; value: number }[]
  constraints: number[]
  createTime?: Date
  endTime?: Date
  message: string
  /** The trial whose checkpoint it went on from. */
  parent?: number
}

export type Estimate = {
  kind: string
  points: { point: Point; values: number[]; trial?: number }[]
  step: number
  metrics: Record<string, number>
  revision: number
}

export type StepOptions = {
  observations?: readonly Observation[]
  /** Queries wanted; 1 when absent, 0 for none. */
  count?: number
  /** Seconds to wait for a query when there is none. */
  wait?: number
  /** Leave tensors out of the queries: the client computes them itself. */
  omitTensors?: boolean
  /** How tensors of the answer travel; a lossy encoding needs `held`. */
  encoding?: Encoding
  /** The copy of the parameters that this client has: the answer holds what it lacks. One call at a time. */
  held?: HeldCopy
  requestId?: string
  expectedRevision?: number
  worker?: string
}

/** How the tensors of a stream travel: gradients with error feedback, parameters as deltas. A name goes for both. */
export type StreamOptions = { encoding?: Lossy | { gradients?: Lossy; parameters?: Encoding } }

export type ChangeOptions = { reason?: string; requestId?: string; expectedRevision?: number }
const changeOf = ({ reason, requestId, expectedRevision = 0 }: ChangeOptions) => ({
  reason,
  requestId,
  expectedRevision: BigInt(expectedRevision),
})

const encodingOf = (name?: Encoding) => (name ? dtypeOf(name) : Dtype.UNSPECIFIED)
const unpackOf = (held?: HeldCopy): Unpack | undefined => held && ((message) => held.unpack(message))
const heldOf = (held?: HeldCopy) => held && { copy: held.name, version: held.version }
const seconds = (s: number) => durationFromMs(1000 * s)

/** Something that happened to the session, in its one order. */
export type WatchEvent = {
  revision: number
  time?: Date
  type: string
  queryId: string
  trial?: number
  status?: Status
  values: number[]
  /** Best value so far, for one objective. */
  best?: number
  metrics: Record<string, number>
  message: string
}

const toWatchEvent = (e: WatchEventMessage): WatchEvent => ({
  revision: Number(e.revision),
  time: e.time && timestampDate(e.time),
  type: e.type,
  queryId: e.queryId,
  trial: e.trial === undefined ? undefined : Number(e.trial),
  status: e.status ? (ObservationStatus[e.status].toLowerCase() as Status) : undefined,
  values: e.values,
  best: e.best,
  metrics: { ...e.metrics },
  message: e.message,
})

const toTrial = (t: import('./gen/asktell/v1/query_pb.js').Trial): Trial => ({
  number: Number(t.number),
  queryId: t.queryId,
  state: TrialState[t.state].toLowerCase() as Trial['state'],
  params: (t.params ?? {}) as Params,
  values: t.values,
  intermediates: t.intermediates.map(({ step, value }) => ({ step: Number(step), value })),
  constraints: t.constraints,
  createTime: t.createTime && timestampDate(t.createTime),
  endTime: t.endTime && timestampDate(t.endTime),
  message: t.message,
  ...(t.parent !== undefined && { parent: Number(t.parent) }),
})

/** A change that somebody made by hand. */
export type AuditEntry = {
  revision: number
  time?: Date
  /** Name of the key that the call came with. */
  principal: string
  action: string
  trial?: number
  reason: string
  before?: JsonObject
  after?: JsonObject
}

const toAuditEntry = (e: AuditEntryMessage): AuditEntry => ({
  revision: Number(e.revision),
  time: e.time && timestampDate(e.time),
  principal: e.principal,
  action: e.action,
  trial: e.trial === undefined ? undefined : Number(e.trial),
  reason: e.reason,
  before: e.before,
  after: e.after,
})

/** A session on the server. All calls reject with AsktellError. */
export class Session {
  constructor(
    private readonly transport: Transport,
    /** "sessions/{id}" */
    readonly name: string,
    /** As of the last get, create or update. */
    public info?: SessionMessage,
  ) {}

  async get(): Promise<SessionMessage> {
    this.info = await this.transport.unary(this.transport.methods.getSession, { name: this.name })
    return this.info
  }

  /** Queries to answer, each under a lease. `enqueue` puts points first; with a count of 0 it does nothing else. */
  async ask(
    count = 1,
    options: Omit<StepOptions, 'count' | 'observations'> & { enqueue?: readonly Point[] } = {},
  ): Promise<StepResult> {
    const { wait = 0, encoding, held, enqueue, requestId, omitTensors, worker } = options
    const request = {
      name: this.name,
      count: count || -1,
      requestId,
      omitTensors,
      worker,
      encoding: encodingOf(encoding),
      held: heldOf(held),
      wait: seconds(wait),
      enqueue: enqueue?.map(fromPoint),
    }
    const answer = await this.transport.exchange(this.transport.methods.ask, request, 60 + wait)
    return toStepResult(answer, unpackOf(held))
  }

  /** Observations: all of them are taken, or none. A query may stand for its id. */
  async tell(
    observations: Observation | readonly Observation[],
    options: { requestId?: string; expectedRevision?: number } = {},
  ): Promise<StepResult> {
    const list = Array.isArray(observations) ? (observations as readonly Observation[]) : [observations as Observation]
    const request = {
      name: this.name,
      observations: list.map(fromObservation),
      requestId: options.requestId,
      expectedRevision: BigInt(options.expectedRevision ?? 0),
    }
    return toStepResult(await this.transport.exchange(this.transport.methods.tell, request))
  }

  /** Tell and ask in one round trip. */
  async step(options: StepOptions = {}): Promise<StepResult> {
    const { held, wait = 0 } = options
    const request = stepRequest(this.name, options)
    const answer = await this.transport.exchange(this.transport.methods.step, request, 60 + wait)
    return toStepResult(answer, unpackOf(held))
  }

  /** Steps over a bidirectional stream, for speed. */
  stream({ encoding }: StreamOptions = {}): { step(options?: StepOptions): Promise<StepResult>; close(): void } {
    const stream = new OptimizeStream(this.transport, this.name)
    const send = (options: StepOptions) => stream.step(stepRequest(this.name, options), unpackOf(options.held))
    const step = encodedSteps(send, encoding, this.info?.encodings?.density)
    return { step: (options = {}) => step(options), close: () => stream.close() }
  }

  /** An intermediate value of a running trial. Stop and tell `pruned` when shouldPrune. */
  async report(query: Query | string, step: number, value: number): Promise<{ shouldPrune: boolean; reason: string }> {
    const queryId = typeof query === 'string' ? query : query.id
    return this.transport.unary(this.transport.methods.report, { name: this.name, queryId, step: BigInt(step), value })
  }

  async estimate(encoding?: Encoding): Promise<Estimate> {
    const e = await this.transport.unary(this.transport.methods.getEstimate, {
      name: this.name,
      encoding: encodingOf(encoding),
    })
    return {
      kind: e.kind,
      points: e.points.map(({ point, values, trial }) => ({
        point: point ? toPoint(point) : {},
        values,
        trial: trial === undefined ? undefined : Number(trial),
      })),
      step: Number(e.step),
      metrics: { ...e.metrics },
      revision: Number(e.revision),
    }
  }

  /** All trials, page by page. `filter` such as 'state = COMPLETED'. */
  async *trials(filter = ''): AsyncGenerator<Trial> {
    let pageToken = ''
    do {
      const page = await this.transport.unary(this.transport.methods.listTrials, {
        parent: this.name,
        pageToken,
        filter,
        pageSize: 1000,
      })
      for (const trial of page.trials) yield toTrial(trial)
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  /** Figures of a session over a search space, computed on the server from its trials. */
  async analyze(options: AnalyzeOptions = {}): Promise<Analysis> {
    const request = fromAnalyzeOptions(this.name, options)
    return toAnalysis(await this.transport.unary(this.transport.methods.analyzeSession, request))
  }

  /** Puts points first in what is asked, each as a trial of its own. */
  async enqueue(...points: readonly Point[]): Promise<StepResult> {
    return this.ask(0, { enqueue: points })
  }

  /**
   * Gives the session another search space. The method starts anew from the trials. `defaults` are what trials so far had of
   * parameters that were not there before. Trials that are no points of the new space are refused, or with `dropInvalid` deleted.
   */
  async editSpace(
    space: SpaceMessage | SearchSpace,
    options: { defaults?: Params; dropInvalid?: boolean } & ChangeOptions = {},
  ): Promise<SessionMessage> {
    const { defaults, dropInvalid, ...change } = options
    this.info = await this.transport.unary(this.transport.methods.editSpace, {
      name: this.name,
      space: '$typeName' in space ? (space as SpaceMessage) : search(space),
      defaults: defaults as JsonObject | undefined,
      dropInvalid,
      ...changeOf(change),
    })
    return this.info
  }

  /** Replaces what was told of a trial. The method starts anew from the trials. */
  async correctTrial(
    trial: number,
    observation: Omit<Observation, 'query' | 'queryId' | 'point'>,
    options: ChangeOptions = {},
  ) {
    const told = { ...fromObservation({ ...observation, queryId: 'trial' }), queryId: '' }
    const request = { name: this.name, trial: BigInt(trial), observation: told, ...changeOf(options) }
    return toTrial(await this.transport.unary(this.transport.methods.correctTrial, request))
  }

  /** Ends a trial that runs; makes the method forget one that was told. It stays in the list, as deleted. */
  async deleteTrial(trial: number, options: ChangeOptions = {}): Promise<Trial> {
    const request = { name: this.name, trial: BigInt(trial), ...changeOf(options) }
    return toTrial(await this.transport.unary(this.transport.methods.deleteTrial, request))
  }

  /** Who changed what by hand, oldest first. */
  async *audit(): AsyncGenerator<AuditEntry> {
    let pageToken = ''
    do {
      const page = await this.transport.unary(this.transport.methods.listAuditEntries, { parent: this.name, pageToken })
      for (const entry of page.auditEntries) yield toAuditEntry(entry)
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  /** Events after a revision, then as they happen, until the loop is left. After -1: only new ones. */
  async *watch(afterRevision = -1): AsyncGenerator<WatchEvent> {
    const call = this.transport.serverStream(this.transport.methods.watch, {
      name: this.name,
      afterRevision: BigInt(afterRevision),
    })
    try {
      for await (const event of call) yield toWatchEvent(event as WatchEventMessage)
    } catch (error) {
      throw toError(error)
    } finally {
      call.cancel()
    }
  }

  async update(patch: {
    displayName?: string
    labels?: Record<string, string>
    budget?: Budget
    state?: 'running' | 'paused' | 'done'
    config?: JsonObject
  }): Promise<SessionMessage> {
    const state = { running: SessionState.RUNNING, paused: SessionState.PAUSED, done: SessionState.DONE }
    const snake = { displayName: 'display_name', labels: 'labels', budget: 'budget', state: 'state', config: 'config' }
    this.info = await this.transport.unary(this.transport.methods.updateSession, {
      session: {
        name: this.name,
        displayName: patch.displayName,
        labels: patch.labels,
        config: patch.config,
        budget: patch.budget && budgetMessage(patch.budget),
        state: patch.state && state[patch.state],
      },
      updateMask: { paths: Object.entries(snake).flatMap(([key, path]) => (key in patch ? [path] : [])) },
    })
    return this.info
  }

  /** A new session that begins as this one was at a revision (now, when absent). */
  async fork(options: { revision?: number; id?: string; config?: JsonObject } = {}): Promise<Session> {
    const info = await this.transport.unary(this.transport.methods.forkSession, {
      name: this.name,
      revision: BigInt(options.revision ?? 0),
      sessionId: options.id,
      config: options.config,
    })
    return new Session(this.transport, info.name, info)
  }

  /** Writes the session to a file that `importSession` reads. */
  async export(path: string): Promise<void> {
    const file = await open(path, 'w')
    try {
      const call = this.transport.serverStream(this.transport.methods.exportSession, { name: this.name })
      for await (const chunk of call) await file.write((chunk as { data: Uint8Array }).data)
    } catch (error) {
      throw toError(error)
    } finally {
      await file.close()
    }
  }

  async delete(): Promise<void> {
    await this.transport.unary(this.transport.methods.deleteSession, { name: this.name })
  }

  get state(): 'running' | 'paused' | 'done' {
    return STATES[this.info?.state ?? SessionState.UNSPECIFIED]
  }
}

function stepRequest(name: string, o: StepOptions): MessageInitShape<typeof StepRequestSchema> {
  return {
    name,
    observations: o.observations?.map(fromObservation),
    count: o.count === 0 ? -1 : (o.count ?? 1),
    requestId: o.requestId,
    wait: o.wait ? seconds(o.wait) : undefined,
    omitTensors: o.omitTensors,
    encoding: encodingOf(o.encoding),
    held: heldOf(o.held),
    expectedRevision: BigInt(o.expectedRevision ?? 0),
    worker: o.worker,
  }
}

export const budgetMessage = (b: Budget) => ({
  maxEvaluations: BigInt(b.maxEvaluations ?? 0),
  maxCalls: BigInt(b.maxCalls ?? 0),
  maxTokens: BigInt(b.maxTokens ?? 0),
  maxMoney: b.maxMoney ?? 0,
})

/** Chunks of a file for an import, small enough for any message limit. */
export const fileChunks = (path: string): AsyncIterable<Buffer> => createReadStream(path, { highWaterMark: 256 * 1024 })
