/** Sessions played against their oracles through the TypeScript client, with everything they answered written down. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { CreateSessionRequestSchema } from '../../clients/typescript/src/gen/asktell/v1/service_pb.js'
import type { Query, StepResult, Observation as Told } from '../../clients/typescript/src/query.js'
import { SeededIterate } from '../../clients/typescript/src/seeded.js'
import { Session } from '../../clients/typescript/src/session.js'
import type { Transport } from '../../clients/typescript/src/transport.js'
import { methods as blackbox } from '../../src/blackbox/catalogue.gen.js'
import { SpaceSchema } from '../../src/core/gen/asktell/v1/space_pb.js'
import { TensorsSchema } from '../../src/core/gen/asktell/v1/tensor_pb.js'
import type { AnyMethod } from '../../src/core/method.js'
import type { Point as DomainPoint, Query as DomainQuery, Want as DomainWant } from '../../src/core/query.js'
import { methods as optimizers } from '../../src/optimizers/catalogue.gen.js'
import { flatOfSpace } from '../../src/optimizers/flat.js'
import { spaceToProto } from '../../src/server/codec/space.js'
import { tensorsToProto } from '../../src/server/codec/tensors.js'
import { problem, problemNames, type TestProblem } from '../problems/index.js'

/** A kind of session that is played with one seed after the other. */
export type Plan = {
  name: string
  method: AnyMethod
  pruner?: string
  /** Observations after which a session is at its end. */
  tells: number
}

export const allMethods: readonly AnyMethod[] = [...optimizers, ...blackbox]

const recipesOf = ({ recipes }: AnyMethod) => recipes.filter((recipe) => problemNames.includes(recipe.problem))

/** Every method of the catalogue, and both pruners on trials that report. */
export const plans: readonly Plan[] = [
  ...allMethods
    .filter((method) => recipesOf(method).length > 0)
    .map((method) => ({ name: method.id, method, tells: method.facts.heavy ? 10 : 14 })),
  ...['median', 'asha'].map((pruner) => ({
    name: `random-${pruner}`,
    method: allMethods.find(({ id }) => id === 'random')!,
    pruner,
    tells: 30,
  })),
]

type CreateRequest = MessageInitShape<typeof CreateSessionRequestSchema>

function createRequest({ method, pruner }: Plan, world: TestProblem, config: unknown, id: string, seed: number) {
  const { space, objectives, constraints = [], task } = world.problem
  const message = create(SpaceSchema, spaceToProto(space))
  if (space.kind === 'tensors' && space.initial && message.kind.case === 'tensors')
    message.kind.value.initial = create(TensorsSchema, tensorsToProto(space.initial, space.tensors, undefined))
  return {
    sessionId: id,
    requestId: `${id}-create`,
    session: {
      method: method.id,
      config,
      space: message,
      objectives: objectives.map(({ name, direction }) => ({ name, direction: direction === 'minimize' ? 1 : 2 })),
      constraints: [...constraints],
      task: task && {
        description: task.description,
        examples: (task.examples ?? []).map((example) => ({ ...example })),
      },
      pruner: pruner && { method: pruner },
      offers: [...world.offers],
      seed: BigInt(seed),
      // A worker that kills keep from the server for long still has its query to itself.
      lease: { seconds: 86_400n },
    },
  } as CreateRequest
}

/** A query of the client, as the oracles read it. Points that are seeds are made of the iterate that the client keeps. */
function toDomain({ id, points, wants, trial }: Query, iterate?: SeededIterate): DomainQuery {
  return {
    id,
    trial,
    points: points.map((point): DomainPoint => {
      const { params, tensors, text, item, seeded } = point
      if (seeded) return { kind: 'tensors', tensors: iterate!.at(point) }
      if (params) return { kind: 'params', params }
      if (tensors) return { kind: 'tensors', tensors }
      return text ? { kind: 'text', text } : { kind: 'item', item: item! }
    }),
    wants: wants.map((want) =>
      want.kind === 'score' && want.examples.length === 0 ? { kind: 'score' } : (want as DomainWant),
    ),
  }
}

