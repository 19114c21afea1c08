import type { JsonObject } from '@bufbuild/protobuf'
import { durationFromMs } from '@bufbuild/protobuf/wkt'
import type { Lossy } from './encodings/index.js'
import { AsktellError, toError } from './errors.js'
import type { Method } from './gen/asktell/v1/method_pb.js'
import { Direction, Durability, type Session as SessionMessage } from './gen/asktell/v1/session_pb.js'
import type { Space } from './gen/asktell/v1/space_pb.js'
import { dtypeOf } from './lossy.js'
import { type Budget, budgetMessage, fileChunks, Session } from './session.js'
import { type SearchSpace, search } from './space.js'
import { Transport, type TransportOptions } from './transport.js'

export type CreateOptions = {
  method: string
  /** A space made by tensors(), search(), text() or items(), or the parameters of a search space. */
  space: Space | SearchSpace
  config?: JsonObject
  /** For one objective. */
  direction?: 'minimize' | 'maximize'
  /** For several, by name. */
  objectives?: { readonly [name: string]: 'minimize' | 'maximize' }
  constraints?: readonly string[]
  task?: { description: string; examples?: readonly { input: string; expected: string }[] }
  pruner?: { method: string; config?: JsonObject }
  budget?: Budget
  durability?: 'journal' | 'snapshot'
  resolver?: { endpoint: string; model?: string }
  seed?: number
  /** Seconds that a worker may keep a query. */
  lease?: number
  labels?: Record<string, string>
  /** What this client can answer: the session is refused at once when its method needs more. */
  offers?: readonly string[]
  /** Lossy encodings of gradients that the session takes, and of parameters that it gives as deltas. */
  encodings?: { gradients?: readonly Lossy[]; parameters?: readonly Lossy[]; density?: number }
  /** Suggestions made ahead, while workers evaluate, so that an ask finds them ready. Each was made without what was told since. */
  prefetch?: number
  /** Earlier sessions of similar tasks, or their names or ids: the method begins from their completed trials. */
  warmStartFrom?: readonly (Session | string)[]
  displayName?: string
  /** Id of the session; the server picks one when absent. */
  id?: string
}

const DIRECTIONS = { minimize: Direction.MINIMIZE, maximize: Direction.MAXIMIZE }
const isMessage = (space: Space | SearchSpace): space is Space => '$typeName' in space

/** The resource name of a session that is given by name or id. */
const nameOf = (name: string): string => (name.startsWith('sessions/') ? name : `sessions/${name}`)

/** A connection to an asktell server. One serves any number of sessions. */
export class Client {
  private readonly transport: Transport

  constructor(target = process.env.ASKTELL_TARGET ?? '127.0.0.1:7337', options: TransportOptions = {}) {
    this.transport = new Transport(target, { apiKey: process.env.ASKTELL_API_KEY, ...options })
  }

  async createSession(options: CreateOptions): Promise<Session> {
    const { space, objectives, direction, id } = options
    const named = objectives ?? (direction && { objective: direction })
    const info = await this.transport.unary(this.transport.methods.createSession, {
      sessionId: id,
      session: {
        method: options.method,
        displayName: options.displayName,
        space: isMessage(space) ? space : search(space),
        config: options.config,
        objectives: Object.entries(named ?? {}).map(([name, d]) => ({ name, direction: DIRECTIONS[d] })),
        constraints: [...(options.constraints ?? [])],
        task: options.task && { description: options.task.description, examples: [...(options.task.examples ?? [])] },
        pruner: options.pruner,
        budget: options.budget && budgetMessage(options.budget),
        durability: options.durability === 'snapshot' ? Durability.SNAPSHOT : Durability.JOURNAL,
        resolver: options.resolver,
        seed: options.seed === undefined ? undefined : BigInt(options.seed),
        lease: options.lease === undefined ? undefined : durationFromMs(1000 * options.lease),
        labels: options.labels,
        offers: [...(options.offers ?? [])],
        encodings: options.encodings && {
          gradients: options.encodings.gradients?.map(dtypeOf),
          parameters: options.encodings.parameters?.map(dtypeOf),
          density: options.encodings.density,
        },
        prefetch: options.prefetch,
        warmStartFrom: options.warmStartFrom?.map((of) => nameOf(typeof of === 'string' ? of : of.name)),
      },
    })
    return new Session(this.transport, info.name, info)
  }

  /** A handle of an existing session, by name or id. Not checked before the first call. */
  session(name: string): Session {
    return new Session(this.transport, nameOf(name))
  }

  /** All sessions, page by page. `filter` such as 'method = "tpe" AND state = RUNNING'. */
  async *listSessions(filter = ''): AsyncGenerator<SessionMessage> {
    let pageToken = ''
    do {
      const page = await this.transport.unary(this.transport.methods.listSessions, { pageToken, filter })
      yield* page.sessions
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  async *methods(filter = ''): AsyncGenerator<Method> {
    let pageToken = ''
    do {
      const page = await this.transport.unary(this.transport.methods.listMethods, { pageToken, filter })
      yield* page.methods
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  /** A method with its JSON Schema, equations, citation and facts. */
  describe(id: string): Promise<Method> {
    return this.transport.unary(this.transport.methods.getMethod, { name: `methods/${id}` })
  }

  /** Creates a session from a file that Session.export wrote. */
  async importSession(path: string, id?: string): Promise<Session> {
    const { importSession } = this.transport.methods
    const info = await new Promise<SessionMessage>((resolve, reject) => {
      const call = this.transport.clientStream(importSession, (error, reply) => {
        if (error) reject(toError(error))
        else if (reply) resolve(reply)
        else reject(new AsktellError('INTERNAL', 'the server sent no reply', 13))
      })
      const send = async () => {
        let request = this.transport.prepare(importSession, { sessionId: id })
        for await (const data of fileChunks(path)) {
          request.data = data
          if (!call.write(request)) await new Promise((drained) => call.once('drain', drained))
          request = { ...request, sessionId: '' }
        }
        call.end()
      }
      send().catch(reject)
    })
    return new Session(this.transport, info.name, info)
  }

  close(): void {
    this.transport.close()
  }
}
