import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { AsktellError, isRetryable, toError } from './errors.js'
import { GradientChunkSchema, OptimizeRequestSchema, type StepRequestSchema } from './gen/asktell/v1/service_pb.js'
import { Dtype, type Tensor, type TensorSchema, type Tensors as TensorsMessage } from './gen/asktell/v1/tensor_pb.js'
import { type StepResult, toStepResult, type Unpack } from './query.js'
import type { Lease } from './shared.js'
import { isLost, type Transport } from './transport.js'

type OptimizeRequest = MessageShape<typeof OptimizeRequestSchema>
type Pending = {
  request: MessageShape<typeof StepRequestSchema>
  lease?: Lease
  messages: OptimizeRequest[]
  unpack?: Unpack
  resolve: (result: StepResult) => void
  reject: (error: unknown) => void
}

/** Gradients and products with a tensor above this many bytes travel in chunks of it: one large message holds up all behind it. */
const CHUNK = 1024 * 1024
const MAX_RECONNECTS = 8

/** A tensor in pieces of at most CHUNK bytes, which are views of its own. What is encoded with loss is in pieces already. */
function chunksOf(tensor: Tensor): MessageInitShape<typeof TensorSchema>[] {
  if (tensor.length > 0n) return [tensor]
  const width = tensor.dtype === Dtype.F64 ? 8 : 4
  return Array.from({ length: Math.ceil(tensor.data.byteLength / CHUNK) }, (_, i) => ({
    ...tensor,
    data: tensor.data.subarray(i * CHUNK, (i + 1) * CHUNK),
    offset: BigInt((i * CHUNK) / width),
  }))
}

const message = (name: 'step' | 'chunk', value: unknown): OptimizeRequest =>
  create(OptimizeRequestSchema, { message: { case: name, value } as OptimizeRequest['message'] })

/** A step as messages with all that it tells, what is large ahead of it in chunks. */
function inChunks(request: MessageShape<typeof StepRequestSchema>): OptimizeRequest[] {
  const messages: OptimizeRequest[] = []
  const large = (sets: readonly TensorsMessage[]) =>
    sets.some(({ tensors }) => tensors.some(({ data, offset }) => data.byteLength > CHUNK || offset > 0n))
  const observations = request.observations.map((observation) => {
    const { queryId } = observation
    const ahead = (sets: TensorsMessage[], product: boolean) => {
      if (!large(sets)) return sets
      for (const [point, { tensors }] of sets.entries())
        for (const tensor of tensors.flatMap(chunksOf))
          messages.push(message('chunk', create(GradientChunkSchema, { queryId, point, tensor, product })))
      return []
    }
    const gradients = ahead(observation.gradients, false)
    return { ...observation, gradients, products: ahead(observation.products, true) }
  })
  return [...messages, message('step', { ...request, observations })]
}

/**
 * Steps over one bidirectional stream: several times the rate of unary calls. When the connection breaks the stream is
 * opened again and every unanswered step is sent again under its old request id, so each is applied once.
 */
export class OptimizeStream {
  private call?: ClientDuplexStream<OptimizeRequest, unknown>
  private readonly pending: Pending[] = []
  private failures = 0
  private closed = false

  constructor(
    private readonly transport: Transport,
    private readonly name: string,
  ) {}

  /** Sends observations and asks for queries. Steps may be sent ahead: results come in order. */
  step(input: MessageInitShape<typeof StepRequestSchema>, unpack?: Unpack): Promise<StepResult> {
    if (this.closed) return Promise.reject(new AsktellError('CANCELLED', 'the stream was closed', 1))
    const { step } = this.transport.methods
    const request = this.transport.prepare(step, { ...input, name: this.name })
    const lease = this.transport.lease(request)
    const messages = lease ? [message('step', lease.share(request))] : inChunks(request)
    return new Promise((resolve, reject) => {
      this.pending.push({ request, lease, messages, unpack, resolve, reject })
      this.send(messages)
    })
  }

  private open() {
    const call = this.transport.bidiStream(this.transport.methods.optimize) as unknown as ClientDuplexStream<
      OptimizeRequest,
      Parameters<typeof toStepResult>[0]
    >
    this.call = call as unknown as ClientDuplexStream<OptimizeRequest, unknown>
    call.on('data', (response) => {
      this.failures = 0
      const step = this.pending.shift()
      if (!step) return
      try {
        this.transport.received(step.request, response, step.lease)
        step.resolve(toStepResult(response, step.unpack))
      } catch (error) {
        step.reject(error)
      } finally {
        step.lease?.release()
      }
    })
    call.on('error', (thrown) => {
      if (this.call !== (call as unknown)) return
      this.call = undefined
      const error = toError(thrown)
      if (this.closed || this.pending.length === 0) return
      if (isLost(error)) {
        this.transport.unshare()
        for (const step of this.pending) {
          step.lease?.release()
          step.lease = undefined
          step.messages = inChunks(step.request)
        }
        this.resend()
        return
      }
      if (!isRetryable(error) || ++this.failures > MAX_RECONNECTS) {
        // The refusal belongs to the oldest step; the ones behind it go out again.
        this.failures = 0
        const refused = this.pending.shift()
        refused?.lease?.release()
        refused?.reject(error)
        this.resend()
        return
      }
      setTimeout(() => this.resend(), 1000 * Math.min(2, 0.05 * 2 ** this.failures) * (0.5 + Math.random()))
    })
    call.on('end', () => {
      if (this.call !== (call as unknown)) return
      this.call = undefined
      if (!this.closed) this.resend()
    })
  }

  private resend() {
    for (const { messages } of this.pending) this.send(messages)
  }

  private send(messages: OptimizeRequest[]) {
    if (!this.call) this.open()
    for (const message of messages) this.call?.write(message)
  }

  /** Ends the stream once the steps sent so far are answered. */
  close(): void {
    this.closed = true
    this.call?.end()
    this.call = undefined
  }
}
