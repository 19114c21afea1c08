/** The thread that owns the device. It answers one request at a time, and wakes the thread that waits for the answer. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { Device, type DeviceKernel, OutOfMemory } from './device.js'
import type { Answer, Call, Opened, Reply, Request } from './messages.js'
import { type Adapter, findAdapter, openDevice } from './package.js'

export type Start = { port: MessagePort; signal: Int32Array }
const { port, signal } = workerData as Start

/** Dawn's device does not keep the instance alive that it needs: collected, it takes the process along. */
let found: Adapter | undefined

const kernels = new Map<number, DeviceKernel>()
/** What went wrong outside of any promise: a request fails with it. A lost device stays lost. */
let fault: Error | undefined
let lost: Error | undefined

async function answer(device: Device, { kernel, ...request }: Call): Promise<Answer> {
  let result: Answer = {}
  if ('open' in request) kernels.set(kernel, await device.open(request.open))
  else result = await (kernels.get(kernel) as DeviceKernel).run(request.run)
  const wrong = lost ?? fault
  fault = undefined
  if (wrong) throw wrong
  return result
}

async function reply(device: Device, request: Request): Promise<void> {
  if ('close' in request) {
    kernels.get(request.kernel)?.close()
    kernels.delete(request.kernel)
    return
  }
  let message: Reply
  try {
    message = { call: request.call, answer: await answer(device, request) }
  } catch (error) {
    message = { call: request.call, failure: (error as Error).message, memory: error instanceof OutOfMemory }
  }
  const state = 'answer' in message ? message.answer.state : undefined
  port.postMessage(message, state ? [state] : [])
  Atomics.add(signal, 0, 1)
  Atomics.notify(signal, 0)
}

async function start(): Promise<void> {
  let opened: Opened
  try {
    found = await findAdapter()
    const gpu = await openDevice(found)
    gpu.addEventListener('uncapturederror', ({ error }) => {
      fault ??= error instanceof GPUOutOfMemoryError ? new OutOfMemory(error.message) : new Error(error.message)
    })
    gpu.lost.then(({ message }) => {
      lost = new Error(`the device is lost: ${message}`)
    })
    const device = new Device(gpu)
    let last = Promise.resolve()
    port.on('message', (request: Request) => {
      last = last.then(() => reply(device, request))
    })
    opened = {
      mostBytes: Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize),
    }
  } catch (error) {
    opened = { failure: (error as Error).message }
  }
  parentPort?.postMessage(opened)
}

await start()
