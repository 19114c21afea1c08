/** What a session asks and what a client tells. Plain data on both sides. */
import type { Move } from './directions.js'
import type { Params } from './space.js'
import type { Tensors } from './tensor.js'

/**
 * Where something is asked.
 * - `view`: tensors that already lie in the method's state, by the name its `view` hook resolves. Costs nothing to store.
 *   They stay as they are while the query is open.
 * - `tensors`: literal tensors. - `params`: a point of a search space. - `text`: components by name; in a space that is not
 *   of text a note to the client, such as seeds, of which nothing is told. - `item`: an id.
 * - `seeded`: the client's own iterate with a move added, or the move alone; made where it is used.
 */
export type Point =
  | { kind: 'view'; name: string }
  | { kind: 'tensors'; tensors: Tensors }
  | { kind: 'params'; params: Params }
  | { kind: 'text'; text: { readonly [component: string]: string } }
  | { kind: 'item'; item: string }
  | { kind: 'seeded'; move: Move; alone?: boolean }

export type Message = { role: 'system' | 'user' | 'assistant'; content: string }

/** What a query wants to know about its points. */
export type Want =
  /** One number per point and objective. */
  | { kind: 'value' }
  /** The gradient of the objective at each point, tensor by tensor. Of players: each tensor from its own player's loss. */
  | { kind: 'gradient' }
  /** The points in order, best first: all of them, or the best `top`; the rest is tied last. */
  | { kind: 'ranking'; top: number }
  /** `count` replies of a language model. `purpose` says what for: propose, critique, edit, paraphrase. */
  | {
      kind: 'completion'
      purpose: string
      messages: readonly Message[]
      count: number
      temperature: number
      maxTokens?: number
    }
  /** How well each text point does on the examples of these indices (all when absent): a mean, and per example. */
  | { kind: 'score'; examples?: readonly number[] }
  /** The derivative of the objective at the first point along each of the other points, which are directions. */
  | { kind: 'directional' }
  /** Of an objective that is a mean of terms: at each point every term, and which parameters it depends on. */
  | { kind: 'terms' }
  /** A curvature matrix at the first point times each of the other points, which are directions. */
  | { kind: 'hvp'; curvature: Curvature }
  /** Named arrays at each point: a Jacobian, a dense Hessian, outputs of a model, gradients of many losses, a context. */
  | { kind: 'quantities'; quantities: readonly Quantity[] }

/** The Hessian of the objective; the Gauss-Newton matrix of its model; the Fisher matrix of the model's distribution. */
export const CURVATURES = ['hessian', 'gauss-newton', 'fisher'] as const
export type Curvature = (typeof CURVATURES)[number]
/**
 * An array that is wanted at a point. `shape` is row-major; at most one length is -1 and left to the client. Parameters
 * are counted through the tensors of the space in their order, each row-major.
 */
export type Quantity = { name: string; shape: readonly number[]; description: string }

export type WantKind = Want['kind']
const KINDS: { [kind in WantKind]: true } = {
  value: true,
  gradient: true,
  ranking: true,
  completion: true,
  score: true,
  directional: true,
  terms: true,
  hvp: true,
  quantities: true,
}
export const WANT_KINDS: readonly string[] = Object.keys(KINDS)

export type Query = {
  /** Unique within the session; the method numbers its queries from its own state. */
  id: string
  points: readonly Point[]
  wants: readonly Want[]
  /** Queries with the same key must be answered with the same minibatch or random seed. */
  sampleKey?: string
  /** The step of the driver that asks: "step", "ascent", "descent", "extrapolation". */
  purpose?: string
  /** Queries over a search space carry the number of their trial. */
  trial?: number
  /** The trial that this one goes on from: the client loads the checkpoint that it kept after it. From scratch without. */
  parent?: number
  /** Where a client that keeps the iterate has it to be: after so many steps, the last of which made these moves. */
  iterate?: { step: number; last: readonly Move[] }
}

export const STATUSES = ['ok', 'failed', 'infeasible', 'pruned', 'cancelled'] as const
/** ok; failed: may be tried again; infeasible: never again; pruned: stopped early; cancelled: the client gave up. */
export type ObservationStatus = (typeof STATUSES)[number]

/** Score of one text point: the mean, and where told the score and the output of each example asked. */
export type Score = { score: number; examples?: readonly number[]; outputs?: readonly string[] }
/**
 * The terms of an objective at a point, and of each the ids of the groups of parameters that it was made of: group i is
 * the i-th slice of every tensor along its first axis.
 */
export type Terms = { losses: readonly number[]; contributors: readonly (readonly number[])[] }
export type Usage = { calls?: number; promptTokens?: number; completionTokens?: number; money?: number }

export type Observation = {
  queryId: string
  status: ObservationStatus
  /** values[point][objective]. NaN is refused for gradients, and turns the status of a value into `failed`. */
  values?: readonly (readonly number[])[]
  /** Standard deviation of the noise of each value, same layout. */
  noise?: readonly (readonly number[])[]
  /** constraints[point][constraint]; <= 0 is feasible. */
  constraints?: readonly (readonly number[])[]
  /** gradients[point], in the order of the query's points. */
  gradients?: readonly Tensors[]
  /** Groups of tied point indices, best group first. Points left out are tied last. */
  ranking?: readonly (readonly number[])[]
  completions?: readonly string[]
  scores?: readonly Score[]
  /** One per direction. */
  derivatives?: readonly number[]
  /** terms[point]; all points have the same number of terms. */
  terms?: readonly Terms[]
  /** products[direction], each of the names and sizes of the first point. */
  products?: readonly Tensors[]
  /** quantities[point], by name. */
  quantities?: readonly Tensors[]
  usage?: Usage
  message?: string
}

/** What happens to a method. The session delivers each query's observation at most once. */
export type Event =
  | { type: 'observation'; query: Query; observation: Observation; time?: number }
  /** The client can take `count` more queries. `time`: of the session, in milliseconds since the epoch. */
  | { type: 'capacity'; count: number; time?: number }
  /** A running trial's intermediate value, in objective order of the first objective. */
  | { type: 'report'; query: Query; step: number; value: number }
  /** Fields that the schema marks as mutable have new values; `run.config` holds them already. */
  | { type: 'reconfigure'; changed: readonly string[] }
