/**
 * Runs heavy methods on worker threads, so that a fit of a second never delays other calls. A session stays on one worker,
 * which holds its state and all that is derived from it. Analyses have a worker of their own: they wait for each other, and
 * no suggestion waits for them.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Analysis } from '../../blackbox/analysis/analysis.js'
import { AsktellError } from '../../core/errors.js'
import type { Event } from '../../core/query.js'
import { builtModule } from '../../core/thread.js'
import { Segments } from '../../core/tree.js'
import type { AnalysisTask } from './analyst.js'
import type { Host, Hosts, Setup } from './host.js'
import type { Call, Reply, Start } from './worker.js'

type Thread = {
  worker: Worker
  hosts: number
  calls: Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>
  /** Why it can't be used any more. */
  dead?: Error
}

/** Analyses that may wait at a time. */
const MOST_ANALYSES = 16

export class PoolHosts implements Hosts {
  private readonly threads: Thread[] = []
  private analyst?: Thread
  private readonly most: number
  private nextCall = 1
  private nextHost = 1
  private closing = false

  /** `modules` export further `methods` that the workers know; `compiled` is where compiled rules are kept. */
  constructor(private readonly options: Partial<Start> & { threads?: number } = {}) {
    this.most = options.threads ?? Math.max(1, Math.min(4, availableParallelism() - 1))
  }

  async open(setup: Setup): Promise<Host> {
    const thread = this.pick()
    thread.hosts++
    const key = this.nextHost++
    try {
      await this.call(thread, { host: key, open: setup })
      return new PoolHost(this, thread, key)
    } catch (error) {
      thread.hosts--
      throw error
    }
  }

  async analyze({ trials, ...task }: Required<AnalysisTask>): Promise<Analysis> {
    this.analyst ??= this.start()
    const waiting = this.analyst.calls.size
    if (waiting >= MOST_ANALYSES)
      throw new AsktellError('OVERLOADED', `${waiting} analyses are waiting`, { retryAfter: 1 })
    const thread = this.analyst
    // Trials take longer to send than most analyses of them to compute: only where they are not known.
    const known = await this.call(thread, { analyze: task })
    return (known ?? (await this.call(thread, { analyze: { ...task, trials } }))) as Analysis
  }

  /** The worker with the fewest sessions; a new one while there may be more. */
  private pick(): Thread {
    const free = this.threads.toSorted((a, b) => a.hosts - b.hosts)[0]
    if (free && (free.hosts === 0 || this.threads.length >= this.most)) return free
    const thread = this.start()
    this.threads.push(thread)
    return thread
  }

  private start(): Thread {
    const thread: Thread = {
      worker: new Worker(builtModule(new URL('./worker.js', import.meta.url)), {
        workerData: { ...this.options, modules: this.options.modules ?? [] } satisfies Start,
      }),
      hosts: 0,
      calls: new Map(),
    }
    thread.worker.unref()
    thread.worker.on('message', ({ id, value, error }: Reply) => {
      const call = thread.calls.get(id)
      thread.calls.delete(id)
      if (thread.calls.size === 0 && !this.closing) thread.worker.unref()
      if (error) call?.reject(new AsktellError(error.reason, error.message, { issues: error.issues }))
      else call?.resolve(value)
    })
    const died = (why: Error) => {
      thread.dead ??= why
      const at = this.threads.indexOf(thread)
      if (at >= 0) this.threads.splice(at, 1)
      if (this.analyst === thread) this.analyst = undefined
      for (const { reject } of thread.calls.values()) reject(lost(thread.dead))
      thread.calls.clear()
    }
    thread.worker.on('error', died)
    thread.worker.on('exit', (code) =>
      died(new Error(this.closing ? 'the server is stopping' : `it ended with code ${code}`)),
    )
    return thread
  }

  call(thread: Thread, call: Call): Promise<unknown> {
    if (thread.dead) return Promise.reject(lost(thread.dead))
    const id = this.nextCall++
    return new Promise((resolve, reject) => {
      if (thread.calls.size === 0) thread.worker.ref()
      thread.calls.set(id, { resolve, reject })
      thread.worker.postMessage({ id, call })
    })
  }

  async close(): Promise<void> {
    this.closing = true
    await Promise.all(
      [...this.threads, ...(this.analyst ? [this.analyst] : [])].map(({ worker }) => {
        // An idle worker does not keep the process alive; its end must be waited for.
        worker.ref()
        return worker.terminate()
      }),
    )
  }
}

class PoolHost implements Host {
  private closed = false

  constructor(
    private readonly pool: PoolHosts,
    private readonly thread: Thread,
    private readonly host: number,
  ) {}
  step(events: readonly Event[]) {
    return this.call({ host: this.host, step: events }) as ReturnType<Host['step']>
  }
  reconfigure(config: unknown, changed: readonly string[]) {
    return this.call({ host: this.host, reconfigure: { config, changed } }) as ReturnType<Host['reconfigure']>
  }
  restart(setup: Setup) {
    return this.call({ host: this.host, open: setup }) as Promise<void>
  }
  estimate() {
    return this.call({ host: this.host, read: 'estimate' }) as ReturnType<Host['estimate']>
  }
  view(name: string) {
    return this.call({ host: this.host, view: name }) as ReturnType<Host['view']>
  }
  state() {
    return this.call({ host: this.host, read: 'state' }).then((bytes) => new Segments([bytes as Uint8Array]))
  }
  close() {
    if (this.closed) return
    this.closed = true
    this.thread.hosts--
    this.call({ host: this.host, close: true }).catch(() => {})
  }
  private call(call: Call) {
    return this.pool.call(this.thread, call)
  }
}

const lost = (why: Error): AsktellError =>
  new AsktellError('UNAVAILABLE', `the worker of this session is gone: ${why.message}`, { retryAfter: 1 })
