/** The engines by id. */
import type { Engine } from './engine.js'
import { interpreter } from './interpreter.js'
import { loadWasmEngine } from './wasm/index.js'

let wasm: Engine | undefined
let loading: Promise<Engine> | undefined

/**
 * Loads what engines need before they can compile, once. Await it before a method that compiles is started: methods are
 * synchronous, and so are `engineFor` and `compile`.
 */
export async function loadEngines(): Promise<void> {
  loading ??= loadWasmEngine()
  wasm = await loading
}

/** The engine of an id. `loadEngines` must have ended for 'wasm'. */
export function engineFor(id: Engine['id']): Engine {
  if (id === 'interpreter') return interpreter
  if (!wasm) throw new Error('the wasm engine is not loaded: await loadEngines() first')
  return wasm
}
