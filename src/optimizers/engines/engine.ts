/** What every engine offers: it compiles a checked program for a manifest and runs it in place on plain typed arrays. */
import type { EngineId } from '../../core/method.js'
import type { FloatArray, TensorSpec, Tensors } from '../../core/tensor.js'
import type { Program } from '../language/program.js'
import { LEAST_PACKED, type PackedDtype } from './packing/codec.js'

/**
 * Slot values by slot name, then by tensor name; the one value of a `global` slot has the name `all`. Slots of kind
 * tensor, row and column have the engine's element type; scalar and global slots are Float64Arrays of one element.
 */
export type Slots = { [slot: string]: { [tensor: string]: FloatArray } }

/** Packed values by slot name, then by tensor name. What is here is not among the slots. */
export type Packs = { [slot: string]: { [tensor: string]: Uint8Array } }

/** What is packed between steps: of these slots, of kind tensor, the tensors that are large enough. */
export type Packing = { dtype: PackedDtype; slots: ReadonlySet<string> }
export const isPacked = (packing: Packing | undefined, slot: string, elements: number): packing is Packing =>
  packing !== undefined && elements >= LEAST_PACKED && packing.slots.has(slot)

/** What a kernel works on: x, and the slots, of which some are packed where the kernel was compiled with a packing. */
export type KernelState = { x: Tensors; slots: Slots; packed?: Packs }

export type KernelRun = {
  /** Parameters, updated in place. */
  x: Tensors
  slots: Slots
  packed?: Packs
  /** The rule's inputs by name: `g`, and whatever else the driver supplies. */
  inputs: { readonly [input: string]: Tensors }
  /** Hyperparameters after schedules, and `t`, the step number from 1. */
  scalars: { readonly [name: string]: number }
  /** Seed of this step's random fields, an integer from 0 to 2^53 - 1. */
  seed?: number
}

export interface Kernel {
  /** Zeroed x and zeroed (or initial-valued) slots, allocated where the engine computes best. */
  allocate(): KernelState
  /** Moves arrays that live elsewhere (a restored snapshot) to where the engine computes best. */
  adopt(arrays: KernelState): KernelState
  /** Arrays in which an input can be written at no further copy, to be passed to `run` as that input. */
  inputBuffer(input: string): Tensors
  run(run: KernelRun): void
  /** Scalars that the rule reports by `report name = expr`, after the last run. */
  reports(): { readonly [name: string]: number }
  /** Passes over the elements of all tensors per step, after fusion. */
  readonly passes: number
}

export interface Engine {
  readonly id: EngineId
  /**
   * Element type of x and slots: f64 always for the interpreter.
   *
   * @throws AsktellError METHOD_UNSUITABLE when the rule needs matrices where the manifest has tensors of lower rank, and
   *   when the engine does not compute in this precision.
   */
  compile(program: Program, manifest: readonly TensorSpec[], precision: 'f32' | 'f64', packing?: Packing): Kernel
}

/** The numbers that a run must supply: the step number and every hyperparameter. */
export const scalarNames = ({ source }: Program): string[] => ['t', ...source.hyperparameters]

/** @throws RangeError when a driver left a number out, which would turn all parameters to NaN. */
export function scalarOf({ scalars }: KernelRun, name: string): number {
  const value = scalars[name]
  if (typeof value !== 'number') throw new RangeError(`the run of a rule supplies no "${name}"`)
  return value
}
