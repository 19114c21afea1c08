/** Threads that share out the passes of large kernels. They start with the first such kernel, and end when none needs them. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { builtModule } from '../../../core/thread.js'
import { Control, type Job } from './control.js'
import type { Start, Told } from './crew-thread.js'
import type { Work } from './host.js'

/** Milliseconds. Threads that nobody needs give their memory back. */
const IDLE = 15_000
/** Milliseconds without an end of a chunk, each of which takes less than one, after which a thread counts as dead. */
const LONGEST_WAIT = 60_000

export type SharedKernel = Told & { works: readonly Work[] }

type Members = { control: Control; threads: { worker: Worker; port: MessagePort }[]; knows: Set<number> }

export class Crew {
  private members?: Members
  private idle?: NodeJS.Timeout
  private kernels = 0
  // An instance in a thread keeps the memory of its kernel, and a thread that sleeps collects nothing.
  private readonly collected = new FinalizationRegistry<number>((id) => {
    if (this.members?.knows.has(id)) this.dismiss()
  })

  /** `others`: threads beside the caller. `isCrowded`: whether they would find no core to run on, and be waited for. */
  constructor(
    private readonly others: number,
    private readonly isCrowded: () => boolean,
    private readonly longestWait = LONGEST_WAIT,
  ) {}

  /** A kernel that `run` takes jobs of; what else holds it may go when `holder` does. */
  kernel(told: Omit<Told, 'id'>, works: readonly Work[], holder: object): SharedKernel {
    const id = this.kernels++
    this.collected.register(holder, id)
    return { ...told, id, works }
  }

  /** Does a job together; threads that are still starting come in when they can. */
  run({ works, ...told }: SharedKernel, job: Job): void {
    const work = works[job.work]
    if (this.isCrowded()) return work(job.begin, job.end, job.a, job.b)
    this.members ??= this.enlist()
    this.idle?.refresh()
    const { control, threads, knows } = this.members
    if (!knows.has(told.id)) {
      knows.add(told.id)
      for (const { port } of threads) port.postMessage(told satisfies Told)
    }
    control.open(told.id, job)
    let whole = false
    try {
      control.take(work, job)
    } finally {
      whole = control.close(this.longestWait)
      if (!whole) this.dismiss()
    }
    if (!whole) throw new Error('a thread of the wasm engine has failed')
  }

  private enlist(): Members {
    const control = new Control()
    const threads = Array.from({ length: this.others }, () => {
      const { port1, port2 } = new MessageChannel()
      const worker = new Worker(builtModule(new URL('./crew-thread.js', import.meta.url)), {
        workerData: { words: control.words, port: port2 } satisfies Start,
        transferList: [port2],
      })
      worker.unref()
      port1.unref()
      // Those who wait for it find out by themselves.
      const gone = () => {
        if (this.members === members) this.dismiss()
      }
      worker.on('error', gone).on('exit', gone)
      return { worker, port: port1 }
    })
    const members = { control, threads, knows: new Set<number>() }
    this.idle = setTimeout(() => this.dismiss(), IDLE).unref()
    return members
  }

  /** Ends the threads; those of the next job are new. */
  dismiss(): void {
    clearTimeout(this.idle)
    const { threads = [] } = this.members ?? {}
    this.members = undefined
    for (const { worker, port } of threads) {
      port.close()
      void worker.terminate()
    }
  }
}
