/** What every engine offers: it compiles a checked program for a manifest and runs it in place on plain typed arrays. */
import type { FloatArray, TensorSpec, Tensors } from '../../core/tensor.js'
import type { Program } from '../language/program.js'

/** Slot values by slot name: one array per tensor, or one array of scalars for slots of all tensors. Plain tree. */
export type Slots = { [slot: string]: { [tensor: string]: FloatArray } }

export type KernelRun = {
  /** Parameters, updated in place. */
  x: Tensors
  slots: Slots
  /** The rule's inputs by name: `g`, and whatever else the driver supplies. */
  inputs: { readonly [input: string]: Tensors }
  /** Hyperparameters after schedules, and `t`, the step number from 1. */
  scalars: { readonly [name: string]: number }
  /** Seed of this step's random fields. */
  seed?: number
}

export interface Kernel {
  /** Zeroed (or initial-valued) slots, allocated where the engine computes best. */
  allocate(): { x: Tensors; slots: Slots }
  /** Moves arrays that live elsewhere (a restored snapshot) to where the engine computes best. */
  adopt(arrays: { x: Tensors; slots: Slots }): { x: Tensors; slots: Slots }
  run(run: KernelRun): void
  /** Scalars that the rule reports by `report name = expr`, after the last run. */
  reports(): { readonly [name: string]: number }
  /** Passes over memory per step, after fusion. */
  readonly passes: number
}

export interface Engine {
  readonly id: 'interpreter' | 'wasm'
  /** Element type of x and slots: f64 always for the interpreter. */
  compile(program: Program, manifest: readonly TensorSpec[], precision: 'f32' | 'f64'): Kernel
}
