import { randomUUID } from 'node:crypto'
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
import { type AsktellError, isRetryable, toError } from './errors.js'
import { Asktell } from './gen/asktell/v1/service_pb.js'

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
    if ('requestId' in request && !request.requestId) (request as { requestId: string }).requestId = randomUUID()
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

  close(): void {
    this.grpc.close()
  }
}
