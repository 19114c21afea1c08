/**
 * A driver decides what is asked, where and when, around a rule. It is a state machine over answers: it asks one thing at a
 * time, and takes a step of the rule when it has a gradient for it. Most ask gradients alone. One that wants more names the
 * kinds in `wants` and asks for them with `Ask.wants`; `advance` then finds them in the answer.
 */
import type { z } from 'zod'
import type { Want } from '../../core/query.js'
import type { Rng } from '../../core/rng.js'
import type { Problem, TensorsSpace } from '../../core/space.js'
import type { FloatArray, Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import type { Part, PartConfig } from '../parts.js'

/** What drivers may ask. */
export type Asked = Extract<Want, { kind: 'gradient' | 'value' | 'hvp' | 'quantities' }>

/** What is wanted next, and where. Plain tree: it is part of the state. */
export type Ask = {
  /** `x`, or the name of one of the driver's points. */
  point: string
  /** Points behind it, by name: the directions of products, or more points at which the same is wanted. */
  others?: readonly string[]
  /** Without it, the gradient. Whatever the method asks beside a gradient is asked with it. */
  wants?: readonly Asked[]
  /** The gradient is not that of a step: nothing is asked beside it, and what came beside the last one stays. */
  aside?: boolean
  purpose: string
  /** Suffix of the sample key: asks of one step with the same suffix get the same minibatch. */
  sample?: string
  /** The example that is to be the sample: asks of the same example have the same sample key in all steps. */
  example?: number
  /** Text for the client, by name, behind the points; nothing is told of it. It goes with quantities alone. */
  note?: { readonly [name: string]: string }
}

/** What was told; empty where it was not wanted. Of a loss to minimize, but for quantities, which are as told. */
export type Answer = {
  /** One per point of the query. */
  gradients: readonly Tensors[]
  values: readonly number[]
  quantities: readonly Tensors[]
  /** One per direction. */
  products: readonly Tensors[]
}

/** State of a driver: its phase, and tensors shaped like x. Plain tree. */
export type DriverState = {
  phase: string
  /** Shards or steps counted by the driver. */
  shard: number
  points: { [name: string]: { [tensor: string]: FloatArray } }
  /** Orders of examples, by name. */
  orders?: { [name: string]: number[] }
  /** Arrays that are not shaped like x, in double precision. */
  arrays?: { [name: string]: Float64Array }
  /** Numbers for rules, as `At.reports`, and for people, among the metrics of the session. */
  reports?: { [name: string]: number }
}

/** What a driver may do in a step. */
export interface Drive {
  readonly space: TensorsSpace
  readonly x: Tensors
  readonly state: DriverState
  /** The stream of the session; what is drawn from it is gone. */
  readonly rng: Rng
  /**
   * One step of the rule, in place. `at`: the point of the gradient, where that is not x (for ergodic averages). `rate`: a
   * factor on the learning rate of this step.
   */
  update(gradient: Tensors, options?: { at?: Tensors; project?: boolean; rate?: number }): void
  /** Where one step of the rule would lead from x: written to a point. State and x stay as they are. */
  probe(gradient: Tensors, point: string, options?: { project?: boolean }): void
  /**
   * Runs rule text on a point of the driver, in place; `project` then moves it into the set that x is kept in. Random
   * fields are those of the step, the same at every run, unless a seed is given. `share`: the input `g` is a gradient at x of
   * a batch of its own, of which the gradient of the next step has this share; diagnostics compare them.
   */
  run(
    piece: Piece,
    point: string,
    inputs: { readonly [name: string]: Tensors },
    options?: { project?: boolean; seed?: number; share?: number },
  ): void
  /** Shows diagnostics the product of a curvature matrix with a direction. What is told as a product they have seen. */
  measure(direction: Tensors, product: Tensors): void
  /** Does to a point what a step does to x whatever its gradient: decoupled weight decay. */
  decay(point: string): void
  /** Where steps of the rule would lead from x, one after another: written to points. State and x stay as they are. */
  forecast(points: readonly string[], gradientAt: (x: Tensors) => Tensors): void
  /** Remembers tensors under the name of a point. */
  copy(from: Tensors, point: string): void
  /** Of the step under way, after the schedule. */
  readonly learningRate: number
  /** Whether the iterate is kept within a set. */
  readonly constrained: boolean
}

export interface Driver<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** Whether its updates say where the gradient was taken; without it, that is x. */
  leading?: boolean
  /** Text around the transforms and the rule of a step, ahead of the projection; its inputs are points of the driver. */
  around?(config: PartConfig<F>): { before: Piece; after: Piece } | undefined
  /** All kinds of want that it asks; without it, gradients alone. */
  wants?(config: PartConfig<F>): readonly Asked['kind'][]
  /** What it computes around the rule, as LaTeX. */
  equations?(config: PartConfig<F>): readonly string[]
  /** Names of the points it keeps beside x. */
  points(config: PartConfig<F>): readonly string[]
  /** The first ask of a session. */
  begin(config: PartConfig<F>, drive: Drive): Ask
  /** Takes the answer to the last ask and says what to ask next. `gradient`: the first told; no tensors where none was. */
  advance(config: PartConfig<F>, drive: Drive, gradient: Tensors, answer: Answer): Ask
  /** What is wrong with the config: a field and a message. */
  check?(config: PartConfig<F>, problem: Problem): readonly { field: string; message: string }[]
}

/** Declares a driver; the type of its config is checked here and erased by the family. */
export const defineDriver = <F extends z.ZodRawShape>(driver: Driver<F>): Driver => driver as unknown as Driver
