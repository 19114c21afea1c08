/**
 * The default engine: WebAssembly with SIMD, generated with binaryen. Compiled modules are kept by program and precision, so
 * sessions of one method share them.
 */
import { availableParallelism, cpus, loadavg } from 'node:os'
import { AsktellError } from '../../../core/errors.js'
import { totalElements } from '../../../core/tensor.js'
import type { Program } from '../../language/program.js'
import type { Engine } from '../engine.js'
import { buildGraph } from '../graph.js'
import { planGraph } from '../plan.js'
import { Crew } from './crew.js'
import type { Form } from './generate.js'
import { MOST_BYTES, WasmKernel } from './kernel.js'
import type { Compiled } from './layout.js'
import { moduleOf } from './modules.js'
import { TableLayout } from './tables.js'
import { BLOCK } from './work.js'

/** Users' rules come and go: the oldest modules are dropped beyond this many. */
const CACHED_MODULES = 512

/** One reads and writes memory as fast as most machines can. */
const MOST_THREADS = 16
const LARGE = 2 ** 20
const CHUNK = 16 * BLOCK

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

export type WasmOptions = {
  /** Threads that work on a large kernel, with the caller's; as many as there are cores, up to 16, where absent. */
  threads?: number
  /** Elements from which a kernel is large. */
  large?: number
  /** Elements that a thread takes at a time, in whole blocks. */
  chunk?: number
  /** Whether the other cores are taken: the caller then works alone. Never where `threads` is given. */
  isCrowded?(): boolean
  /** Bytes above which the tensors of a kernel are outside of its memory. */
  above?: number
}

/** Tells whether far more wants to run than there are cores, from what the host says each second. */
function crowded(): () => boolean {
  const most = 1.5 * cpus().length
  let last = Number.NEGATIVE_INFINITY
  let answer = false
  return () => {
    const now = performance.now()
    if (now - last > 1000) {
      last = now
      answer = loadavg()[0] > most
    }
    return answer
  }
}

let asked: number | undefined

/** Sets how many threads an engine has that is loaded from now on, and is not told. */
export function useThreads(threads: number): void {
  asked = threads
}

export async function loadWasmEngine({
  threads = asked,
  large = LARGE,
  chunk = CHUNK,
  above = MOST_BYTES,
  isCrowded = threads === undefined ? crowded() : () => false,
}: WasmOptions = {}): Promise<Engine> {
  const cache = new Map<string, Compiled>()
  const most = threads ?? Math.min(MOST_THREADS, availableParallelism())
  const sharing = most > 1 ? { crew: new Crew(most - 1, isCrowded), chunk } : undefined
  return {
    id: 'wasm',
    compile(program, manifest, precision, packing) {
      const packed = Object.keys(program.source.slots).filter((slot) => packing?.slots.has(slot))
      // What is packed goes through the one part that is in memory.
      const shared = sharing && packed.length === 0 && totalElements(manifest) >= large ? sharing : undefined
      const form = { precision, packed, shared: shared !== undefined, streamed: false }
      const streaming = { above, compiled: () => cached(cache, program, { ...form, shared: false, streamed: true }) }
      const compiled = cached(cache, program, form)
      return new WasmKernel(compiled, program, manifest, precision, streaming, packing, shared)
    },
  }
}

function cached(cache: Map<string, Compiled>, program: Program, form: Form): Compiled {
  const { source, hash } = program
  const { precision, packed, shared, streamed } = form
  // Names of slots have no sign.
  const key = [hash, precision, ...(shared ? ['+shared'] : []), ...(streamed ? ['+streamed'] : []), ...packed].join(' ')
  let compiled = cache.get(key)
  if (!compiled) {
    const plan = planGraph(buildGraph(program), new Set(packed))
    const module = moduleOf(key, { source, form })
    compiled = { module, plan, tables: new TableLayout(plan, program), packed, streamed }
    cache.set(key, compiled)
    if (cache.size > CACHED_MODULES) cache.delete(cache.keys().next().value as string)
  }
  return compiled
}
