/** A thread of a crew: has an instance of each kernel that it was told of, and takes part in jobs until it is ended. */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Control } from './control.js'
import { HOST, type Work, worksOf } from './host.js'

export type Start = { words: Control['words']; port: MessagePort }
/** A kernel that threads share: its number, its module and what that imports. */
export type Told = {
  id: number
  module: WebAssembly.Module
  memory: WebAssembly.Memory
  address: Readonly<Record<string, number>>
}

const { words, port } = workerData as Start
const control = new Control(words)
const kernels = new Map<number, Work[]>()

/** A job is open only after its kernel was told of, so that the message is there. */
function worksOfKernel(id: number): Work[] {
  for (;;) {
    const known = kernels.get(id)
    if (known) return known
    const told = receiveMessageOnPort(port)?.message as Told
    const { module, memory, address } = told
    // Nothing shared out shares out in turn.
    const host = { ...HOST, memory, share: () => {} }
    kernels.set(told.id, worksOf(new WebAssembly.Instance(module, { host, address }).exports))
  }
}

for (;;) {
  const { wakes } = control
  const entered = control.enter()
  if (entered) {
    const { kernel, job } = entered
    try {
      control.take(worksOfKernel(kernel)[job.work], job)
    } catch (error) {
      control.fail()
      throw error
    } finally {
      control.leave()
    }
  }
  control.sleep(wakes)
}
