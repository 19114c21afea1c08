/**
 * The device thread as rules see it. Methods are synchronous and WebGPU is not: the device lives in a thread of its own,
 * and whoever asks it for something sleeps until the answer is there.
 */
import { once } from 'node:events'
import { AsktellError } from '../../../core/errors.js'
import { SyncThread } from '../../../core/sync-thread.js'
import type { Answer, Opened, Reply, Request, Run, Setup } from './messages.js'

/** Milliseconds. A step takes seconds at the very most; a driver that hangs must not hang the server for good. */
const LONGEST_WAIT = 600_000

export class DeviceThread {
  private next = 1
  /** The memory of kernels that are forgotten is given back. */
  private readonly forgotten = new FinalizationRegistry<number>((kernel) => this.thread.post({ kernel, close: true }))

  private constructor(
    private readonly thread: SyncThread<Request, Reply>,
    /** Bytes that one kernel may take. */
    readonly mostBytes: number,
  ) {}

  /** @throws Error that says why there is no device. */
  static async start(): Promise<DeviceThread> {
    const thread = new SyncThread<Request, Reply>(new URL('./thread.js', import.meta.url), LONGEST_WAIT)
    thread.worker.ref()
    const [opened] = (await once(thread.worker, 'message')) as [Opened]
    thread.worker.unref()
    if ('failure' in opened) throw new Error(opened.failure)
    return new DeviceThread(thread, opened.mostBytes)
  }

  open(owner: object, setup: Setup): number {
    const kernel = this.next++
    this.ask({ kernel, open: setup })
    this.forgotten.register(owner, kernel)
    return kernel
  }

  /** The buffer of `upload` is given away. */
  run(kernel: number, run: Run): Answer {
    return this.ask({ kernel, run }, run.upload ? [run.upload.buffer] : [])
  }

  private ask(request: Request, transfer: ArrayBuffer[] = []): Answer {
    const reply = this.thread.call(request, transfer)
    if (!reply) throw new AsktellError('UNAVAILABLE', 'the device of the webgpu engine does not answer')
    if ('answer' in reply) return reply.answer
    throw new AsktellError(reply.memory ? 'OVERLOADED' : 'INTERNAL', `the webgpu engine: ${reply.failure}`)
  }
}
