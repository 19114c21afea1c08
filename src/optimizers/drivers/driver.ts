/** A driver decides what is asked, where and when, around a rule. It is a state machine over gradients. */
import type { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import type { FloatArray, Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import type { Part, PartConfig } from '../parts.js'

/** Where the next gradient is wanted. */
export type Ask = {
  /** `x`, or the name of one of the driver's points. */
  point: string
  purpose: string
  /** Suffix of the sample key: asks of one step with the same suffix get the same minibatch. */
  sample?: string
  /** The example that is to be the sample: asks of the same example have the same sample key in all steps. */
  example?: number
}

/** State of a driver: its phase, and tensors shaped like x. Plain tree. */
export type DriverState = {
  phase: string
  /** Shards or steps counted by the driver. */
  shard: number
  points: { [name: string]: { [tensor: string]: FloatArray } }
  /** Orders of examples, by name. */
  orders?: { [name: string]: number[] }
  /** Numbers for people, among the metrics of the session. */
  reports?: { [name: string]: number }
}

/** What a driver may do in a step. Gradients are those of a loss to minimize. */
export interface Drive {
  readonly x: Tensors
  readonly state: DriverState
  /** The stream of the session; what is drawn from it is gone. */
  readonly rng: Rng
  /** One step of the rule, in place. `at`: the point of the gradient, where that is not x (for ergodic averages). */
  update(gradient: Tensors, options?: { at?: Tensors; project?: boolean }): void
  /** Where one step of the rule would lead from x: written to a point. State and x stay as they are. */
  probe(gradient: Tensors, point: string, options?: { project?: boolean }): void
  /** Runs rule text on a point of the driver, in place; `project` then moves it into the set that x is kept in. */
  run(piece: Piece, point: string, inputs: { readonly [name: string]: Tensors }, options?: { project?: boolean }): void
  /** Remembers tensors under the name of a point. */
  copy(from: Tensors, point: string): void
  /** Whether the iterate is kept within a set. */
  readonly constrained: boolean
}

export interface Driver<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** Whether its updates say where the gradient was taken; without it, that is x. */
  leading?: boolean
  /** Names of the points it keeps beside x. */
  points(config: PartConfig<F>): readonly string[]
  /** The first ask of a session. */
  begin(config: PartConfig<F>, drive: Drive): Ask
  /** Takes the gradient of the last ask and says what to ask next. */
  advance(config: PartConfig<F>, drive: Drive, gradient: Tensors): Ask
  /** What is wrong with the config: a field and a message. */
  check?(config: PartConfig<F>): readonly { field: string; message: string }[]
}

/** Declares a driver; the type of its config is checked here and erased by the family. */
export const defineDriver = <F extends z.ZodRawShape>(driver: Driver<F>): Driver => driver as unknown as Driver
