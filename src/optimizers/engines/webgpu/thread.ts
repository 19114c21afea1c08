/** The thread that owns the device. */
import { parentPort } from 'node:worker_threads'
import { answerCalls } from '../../../core/sync-thread.js'
import { Device, type DeviceKernel, OutOfMemory } from './device.js'
import type { Answer, Opened, Reply, Request } from './messages.js'
import { type Adapter, findAdapter, openDevice } from './package.js'

/** Dawn's device does not keep the instance alive that it needs: collected, it takes the process along. */
let found: Adapter | undefined

const kernels = new Map<number, DeviceKernel>()
/** What went wrong outside of any promise: a request fails with it. A lost device stays lost. */
let fault: Error | undefined
let lost: Error | undefined

async function answer(device: Device, { kernel, ...request }: Request): Promise<Answer> {
  let result: Answer = {}
  if ('open' in request) kernels.set(kernel, await device.open(request.open))
  else if ('run' in request) result = await (kernels.get(kernel) as DeviceKernel).run(request.run)
  const wrong = lost ?? fault
  fault = undefined
  if (wrong) throw wrong
  return result
}

async function reply(
  device: Device,
  request: Request,
): Promise<{ reply: Reply; transfer?: ArrayBuffer[] } | undefined> {
  if ('close' in request) {
    kernels.get(request.kernel)?.close()
    kernels.delete(request.kernel)
    return undefined
  }
  try {
    const answered = await answer(device, request)
    return { reply: { answer: answered }, transfer: answered.state ? [answered.state] : [] }
  } catch (error) {
    return { reply: { failure: (error as Error).message, memory: error instanceof OutOfMemory } }
  }
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
    answerCalls((request: Request) => reply(device, request))
    opened = {
      mostBytes: Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize),
    }
  } catch (error) {
    opened = { failure: (error as Error).message }
  }
  parentPort?.postMessage(opened)
}

await start()
