import { randomBytes } from 'node:crypto'
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { type ChannelCredentials, credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js'
import { AsktellError, isRetryable, toError } from './errors.js'
import { Asktell, type StepResponse } from './gen/asktell/v1/service_pb.js'
import { answeredBytes, LEAST, type Lease, SharedMemory, slotsFor, toldBytes } from './shared.js'

export type TransportOptions = {
  apiKey?: string
  /** TLS with these roots; plain text when absent. `true`: the system's roots. */
  tls?: boolean | { ca?: Buffer; cert?: Buffer; key?: Buffer }
  /** Seconds that a unary call may take, retries aside. */
  timeout?: number
  /** How often a call that found no server is sent again. */
  retries?: number
}

type Methods = (typeof Asktell)['method']
type Input<M extends DescMethod> = MessageInitShape<M['input']>
type Output<M extends DescMethod> = MessageShape<M['output']>

/** The parts of a request that tells or asks which decide on shared memory. */
export type SharedRequest = Pick<MessageShape<Methods['step']['input']>, 'name' | 'observations' | 'shared'> & {
  count?: number
  omitTensors?: boolean
}
export const isLost = (error: unknown): boolean =>
  error instanceof AsktellError && error.reason === 'SHARED_MEMORY_LOST'

const WINDOW = 16 * 1024 * 1024
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const wrap = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const path = (method: DescMethod) => `/${method.parent.typeName}/${method.name}`
const serialize = (schema: DescMessage) => (message: MessageShape<DescMessage>) => wrap(toBinary(schema, message))
const deserialize = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes)

/** protobuf-es messages over grpc-js, with request ids and retries that rely on them. */
export class Transport {
  readonly methods: Methods = Asktell.method
  private readonly grpc: GrpcClient
  private readonly metadata = new Metadata()
  private readonly timeout: number
  private readonly retries: number
  /** Shared with the server for as long as `sharing` is open. */
  private memory?: SharedMemory
  private sharing?: { cancel(): void }
  private shares = true
  /** Most bytes of tensors that a call had, by session. */
  private readonly bulk = new Map<string, number>()

