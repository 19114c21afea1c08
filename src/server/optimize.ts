/** Optimize: Step as a stream, with gradients that may come ahead in chunks. */
import type { GradientChunk, OptimizeRequest, StepResponse } from '../core/gen/asktell/v1/service_pb.js'
import type { TensorSpec, Tensors } from '../core/tensor.js'
import { type Call, until } from './call.js'
import { fail, idOf, quote } from './codec/basics.js'
import { giveBack } from './codec/staging.js'
import { TensorAssembler } from './codec/tensors.js'
import { draining } from './errors.js'
import type { Steps } from './steps.js'

/**
 * One response per step, in the order of the requests. A step is begun when the one before it is answered, so a
 * client that does not read its answers is not read from either.
 */
export async function* optimize(
  requests: AsyncIterable<OptimizeRequest>,
  call: Call,
  steps: Steps,
  maxGradientBytes: number,
): AsyncGenerator<StepResponse> {
  let name = ''
  let specs: readonly TensorSpec[] = []
  const chunks = new Chunks(maxGradientBytes)
  for await (const { message } of until(requests, call.draining, draining)) {
    switch (message.case) {
      case 'chunk':
        if (!name) fail('chunk', 'the first request of a stream is a step: it names the session')
        chunks.add(message.value, specs)
        break
      case 'step': {
        const request = message.value
        if (!name) {
          specs = await steps.manifest(idOf('sessions', request.name, 'step.name'))
          name = request.name
        } else if (request.name && request.name !== name)
          fail('step.name', `this stream is of ${quote(name)}, got ${quote(request.name)}`)
        request.name = name
        const gradients = chunks.take()
        const missing = [...gradients.keys()].find((id) => !request.observations.some((o) => o.queryId === id))
        if (missing !== undefined)
          fail('step.observations', `chunks came for query ${quote(missing)}, but no observation`)
        yield await steps.step(request, 'step.', call, gradients)
        break
      }
      default:
        fail('message', 'expected a step or a chunk')
    }
  }
}

/** Gradients under assembly: by query, by point. */
class Chunks {
  private queries = new Map<string, Map<number, TensorAssembler>>()
  private bytes = 0

  constructor(private readonly maxBytes: number) {}

  add({ queryId, point, tensor }: GradientChunk, specs: readonly TensorSpec[]): void {
    if (!tensor) return fail('chunk.tensor', 'is missing')
    let points = this.queries.get(queryId)
    if (!points) this.queries.set(queryId, (points = new Map()))
    let assembler = points.get(point)
    if (!assembler) points.set(point, (assembler = new TensorAssembler(specs, 'OBSERVATION_INVALID', this.reserve)))
    // A chunk is all that its message holds.
    if (assembler.add(tensor, 'chunk.tensor')) giveBack(tensor.data)
  }

  private readonly reserve = (bytes: number) => {
    this.bytes += bytes
    if (this.bytes > this.maxBytes)
      fail('chunk', `gradients of more than ${this.maxBytes} bytes wait for their step`, 'MESSAGE_TOO_LARGE')
  }

  /** All gradients, complete, and starts anew. */
  take(): Map<string, Tensors[]> {
    const taken = new Map<string, Tensors[]>()
    for (const [queryId, points] of this.queries) {
      const gradients: Tensors[] = []
      for (let p = 0; p < points.size; p++) {
        const assembler = points.get(p)
        if (!assembler)
          return fail('chunk.point', `query ${quote(queryId)} has chunks for ${points.size} points, none for ${p}`)
        gradients.push(assembler.done('chunk.tensor'))
      }
      taken.set(queryId, gradients)
    }
    this.queries = new Map()
    this.bytes = 0
    return taken
  }
}
