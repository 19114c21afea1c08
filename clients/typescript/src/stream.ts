import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { AsktellError, isRetryable, toError } from './errors.js'
import type { OptimizeRequestSchema, StepRequestSchema } from './gen/asktell/v1/service_pb.js'
import { Dtype, type Tensor, type TensorSchema } from './gen/asktell/v1/tensor_pb.js'
import { type StepResult, toStepResult, type Unpack } from './query.js'
import type { Transport } from './transport.js'

type OptimizeRequest = MessageShape<typeof OptimizeRequestSchema>
type Pending = {
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
    const { optimize, step } = this.transport.methods
    const request = this.transport.prepare(step, { ...input, name: this.name })
    const messages: OptimizeRequest[] = []
    for (const observation of request.observations) {
      const { queryId, gradients, products } = observation
      for (const [sets, product] of [[gradients, false] as const, [products, true] as const]) {
        const large = sets.some(({ tensors }) =>
          tensors.some(({ data, offset }) => data.byteLength > CHUNK || offset > 0n),
        )
        if (!large) continue
        for (const [point, { tensors }] of sets.splice(0).entries())
          for (const tensor of tensors.flatMap(chunksOf)) {
            const chunk = { queryId, point, tensor, product }
            messages.push(create(optimize.input, { message: { case: 'chunk', value: chunk } }))
          }
      }
    }
    messages.push(create(optimize.input, { message: { case: 'step', value: request } }))
    return new Promise((resolve, reject) => {
      this.pending.push({ messages, unpack, resolve, reject })
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
      try {
        step?.resolve(toStepResult(response, step.unpack))
      } catch (error) {
        step?.reject(error)
      }
    })
    call.on('error', (thrown) => {
      if (this.call !== (call as unknown)) return
      this.call = undefined
      const error = toError(thrown)
      if (this.closed || this.pending.length === 0) return
      if (!isRetryable(error) || ++this.failures > MAX_RECONNECTS) {
        // The refusal belongs to the oldest step; the ones behind it go out again.
        this.failures = 0
        this.pending.shift()?.reject(error)
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
