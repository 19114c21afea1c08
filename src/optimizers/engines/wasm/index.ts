/**
 * The default engine: WebAssembly with SIMD, generated with binaryen. Compiled modules are kept by program and precision, so
 * sessions of one method share them.
 */
import { AsktellError } from '../../../core/errors.js'
import type { Program } from '../../language/program.js'
import type { Engine, Packing } from '../engine.js'
import { buildGraph } from '../graph.js'
import { planGraph } from '../plan.js'
import { type Compiled, WasmKernel } from './kernel.js'
import type { Precision } from './lanes.js'
import { moduleOf } from './modules.js'
import { TableLayout } from './tables.js'

/** Users' rules come and go: the oldest modules are dropped beyond this many. */
const CACHED_MODULES = 512

/** The smallest module with a vector instruction. */
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
)

/** What the engine runs on. Throws AsktellError UNSUPPORTED where it can't. */
export function probeWasm(): string {
  if (WebAssembly.validate(SIMD)) return `WebAssembly with SIMD on ${process.arch}`
  throw new AsktellError('UNSUPPORTED', `the WebAssembly of Node ${process.version} has no SIMD on this processor`)
}

export async function loadWasmEngine(): Promise<Engine> {
  const cache = new Map<string, Compiled>()
  return {
    id: 'wasm',
    compile: (program, manifest, precision, packing) =>
      new WasmKernel(cached(cache, program, precision, packing), program, manifest, precision, packing),
  }
}

function cached(cache: Map<string, Compiled>, program: Program, precision: Precision, packing?: Packing): Compiled {
  const { source, hash } = program
  const packed = Object.keys(source.slots).filter((slot) => packing?.slots.has(slot))
  const key = [hash, precision, ...packed].join(' ')
  let compiled = cache.get(key)
  if (!compiled) {
    const plan = planGraph(buildGraph(program), new Set(packed))
    const module = moduleOf(key, { source, precision, packed })
    compiled = { module, plan, tables: new TableLayout(plan, program), packed }
    cache.set(key, compiled)
    if (cache.size > CACHED_MODULES) cache.delete(cache.keys().next().value as string)
  }
  return compiled
}
