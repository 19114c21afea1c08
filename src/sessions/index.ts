/** The durable session layer. */
import { methods as blackbox, pruners as blackboxPruners } from '../blackbox/catalogue.gen.js'
import type { AnyMethod, Run } from '../core/method.js'
import type { AnyPruner } from '../core/pruner.js'
import { methods as gradient, pruners as gradientPruners } from '../optimizers/catalogue.gen.js'
import { keepModules, useThreads } from '../optimizers/engines/index.js'
import type { Sessions } from './api.js'
import { type Context, type Hooks, LIMITS, type Limits } from './context.js'
import { InlineHosts } from './host/inline.js'
import { PoolHosts } from './host/pool.js'
import { SessionManager } from './manager.js'
import { Catalogue } from './negotiate.js'
import { LmdbStore } from './stores/lmdb.js'
import { MemoryStore } from './stores/memory.js'
import type { Store } from './stores/store.js'

export { type Choice as Engine, chooseEngine } from '../optimizers/engines/choose.js'
export type { Hooks, Limits } from './context.js'
export { RESOLVER } from './queries.js'
export { shortOf } from './step.js'
export type { Store } from './stores/store.js'

export type SessionsOptions = {
  /** Where sessions are kept: a directory for lmdb, or memory that forgets at exit, or a store of one's own. */
  store: Store | { kind: 'lmdb'; path: string } | { kind: 'memory' }
  engine?: Run<unknown>['engine']
  /** Milliseconds since the epoch. Leases are measured by it. */
  clock?: () => number
  /** Seconds that a worker may keep a query, unless the session says otherwise. */
  lease?: number
  limits?: Partial<Limits>
  hooks?: Hooks
  /** Threads for methods with heavy steps; 0 runs them on the calling thread. */
  threads?: number
  /** Threads of the wasm engine for large rules; set for the process, ahead of the first such session. */
  wasmThreads?: number
  /** Modules whose `methods` the threads know beside the catalogue's. */
  threadModules?: readonly string[]
  /** A directory for compiled rules, of which a process that starts again need not generate the code. */
  compiled?: string
  methods?: readonly AnyMethod[]
  pruners?: readonly AnyPruner[]
}

export async function createSessions(options: SessionsOptions): Promise<Sessions> {
  return openManager(options)
}

/** As createSessions, with the operations that only the process itself needs. */
export async function openManager(options: SessionsOptions): Promise<SessionManager> {
  const engine = options.engine ?? 'wasm'
  const hooks = options.hooks ?? {}
  const catalogue = new Catalogue(
    options.methods ?? [...gradient, ...blackbox],
    options.pruners ?? [...gradientPruners, ...blackboxPruners],
  )
  const { threads, threadModules: modules, wasmThreads, compiled } = options
  if (compiled) keepModules(compiled)
  if (wasmThreads) useThreads(wasmThreads)
  const inline = new InlineHosts(catalogue.methods)
  const context: Context = {
    store: openStore(options.store, hooks),
    clock: options.clock ?? Date.now,
    catalogue,
    inline,
    pool: threads === 0 ? inline : new PoolHosts({ threads, modules, wasmThreads, compiled }),
    limits: { ...LIMITS, ...options.limits },
    hooks,
  }
  return new SessionManager(context, { engine, lease: options.lease ?? 600 })
}

function openStore(store: SessionsOptions['store'], hooks: Hooks): Store {
  if (!('kind' in store)) return store
  return store.kind === 'memory' ? new MemoryStore() : new LmdbStore(store.path, { fatal: hooks.fatal })
}
