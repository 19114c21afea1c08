/** A thread of the pool: hosts of heavy methods, driven by messages. */
import { parentPort, workerData } from 'node:worker_threads'
import { methods as blackbox } from '../../blackbox/catalogue.gen.js'
import { AsktellError, type Issue, type Reason } from '../../core/errors.js'
import type { AnyMethod } from '../../core/method.js'
import type { Event } from '../../core/query.js'
import type { FloatArray } from '../../core/tensor.js'
import { methods as gradient } from '../../optimizers/catalogue.gen.js'
import { keepModules, useThreads } from '../../optimizers/engines/index.js'
import { type AnalysisTask, Analyst } from './analyst.js'
import type { Host, Setup } from './host.js'
import { InlineHosts } from './inline.js'

export type Start = { modules: readonly string[]; wasmThreads?: number; compiled?: string }
export type Call =
  | { analyze: AnalysisTask }
  | ({ host: number } & (
      | { open: Setup }
      | { step: readonly Event[] }
      | { reconfigure: { config: unknown; changed: readonly string[] } }
      | { read: 'estimate' | 'state' }
      | { view: string }
      | { close: true }
    ))
export type Reply = {
  id: number
  value?: unknown
  error?: { reason: Reason; message: string; issues?: readonly Issue[] }
}

async function start(): Promise<InlineHosts> {
  const { modules, wasmThreads, compiled } = workerData as Start
  if (compiled) keepModules(compiled)
  if (wasmThreads) useThreads(wasmThreads)
  const more: { methods: readonly AnyMethod[] }[] = await Promise.all(modules.map((module) => import(module)))
  const all = [...gradient, ...blackbox, ...more.flatMap(({ methods }) => methods)]
  return new InlineHosts(new Map(all.map((method) => [method.id, method])))
}

const factory = start()
const hosts = new Map<number, Host>()
const analyst = new Analyst()

async function run(call: Call): Promise<unknown> {
  if ('analyze' in call) return analyst.analyze(call.analyze)
  if ('open' in call) {
    hosts.set(call.host, await (await factory).open(call.open))
    return undefined
  }
  const host = hosts.get(call.host)!
  if ('step' in call) return host.step(call.step)
  if ('reconfigure' in call) return host.reconfigure(call.reconfigure.config, call.reconfigure.changed)
  if ('view' in call) return host.view(call.view)
  // In one piece: of a view a message would carry all that lies in its buffer.
  if ('read' in call) return call.read === 'state' ? (await host.state()).join() : host.estimate()
  hosts.delete(call.host)
  return undefined
}

/** With copies of the arrays in memory that threads share, which posting would share once more. */
function apart(value: unknown): unknown {
  if (ArrayBuffer.isView(value))
    return value.buffer instanceof SharedArrayBuffer ? (value as FloatArray).slice() : value
  if (Array.isArray(value)) return value.map(apart)
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, apart(inner)]))
}

parentPort?.on('message', async ({ id, call }: { id: number; call: Call }) => {
  let reply: Reply
  try {
    reply = { id, value: apart(await run(call)) }
  } catch (error) {
    const { reason, issues }: Partial<AsktellError> = error instanceof AsktellError ? error : {}
    reply = { id, error: { reason: reason ?? 'INTERNAL', message: (error as Error).message, issues } }
  }
  parentPort?.postMessage(reply)
})