  constructor(target: string, options: TransportOptions = {}) {
    const { tls } = options
    let channel: ChannelCredentials = credentials.createInsecure()
    if (tls === true) channel = credentials.createSsl()
    else if (tls) channel = credentials.createSsl(tls.ca, tls.key, tls.cert)
    this.grpc = new GrpcClient(target, channel, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc-node.flow_control_window': WINDOW,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2000,
    })
    if (options.apiKey) this.metadata.set('authorization', `Bearer ${options.apiKey}`)
    this.timeout = options.timeout ?? 60
    this.retries = options.retries ?? 5
  }

  /** A request with a fresh request id where its type has one and none is given. */
  prepare<M extends DescMethod>(method: M, input: Input<M>): MessageShape<M['input']> {
    const request = create(method.input, input) as MessageShape<M['input']>
    if ('requestId' in request && !request.requestId)
      (request as { requestId: string }).requestId = randomBytes(9).toString('base64url')
    return request
  }

  /** One reply. A lost connection is retried with the same request id, so that the call is applied once. */
  async unary<M extends DescMethod>(method: M, input: Input<M>, timeout = this.timeout): Promise<Output<M>> {
    const request = this.prepare(method, input)
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.once(method, request, timeout)
      } catch (thrown) {
        const error = toError(thrown)
        if (!isRetryable(error) || attempt >= this.retries) throw error
        const wait = (error as AsktellError).retryAfter ?? Math.min(2, 0.05 * 2 ** attempt)
        await sleep(1000 * wait * (0.5 + Math.random()))
      }
    }
  }

  private once<M extends DescMethod>(
    method: M,
    request: MessageShape<M['input']>,
    timeout: number,
  ): Promise<Output<M>> {
    return new Promise((resolve, reject) => {
      this.grpc.makeUnaryRequest(
        path(method),
        serialize(method.input),
        deserialize(method.output),
        request,
        this.metadata,
        { deadline: Date.now() + 1000 * timeout },
        (error, reply) => (error ? reject(error) : resolve(reply as Output<M>)),
      )
    })
  }

  serverStream<M extends DescMethod>(method: M, input: Input<M>) {
    return this.grpc.makeServerStreamRequest(
      path(method),
      serialize(method.input),
      deserialize(method.output),
      create(method.input, input),
      this.metadata,
    )
  }

  clientStream<M extends DescMethod>(method: M, done: (error: Error | null, reply?: Output<M>) => void) {
    return this.grpc.makeClientStreamRequest(
      path(method),
      serialize(method.input),
      deserialize(method.output),
      this.metadata,
      (error, reply) => done(error, reply as Output<M>),
    )
  }

  bidiStream<M extends DescMethod>(method: M) {
    return this.grpc.makeBidiStreamRequest(
      path(method),
      serialize(method.input),
      deserialize(method.output),
      this.metadata,
    )
  }

  /**
   * Room in shared memory for a call's tensors and those of its answer. The first calls of a session go without: it is
   * asked for when it is known how much they need.
   */
  lease(request: SharedRequest): Lease | undefined {
    const told = toldBytes(request)
    const bulk = Math.max(told, this.bulk.get(request.name) ?? 0)
    this.bulk.set(request.name, bulk)
    if (bulk < LEAST || !this.shares) return undefined
    if (!this.memory || this.memory.slotBytes < bulk) {
      if (!this.sharing) this.share(bulk)
      if (!this.memory) return undefined
    }
    return this.memory.lease(told > 0, (request.count ?? -1) >= 0 && !request.omitTensors)
  }

  /** Takes an answer's tensors out of the memory. */
  received(request: SharedRequest, response: StepResponse, lease?: Lease): void {
    lease?.fill(response)
    const bytes = answeredBytes(response)
    if (bytes > (this.bulk.get(request.name) ?? 0)) this.bulk.set(request.name, bytes)
    if (this.memory && bytes > this.memory.slotBytes) this.unshare()
  }

  private share(bytes: number): void {
    const call = this.serverStream(this.methods.shareMemory, slotsFor(bytes))
    this.sharing = call
    const end = () => {
      if (this.sharing === call) this.unshare()
    }
    call.on('data', (offer) => {
      if (this.sharing !== call) return
      try {
        this.memory = new SharedMemory(offer as ConstructorParameters<typeof SharedMemory>[0])
      } catch {
        // It is on another host, or runs for another user.
        this.shares = false
        call.cancel()
      }
    })
    call.on('error', (error) => {
      // A server that cannot be reached may share memory later.
      if (!this.memory && this.sharing === call) this.shares = isRetryable(toError(error))
      end()
    })
    call.on('end', end)
  }

  /** Goes on without the memory until another is there. */
  unshare(): void {
    const { sharing, memory } = this
    this.sharing = this.memory = undefined
    memory?.close()
    sharing?.cancel()
  }

  /** A call whose tensors may go by way of shared memory. Sent again with all that it holds when that is lost. */
  async exchange<M extends Methods['ask' | 'tell' | 'step']>(
    method: M,
    input: Input<M>,
    timeout = this.timeout,
  ): Promise<StepResponse> {
    const request = this.prepare(method, input)
    const shareable = { observations: [], ...request } as SharedRequest
    const lease = this.lease(shareable)
    try {
      const send = (message: unknown) => this.unary(method, message as Input<M>, timeout) as Promise<StepResponse>
      if (!lease) {
        const response = await send(request)
        this.received(shareable, response)
        return response
      }
      const { observations, ...shared } = lease.share(shareable)
      try {
        const response = await send('observations' in request ? { ...shared, observations } : shared)
        this.received(shareable, response, lease)
        return response
      } catch (error) {
        if (!isLost(error)) throw error
        this.unshare()
        return await send(request)
      }
    } finally {
      lease?.release()
    }
  }

  close(): void {
    this.unshare()
    this.grpc.close()
  }
}
