/** A transform is rule text that runs ahead of the rule, in the same program, so that both fuse into the same passes. */
import type { z } from 'zod'
import type { TensorSpec } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import type { Part, PartConfig } from '../parts.js'
import type { Projector } from '../projection.js'

/** What may be asked with every gradient. */
export type Asked = 'value' | 'score'

export interface Transform<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** What its scalars need told with every gradient, as `told`. */
  beside?: readonly Asked[]
  /** Text that rewrites `g`, or `x` before the step. `lr` and `t` are those of the step. */
  piece(config: PartConfig<F>, tensors: readonly TensorSpec[]): Piece
  /** Text behind the rule, ahead of the projection of x, with the names of the piece; `project` does it for others. */
  after?(config: PartConfig<F>, project: Projector): Piece
  /** Text behind the rule with the names of the rule, which changes the slots of the rule. */
  state?(config: PartConfig<F>, rule: Piece): Piece | undefined
  /** What is wrong with the config for these tensors: a field and a message. */
  check?(config: PartConfig<F>, tensors: readonly TensorSpec[]): readonly { field: string; message: string }[]
}

/** Declares a transform; the type of its config is checked here and erased by the family. */
export const defineTransform = <F extends z.ZodRawShape>(transform: Transform<F>): Transform =>
  transform as unknown as Transform
