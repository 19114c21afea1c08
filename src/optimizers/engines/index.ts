/** The engines by id. */
import type { EngineId } from '../../core/method.js'
import type { Engine } from './engine.js'
import { interpreter } from './interpreter.js'
import { loadTensorflowEngine, probeTensorflow } from './tensorflow/index.js'
import { loadWasmEngine, probeWasm } from './wasm/index.js'

export { useThreads } from './wasm/index.js'
export { keepModules } from './wasm/modules.js'

import { loadWebgpuEngine, probeWebgpu } from './webgpu/index.js'

type Offer = {
  /** What it runs on, for people, found out without loading what is large. Fails where it cannot run. */
  probe(): Promise<string>
  load(): Promise<Engine>
}

const OFFERS: Readonly<Record<EngineId, Offer>> = {
  interpreter: { probe: async () => 'plain TypeScript in float64', load: async () => interpreter },
  wasm: { probe: async () => probeWasm(), load: () => loadWasmEngine() },
  tensorflow: { probe: probeTensorflow, load: loadTensorflowEngine },
  webgpu: { probe: probeWebgpu, load: loadWebgpuEngine },
}
const loading = new Map<EngineId, Promise<Engine>>()
const engines = new Map<EngineId, Engine>([['interpreter', interpreter]])

/**
 * What an engine runs on, for people.
 *
 * @throws AsktellError UNSUPPORTED when it cannot run here, with what to install.
 */
export const probeEngine = (id: EngineId): Promise<string> => OFFERS[id].probe()

/**
 * Loads what an engine needs before it can compile, once. Await it before a method that compiles is started: methods are
 * synchronous, and so are `engineFor` and `compile`.
 *
 * @throws AsktellError UNSUPPORTED when the engine cannot run here, with what to install.
 */
export async function loadEngine(id: EngineId): Promise<Engine> {
  let engine = loading.get(id)
  if (!engine) {
    engine = OFFERS[id].load()
    loading.set(id, engine)
    // What is missing may be installed while the process runs.
    engine.catch(() => loading.delete(id))
  }
  engines.set(id, await engine)
  return engine
}

/** Loads the engine that sessions have by default. */
export async function loadEngines(): Promise<void> {
  await loadEngine('wasm')
}

/** The engine of an id, for which `loadEngine` has ended. */
export function engineFor(id: EngineId): Engine {
  const engine = engines.get(id)
  if (!engine) throw new Error(`the ${id} engine is not loaded: await loadEngine('${id}') first`)
  return engine
}