/** Every bit of a number, also of -0 and NaN; and of an array. */
const bits = (array: ArrayBufferView) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64')
const exact = (_: string, value: unknown): unknown => {
  if (typeof value === 'number' && !Number.isInteger(value)) return `f64:${bits(Float64Array.of(value))}`
  if (typeof value === 'bigint') return String(value)
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}:${bits(value)}`
  return value
}
/** All of a query but the time of its lease. */
const record = ({ leaseUntil: _, ...query }: Query) => query
/** An answer as it must be in every run with the same seed: without times. */
export const written = ({ repeated: _, retryAfter: __, queries, ...rest }: StepResult): string =>
  JSON.stringify({ ...rest, queries: queries.map(record) }, exact)

/** Sends a request until it is answered. */
export type Send = <T>(call: (transport: Transport) => Promise<T>) => Promise<T>

/** A request that was answered, so that it can be sent again. */
export type Answered = { again(transport: Transport): Promise<StepResult>; answer: StepResult }

export class Player {
  readonly id: string
  /** Every answer, in order. */
  readonly trace: string[] = []
  readonly answered: Answered[] = []
  /** Observations that were acknowledged, and that were sent. */
  told = 0
  sent = 0
  revision = 0
  /** Kills of the server in the middle of it. */
  kills = 0
  done = false
  private readonly world: TestProblem
  private readonly request: CreateRequest
  private created = false
  private round = 0
  private hand: Query[] = []
  private iterate: SeededIterate | undefined

  constructor(
    readonly plan: Plan,
    readonly seed: number,
  ) {
    const recipes = recipesOf(plan.method)
    const recipe = recipes[seed % recipes.length]
    this.id = `${plan.name}-${seed}`
    this.world = problem(recipe.problem)
    this.request = createRequest(plan, this.world, recipe.config, this.id, seed)
  }

  /** One round of a worker: what it found about one query in hand is told, and more is asked for. */
  async play(send: Send): Promise<void> {
    if (!this.created) {
      const { revision } = await send((transport) => transport.unary(transport.methods.createSession, this.request))
      this.created = true
      this.revision = Number(revision)
      return
    }
    const round = this.round++
    const count = this.plan.method.facts.parallel ? 3 - Math.max(0, this.hand.length - 1) : 1
    if (this.hand.length === 0) return this.take(await this.step(send, 'ask', [], count), count)
    const query = round % 2 === 0 ? this.hand.shift()! : this.hand.pop()!
    const observation = await this.observe(query, round, send)
    if (round % 3 === 2) {
      await this.step(send, 'tell', [observation], 0)
      if (!this.done && this.hand.length === 0) this.take(await this.step(send, 'ask', [], count), count)
    } else this.take(await this.step(send, 'step', [observation], count), count)
    if (this.told >= this.plan.tells) this.done = true
  }

  private take({ queries, short }: StepResult, count: number) {
    this.hand.push(...queries)
    for (const query of queries) if (query.iterate) this.follow(query)
    if (this.hand.length === 0 && !this.done) throw new Error(`${this.id}: asked for ${count}, got none: ${short}`)
  }

  private follow(query: Query) {
    const { space } = this.world.problem
    if (space.kind !== 'tensors') throw new Error('only tensors are made of seeds')
    this.iterate ??= new SeededIterate(flatOfSpace(space).tensors(flatOfSpace(space).start()))
    this.iterate.follow(query)
  }

  private async observe(query: Query, round: number, send: Send): Promise<Told> {
    if (this.plan.pruner)
      for (const step of [1, 2, 3]) {
        const [value] = this.world.answer(toDomain(query), noView).values![0]
        const decision = await send((transport) => this.session(transport).report(query, step, value + 1 / step))
        this.trace.push(JSON.stringify([query.id, step, decision], exact))
        if (decision.shouldPrune) return { queryId: query.id, status: 'pruned' }
      }
    if (round % 11 === 10) return { queryId: query.id, status: 'failed', message: 'the worker broke' }
    return this.world.answer(toDomain(query, this.iterate), noView) as Told
  }

  private async step(send: Send, kind: 'ask' | 'tell' | 'step', observations: Told[], count: number) {
    const requestId = `${this.id}-${this.trace.length}`
    const call = (transport: Transport) => {
      const session = this.session(transport)
      if (kind === 'ask') return session.ask(count, { requestId })
      if (kind === 'tell') return session.tell(observations, { requestId })
      return session.step({ observations, count, requestId })
    }
    this.sent += observations.length
    const answer = await send(call)
    this.told += observations.length
    this.revision = answer.revision
    this.trace.push(written(answer))
    this.answered.push({ again: call, answer })
    if (answer.state === 'done') this.done = true
    return answer
  }

  session(transport: Transport): Session {
    return new Session(transport, `sessions/${this.id}`)
  }
}

const noView = (name: string): never => {
  throw new Error(`the view ${name} was not resolved by the server`)
}
