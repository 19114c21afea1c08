/** A thread that is asked and waited for: the caller sleeps until the answer is there. For work that synchronous code needs. */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads'
import { builtModule } from './thread.js'

type Line = { port: MessagePort; signal: Int32Array }
type Numbered<T> = { call: number; value: T }

export class SyncThread<Request, Reply> {
  readonly worker: Worker
  private readonly port: MessagePort
  private readonly signal = new Int32Array(new SharedArrayBuffer(4))
  private calls = 0
  /** It has left a call without an answer: whatever it says now belongs to that. */
  private silent = false

  /** `module`: the code of the thread, which calls `answerCalls`. `longestWait`: milliseconds until a call has failed. */
  constructor(
    module: URL,
    private readonly longestWait: number,
  ) {
    const { port1, port2 } = new MessageChannel()
    this.port = port1
    const line: Line = { port: port2, signal: this.signal }
    this.worker = new Worker(builtModule(module), { workerData: line, transferList: [port2] })
    this.worker.unref()
  }

  /** A request that has no answer. */
  post(value: Request): void {
    this.port.postMessage({ call: 0, value } satisfies Numbered<Request>)
  }

  /** The answer, or undefined where the thread has left this call or one before without any. */
  call(value: Request, transfer: ArrayBuffer[] = []): Reply | undefined {
    const call = ++this.calls
    if (!this.silent) this.port.postMessage({ call, value } satisfies Numbered<Request>, transfer)
    while (!this.silent) {
      const before = Atomics.load(this.signal, 0)
      // Not through a listener: the event loop would take answers that somebody waits for.
      const received = receiveMessageOnPort(this.port)?.message as Numbered<Reply> | undefined
      if (received?.call === call) return received.value
      if (!received) this.silent = Atomics.wait(this.signal, 0, before, this.longestWait) === 'timed-out'
    }
    return undefined
  }
}

/** Answers the requests to this thread, one after the other; `answer` gives undefined to those that were posted. */
export function answerCalls<Request, Reply>(
  answer: (request: Request) => Promise<{ reply: Reply; transfer?: ArrayBuffer[] } | undefined>,
): void {
  const { port, signal } = workerData as Line
  let last = Promise.resolve()
  port.on('message', ({ call, value }: Numbered<Request>) => {
    last = last.then(async () => {
      const answered = await answer(value)
      if (!answered) return
      port.postMessage({ call, value: answered.reply } satisfies Numbered<Reply>, answered.transfer ?? [])
      Atomics.add(signal, 0, 1)
      Atomics.notify(signal, 0)
    })
  })
}
