/** The program of a step: what a config composes of rule text, and its kernel. */
import type { EngineId } from '../core/method.js'
import type { TensorsSpace } from '../core/space.js'
import type { TensorSpec } from '../core/tensor.js'
import { averagings } from './averaging.js'
import { type Composition, compose, type Piece } from './compose.js'
import { drivers } from './drivers/index.js'
import type { Kernel, Packing } from './engines/engine.js'
import { engineFor } from './engines/index.js'
import type { PackedDtype } from './engines/packing/codec.js'
import { compileRule } from './language/check.js'
import type { Choice } from './parts.js'
import { type Projector, projection, projector } from './projection.js'
import { DIAGNOSTIC_NAMES, MOVED, TOLD } from './step-diagnostics.js'
import { transforms } from './transforms/index.js'

/** The config that all gradient methods share, parsed. */
export type Common = {
  learningRate: number
  driver: Choice
  transforms: Choice[]
  schedule: Choice
  averaging: Choice
  parametrization: Choice
  gathering: Choice
  /** Numbers of the rule that differ, by group of the space and field. */
  groups: { [group: string]: { [field: string]: number } }
  ball?: number
  precision: 'auto' | 'f32' | 'f64'
  /** Sessions that began before it was a choice have none. */
  stateDtype?: 'full' | PackedDtype
  reportNorm: boolean
  /** As with stateDtype. */
  diagnostics?: boolean
}

/**
 * Writes the rule of a method for a config and the tensors of a space. x is projected behind the rule; `project` does it
 * for other tensors that have to stay in the set.
 */
export type RuleOf<C> = (config: C, tensors: readonly TensorSpec[], project: Projector) => Piece

export const NORM: Piece = { text: 'report gradientNorm = norm(g, all)' }

/** The average of iterates as text, behind the rule or, of the points where gradients are taken, ahead of it. */
function averagePiece(config: Common): Piece[] {
  const { weight, leading } = averagings.of(config.averaging)
  if (!weight) return []
  const given = leading && drivers.of(config.driver).leading
  return [
    {
      text: `average = (1 - averageWeight)*average + averageWeight*${given ? 'z' : 'x'}`,
      slots: { average: { kind: 'tensor' } },
      scalars: (at) => ({ averageWeight: weight(config.averaging, at) }),
      inputs: given ? ['z'] : [],
      verbatim: true,
      ahead: leading,
    },
  ]
}

/** The pieces of a step: ahead of the rule, the rule, and behind it. */
function piecesOf<C extends Common>(rule: RuleOf<C>, config: C, { low, high, tensors }: TensorsSpace) {
  const project = projector({ low, high, ball: config.ball })
  const written = rule(config, tensors, project)
  const around = drivers.of(config.driver).around?.(config.driver)
  const before = config.transforms.map((part) => transforms.of(part).piece(part, tensors))
  const after = config.transforms
    .flatMap((part, i): Piece[] => {
      const transform = transforms.of(part)
      const behind = transform.after?.(part, project)
      const state = transform.state?.(part, written)
      return [...(state ? [{ ...state, of: written }] : []), ...(behind ? [{ ...behind, of: before[i] }] : [])]
    })
    .reverse()
  return {
    ahead: [...(config.reportNorm && !config.diagnostics ? [NORM] : []), ...(around ? [around.before] : []), ...before],
    written,
    behind: [...after, ...(around ? [{ ...around.after, of: around.before }] : [])],
  }
}

/** Reserved whether used or not: slots must have the same names in all programs of a session. */
const RESERVED = ['average', 'averageWeight', 'z']
const reserved = ({ diagnostics }: Common) => (diagnostics ? [...RESERVED, ...DIAGNOSTIC_NAMES] : RESERVED)

/** The one program of a step: transforms, rule, projection and average. Without `average` it is a trial, and not measured. */
export function program<C extends Common>(
  rule: RuleOf<C>,
  config: C,
  space: TensorsSpace,
  { average = true, project = true } = {},
): Composition {
  const { low, high } = space
  const { ahead, written, behind } = piecesOf(rule, config, space)
  const scaled = /^\s*metric\s*=/m.test(written.text)
  const measured = average && config.diagnostics
  const pieces = [
    ...(measured ? [TOLD] : []),
    ...ahead,
    written,
    ...behind,
    ...(project ? projection({ low, high, ball: config.ball }, scaled) : []),
    ...(measured ? [MOVED] : []),
    ...(average ? averagePiece(config) : []),
  ]
  return compose(pieces, reserved(config))
}

/** The part of it ahead of the rule, which writes the gradient that the rule sees to x. */
export function transforming<C extends Common>(rule: RuleOf<C>, config: C, space: TensorsSpace): Composition {
  const { ahead, written, behind } = piecesOf(rule, config, space)
  const inputs = [written, ...behind].flatMap((piece) => piece.inputs ?? [])
  return compose([...ahead, { text: 'x = g', shape: written.shape }], [...reserved(config), ...inputs])
}

/** The kernel of a composition for these tensors. Throws AsktellError where the text is wrong or does not suit them. */
export function kernelOf(
  { source, shape }: Composition,
  tensors: readonly TensorSpec[],
  engine: EngineId,
  precision: 'f32' | 'f64',
  packing?: Packing,
): Kernel {
  const manifest = shape ? tensors.map((tensor) => ({ ...tensor, shape: shape(tensor) })) : tensors
  return engineFor(engine).compile(compileRule(source), manifest, precision, packing)
}
