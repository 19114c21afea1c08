/**
 * Dense float64 linear algebra on one core: SIMD WebAssembly, compiled from `assembly/` by scripts/build-assembly.mjs.
 * Matrices are row-major in the memory of a Workspace, and kernels take pointers into it. The same operations give
 * the same bits everywhere.
 */
import { BYTES } from './linalg.gen.js'

/**
 * What assembly/index.ts exports; it documents each. Pointers, and strides of matrices (rs, cs, ld), are in bytes;
 * `ldx` and the `ld` of the kernel functions count elements.
 */
export type Kernels = {
  // biome-ignore format: one kernel, one line
  gemm(lower: boolean, m: number, n: number, k: number, alpha: number, a: number, ars: number, acs: number, b: number, brs: number, bcs: number, c: number, crs: number, ccs: number): void
  dot(n: number, a: number, b: number): number
  cholesky(n: number, a: number, ld: number): number
  inverse(n: number, l: number, ld: number, out: number): void
  solveVector(n: number, l: number, ld: number, x: number): void
  solveTransposedVector(n: number, l: number, ld: number, x: number): void
  // biome-ignore format: one kernel, one line
  solve(n: number, m: number, l: number, lrs: number, lcs: number, x: number, xrs: number, xcs: number): void
  solveTransposed(n: number, m: number, l: number, ld: number, x: number, xrs: number, xcs: number): void
  // biome-ignore format: one kernel, one line
  kernelRows(from: number, to: number, continuous: number, d: number, x: number, ldx: number, weights: number, variance: number, out: number, ld: number): void
  // biome-ignore format: one kernel, one line
  crossKernel(n: number, m: number, continuous: number, d: number, x: number, ldx: number, q: number, weights: number, variance: number, k: number, slope: number): void
  weightedRows(n: number, m: number, a: number, k: number, out: number): void
  squaredColumns(n: number, m: number, v: number, out: number): void
  // biome-ignore format: one kernel, one line
  crossGradient(n: number, m: number, continuous: number, x: number, ldx: number, q: number, slope: number, w: number, a: number, mean: number, explained: number): void
  // biome-ignore format: one kernel, one line
  likelihoodGradient(n: number, continuous: number, d: number, x: number, ldx: number, weights: number, variance: number, inverse: number, ld: number, a: number, row: number, out: number): void
  // biome-ignore format: one kernel, one line
  mixtureSums(n: number, rows: number, axes: number, bells: number, base: number, weights: number, terms: number, points: number, x: number, max: number, sum: number): void
}

const PAGE = 65536

/** Part of a Workspace: a pointer for the kernels and a view for TypeScript, good until the scope that made it ends. */
export type Block = {
  readonly pointer: number
  readonly length: number
  /** Fresh after each growth of the memory: don't keep it across an `alloc`. */
  readonly view: Float64Array
}

/** One WebAssembly memory used as a stack, and the kernels that work in it. */
export class Workspace {
  private readonly memory = new WebAssembly.Memory({ initial: 32 })
  private top: number
  readonly kernels: Kernels

  constructor() {
    const module = new WebAssembly.Module(Buffer.from(BYTES, 'base64'))
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } })
    this.top = (exports.RESERVED as WebAssembly.Global).value
    this.kernels = exports as unknown as Kernels
  }

  /** `length` numbers, 16-byte aligned, not cleared. Throws RangeError beyond 4 GiB. */
  alloc(length: number): Block {
    const pointer = this.top
    this.top += Math.ceil(length / 2) * 16
    const { memory } = this
    const missing = this.top - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
    return {
      pointer,
      length,
      get view() {
        return new Float64Array(memory.buffer, pointer, length)
      },
    }
  }

  /** Runs `body`, then takes back all that it allocated. */
  scope<T>(body: () => T): T {
    const { top } = this
    try {
      return body()
    } finally {
      this.top = top
    }
  }
}

let shared: Workspace | undefined
/**
 * The workspace of this thread. One for all sessions: a WebAssembly memory reserves gigabytes of addresses, and what
 * lies in it never outlives one step.
 */
export const workspace = (): Workspace => (shared ??= new Workspace())
