/** Optimize: Step as a stream, with gradients and products that may come ahead in chunks. */
import type { GradientChunk, OptimizeRequest, StepRequest } from '../core/gen/asktell/v1/service_pb.js'
import type { Tensors } from '../core/tensor.js'
import type { Landing } from '../sessions/api.js'
import { type Call, until } from './call.js'
import { fail, idOf, quote } from './codec/basics.js'
import type { Ahead, Layout } from './codec/query.js'
import { giveBack } from './codec/staging.js'
import { allowance, type Reserve, TensorAssembler } from './codec/tensors.js'
import { draining } from './errors.js'
import type { StepAnswer, Steps } from './steps.js'

/**
 * One response per step, in the order of the requests. A step is begun when the one before it is answered, so a
 * client that does not read its answers is not read from either.
 */
export function optimize(
  requests: AsyncIterable<OptimizeRequest>,
  call: Call,
  steps: Steps,
  maxGradientBytes: number,
): AsyncIterable<StepAnswer> {
  let name = ''
  let layout: Layout = { specs: [], encodings: {} }
  const chunks = new Chunks(maxGradientBytes)
  const incoming = until(requests, call.draining, draining)

  async function add(chunk: GradientChunk): Promise<void> {
    if (!name) fail('chunk', 'the first request of a stream is a step: it names the session')
    if (chunks.wantsRoom(chunk)) chunks.land(chunk.queryId, await steps.land(idOf('sessions', name), chunk.queryId))
    chunks.add(chunk, layout)
  }
  async function first(request: StepRequest): Promise<void> {
    layout = await steps.layout(idOf('sessions', request.name, 'step.name'))
    name = request.name
  }
  function take(request: StepRequest): Promise<StepAnswer> {
    if (request.name && request.name !== name)
      fail('step.name', `this stream is of ${quote(name)}, got ${quote(request.name)}`)
    request.name = name
    const chunked = chunks.take()
    for (const id of chunked.keys())
      if (!request.observations.some(({ queryId }) => queryId === id))
        fail('step.observations', `chunks came for query ${quote(id)}, but no observation`)
    return steps.step(request, 'step.', call, chunked)
  }
  async function leave(): Promise<void> {
    chunks.release()
    await incoming.return?.()
  }

  // By hand: what a generator does around a step takes longer than a small step's update.
  const iterator: AsyncIterator<StepAnswer> = {
    async next() {
      try {
        for (;;) {
          const { done, value } = await incoming.next()
          if (done) break
          const { message } = value
          if (message.case === 'chunk') await add(message.value)
          else if (message.case === 'step') {
            if (!name) await first(message.value)
            const answer = await take(message.value)
            chunks.release()
            return { done: false, value: answer }
          } else fail('message', 'expected a step or a chunk')
        }
      } catch (error) {
        await leave()
        throw error
      }
      chunks.release()
      return { done: true, value: undefined }
    },
    async return() {
      await leave()
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

type Part = 'gradients' | 'products'

/** Gradients and products under assembly: by query, by point or direction. */
class Chunks {
  private queries = new Map<string, { [part in Part]?: Map<number, TensorAssembler> }>()
  private reserve: Reserve
  /** Room in the session for the gradient of a query. */
  private landing?: { queryId: string; room: Landing | undefined }

  constructor(private readonly maxBytes: number) {
    this.reserve = allowance(maxBytes, 'chunk')
  }

  /** Whether a chunk begins a gradient that could be put together in the session itself. */
  wantsRoom({ queryId, point, product }: GradientChunk): boolean {
    return !this.landing && point === 0 && !product && !this.queries.has(queryId)
  }
  land(queryId: string, room: Landing | undefined): void {
    this.landing = { queryId, room }
  }
  /** What landed has been told, or never will be. */
  release(): void {
    this.landing?.room?.end()
    this.landing = undefined
  }

  add({ queryId, point, tensor, product }: GradientChunk, { specs, encodings }: Layout): void {
    if (!tensor) return fail('chunk.tensor', 'is missing')
    let parts = this.queries.get(queryId)
    if (!parts) this.queries.set(queryId, (parts = {}))
    const part = product ? 'products' : 'gradients'
    const points = (parts[part] ??= new Map())
    let assembler = points.get(point)
    if (!assembler) {
      const takes = product ? [] : encodings.gradients
      const { landing } = this
      const into = landing?.queryId === queryId && !product && point === 0 ? landing.room?.tensors : undefined
      assembler = new TensorAssembler(specs, 'OBSERVATION_INVALID', this.reserve, takes, into)
      points.set(point, assembler)
    }
    // A chunk is all that its message holds.
    if (assembler.add(tensor, 'chunk.tensor')) giveBack(tensor.data)
  }

  /** All that came, complete, and starts anew. */
  take(): Map<string, Ahead> {
    const taken = new Map<string, Ahead>()
    for (const [queryId, parts] of this.queries) {
      const entries = Object.entries(parts).map(([part, points]) => [part, whole(queryId, points)])
      taken.set(queryId, Object.fromEntries(entries))
    }
    this.queries = new Map()
    this.reserve = allowance(this.maxBytes, 'chunk')
    return taken
  }
}

function whole(queryId: string, points: ReadonlyMap<number, TensorAssembler>): Tensors[] {
  return Array.from({ length: points.size }, (_, p) => {
    const assembler = points.get(p)
    return assembler
      ? assembler.done('chunk.tensor')
      : fail('chunk.point', `query ${quote(queryId)} has chunks for ${points.size} points, none for ${p}`)
  })
}
