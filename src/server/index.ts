/** One server: sessions behind gRPC and HTTP. No global state, so that a process may run several. */
import { join } from 'node:path'
import type { Tracer } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { AsktellError } from '../core/errors.js'
import type { EngineId } from '../core/method.js'
import { version } from '../core/version.js'
import type { Sessions } from '../sessions/api.js'
import { chooseEngine, createSessions, type Engine, type Store } from '../sessions/index.js'
import { LmdbStore } from '../sessions/stores/lmdb.js'
import { MemoryStore } from '../sessions/stores/memory.js'
import { Authorizer } from './auth.js'
import { Dispatcher } from './call.js'
import type { Config } from './config.js'
import { startGrpc } from './grpc/server.js'
import { startHttp } from './http/server.js'
import { Resolver } from './resolver.js'
import { createService } from './service.js'
import { SharedMemories } from './shared-memory.js'
import { createLog, createTracer, Telemetry } from './telemetry.js'
import type { Transport } from './transport.js'

export { type Config, configPrint, configSchema, type LoadedConfig, loadConfig } from './config.js'

export type RunningServer = {
  host: string
  grpcPort: number
  httpPort: number
  /** Drains: readiness fails at once, streams end with UNAVAILABLE, calls in flight finish within drainSeconds. */
  close(): Promise<void>
}

/** Parts that a test or an embedding process may bring along. */
export type Parts = {
  sessions?: Sessions
  log?: Logger
  tracer?: Tracer
  /** Gets the ready line; standard output by default. */
  onReady?: (line: string) => void
  /** The disk no longer keeps its promises, and nothing may be acknowledged any more. Exits by default. */
  onFatal?: (error: Error) => void
}

export async function startServer(config: Config, parts: Parts = {}): Promise<RunningServer> {
  const log = parts.log ?? createLog(config.logLevel)
  const engine = await chosenEngine(config)
  log.info({ engine: engine.id, why: engine.why }, 'engine')
  const tracing = parts.tracer
    ? { tracer: parts.tracer, close: async () => {} }
    : await createTracer(config.otlpEndpoint)
  const telemetry: Telemetry = new Telemetry(log, tracing.tracer, () => dispatcher.active)
  const sessions =
    parts.sessions ?? (await openSessions(config, engine.id, telemetry, parts.onFatal ?? (() => process.exit(1))))
  const resolver = new Resolver(sessions, config.llmEndpoints, { warn: (message, fields) => log.warn(fields, message) })
  const { maxGradientBytes } = config
  const memories = new SharedMemories(config.sharedDirectory, config.sharedBytes, maxGradientBytes)
  const dispatcher = new Dispatcher(
    createService(sessions, telemetry, resolver, { maxGradientBytes }, memories),
    telemetry,
  )
  const authorizer = new Authorizer(config.apiKeys, (reason) => telemetry.refused(reason))
  const transports: Transport[] = []

  const notReady = async () => {
    const { ready, reason } = await sessions.ready()
    return [
      ...(dispatcher.draining.aborted ? ['draining'] : []),
      ...(ready ? [] : [reason ?? 'the store takes no writes']),
    ]
  }
  const close = async (deadline: AbortSignal) => {
    for (const transport of transports) transport.drain()
    dispatcher.drain()
    // gRPC says goodbye at once; HTTP listens as long as calls are in flight, so that probes see why.
    const [grpc, http] = transports
    await Promise.all([grpc?.close(deadline), Promise.race([dispatcher.idle(), aborted(deadline)])])
    await http?.close(deadline)
    await resolver.close()
    await sessions.close()
    await tracing.close()
    telemetry.close()
    log.info('stopped')
  }
  try {
    transports.push(await startGrpc(config, dispatcher, authorizer))
    transports.push(await startHttp(config, dispatcher, authorizer, telemetry, { version, engine, notReady }))
    await resolver.start()
  } catch (error) {
    await close(AbortSignal.abort())
    throw error
  }
  const [grpc, http] = transports
  let closing: Promise<void> | undefined
  const { host } = config
  const ports = { grpcPort: grpc.port, httpPort: http.port }
  const ready = { ready: true, host, ...ports, pid: process.pid, version, engine: engine.id }
  log.info(ready, 'listening')
  ;(parts.onReady ?? ((line) => process.stdout.write(`${line}\n`)))(JSON.stringify(ready))
  return {
    host,
    grpcPort: grpc.port,
    httpPort: http.port,
    close: () => (closing ??= close(AbortSignal.timeout(config.drainSeconds * 1000))),
  }
}

async function chosenEngine(config: Config): Promise<Engine> {
  try {
    return await chooseEngine(config.engine)
  } catch (cause) {
    if (!(cause instanceof AsktellError)) throw cause
    const { message } = cause
    throw new AsktellError('CONFIG_INVALID', `engine: ${message}`, { issues: [{ path: 'engine', message }], cause })
  }
}

function openSessions(
  config: Config,
  engine: EngineId,
  telemetry: Telemetry,
  onFatal: (error: Error) => void,
): Promise<Sessions> {
  const fatal = (error: Error) => {
    telemetry.log.fatal({ err: error }, 'the store failed')
    onFatal(error)
  }
  const store: Store = config.store === 'memory' ? new MemoryStore() : new LmdbStore(config.dataDir, { fatal })
  return createSessions({
    store: timed(store, telemetry),
    engine,
    wasmThreads: config.wasmThreads,
    compiled: config.store === 'memory' ? undefined : join(config.dataDir, 'compiled'),
    limits: { snapshotRecords: config.snapshotRecords },
    hooks: { warn: (message, fields) => telemetry.log.warn(fields, message), fatal },
  })
}

/** The same store, its writes timed. */
function timed(store: Store, telemetry: Telemetry): Store {
  const write = store.write.bind(store)
  store.write = async (writes) => {
    const started = performance.now()
    await write(writes)
    telemetry.flushed((performance.now() - started) / 1000)
  }
  return store
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Closes on the first SIGTERM or SIGINT and exits; a second one exits at once. */
export function closeOnSignals(server: RunningServer, exit: (code: number) => void = process.exit): void {
  let signalled = false
  const onSignal = () => {
    if (signalled) return exit(1)
    signalled = true
    server.close().then(
      () => exit(0),
      () => exit(1),
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
