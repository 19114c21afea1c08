/**
 * The device thread as rules see it. Methods are synchronous and WebGPU is not: the device lives in a thread of its own,
 * and whoever asks it for something sleeps until the answer is there.
 */
import { once } from 'node:events'
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import { AsktellError } from '../../../core/errors.js'
import { builtModule } from '../../../core/thread.js'
import type { Answer, Call, Opened, Reply, Request, Run, Setup } from './messages.js'
import type { Start } from './thread.js'

type Asked = { kernel: number } & ({ open: Setup } | { run: Run })

/** Milliseconds. A step takes seconds at the very most; a driver that hangs must not hang the server for good. */
const LONGEST_WAIT = 600_000

export class DeviceThread {
  private next = 1
  private calls = 0
  /** It has left a call without an answer: whatever it says now belongs to that. */
  private silent = false
  /** The memory of kernels that are forgotten is given back. */
  private readonly forgotten = new FinalizationRegistry<number>((kernel) =>
    this.port.postMessage({ kernel, close: true } satisfies Request),
  )

  private constructor(
    private readonly port: MessagePort,
    private readonly signal: Int32Array,
    /** Bytes that one kernel may take. */
    readonly mostBytes: number,
  ) {}

  /** @throws Error that says why there is no device. */
  static async start(): Promise<DeviceThread> {
    const { port1: port, port2 } = new MessageChannel()
    const signal = new Int32Array(new SharedArrayBuffer(4))
    const workerData: Start = { port: port2, signal }
    const worker = new Worker(builtModule(new URL('./thread.js', import.meta.url)), {
      workerData,
      transferList: [port2],
    })
    // Not through the port: with a listener, the event loop would take answers that somebody waits for.
    const [opened] = (await once(worker, 'message')) as [Opened]
    if ('failure' in opened) throw new Error(opened.failure)
    worker.unref()
    return new DeviceThread(port, signal, opened.mostBytes)
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

  private ask(request: Asked, transfer: ArrayBuffer[] = []): Answer {
    const call = ++this.calls
    if (!this.silent) this.port.postMessage({ ...request, call } satisfies Call, transfer)
    const reply = this.replyTo(call)
    if ('answer' in reply) return reply.answer
    throw new AsktellError(reply.memory ? 'OVERLOADED' : 'INTERNAL', `the webgpu engine: ${reply.failure}`)
  }

  /** Sleeps until the reply to a call is there. */
  private replyTo(call: number): Reply {
    while (!this.silent) {
      const before = Atomics.load(this.signal, 0)
      const received = receiveMessageOnPort(this.port)?.message as Reply | undefined
      if (received?.call === call) return received
      if (!received) this.silent = Atomics.wait(this.signal, 0, before, LONGEST_WAIT) === 'timed-out'
    }
    throw new AsktellError('UNAVAILABLE', 'the device of the webgpu engine does not answer')
  }
}
