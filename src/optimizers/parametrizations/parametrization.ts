/**
 * A parametrization stands between a rule and the tensors of a space: what the rule moves are tensors of its own, of which
 * those of the space are made. So it goes with every rule, driver, transform and average, which see nothing of it.
 */
import type { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import type { TensorsSpace } from '../../core/space.js'
import type { FloatArray, TensorSpec, Tensors } from '../../core/tensor.js'
import type { Part, PartConfig } from '../parts.js'

export type Arrays = { [tensor: string]: FloatArray }
/** What is kept beside the tensors that the rule moves, by name. */
export type Kept = { [name: string]: Arrays }

/** A session's space, what is kept, and the steps taken. */
export type Place = { space: TensorsSpace; kept: Kept; t: number }

export interface Mapping<C> {
  /** The tensors that the rule moves. */
  tensors(config: C, space: TensorsSpace): readonly TensorSpec[]
  /** Their start, and what is kept beside them. */
  begin(config: C, space: TensorsSpace, rng: Rng): { initial: Arrays; kept: Kept }
  /** The tensors of the space that tensors x of the rule stand for. */
  outward(config: C, place: Place, x: Tensors): Tensors
  /** The gradient by x of a loss to minimize, of its gradient by the tensors of the space. May begin what is kept. */
  inward(config: C, place: Place, x: Tensors, gradient: Tensors): Tensors
  /** Whether x begins anew with each step, in a frame that moves: then `after` takes up what a step did. */
  moving?: boolean
  /** After a step of the rule, with the last gradient told by the tensors of the space. May change x and what is kept. */
  after?(config: C, place: Place, x: Arrays, gradient: Tensors, learningRate: number): void
  /** Numbers for people. */
  metrics?(config: C, place: Place, x: Tensors): { [name: string]: number }
  /** LaTeX, a line each. */
  equations(config: C): readonly string[]
  /** What is wrong with the config for a space: a field and a message. */
  check?(config: C, space: TensorsSpace): readonly { field: string; message: string }[]
}

export interface Parametrization<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** Absent where the rule moves the tensors of the space themselves. */
  mapping?: Mapping<PartConfig<F>>
}

/** Declares a parametrization; the type of its config is checked here and erased by the family. */
export const defineParametrization = <F extends z.ZodRawShape>(part: Parametrization<F>): Parametrization =>
  part as unknown as Parametrization

/** Numbers of the type that a tensor has in a session. */
export const arrayOf = ({ dtype }: Pick<TensorSpec, 'dtype'>, values: ArrayLike<number> | number): FloatArray =>
  dtype === 'f64' ? new Float64Array(values as number) : new Float32Array(values as number)
