/** A server on free ports with the fake behind it, and the thinnest clients of both transports. */
import { create, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { anyUnpack } from '@bufbuild/protobuf/wkt'
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { pino } from 'pino'
import { afterAll, beforeAll, expect } from 'vitest'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../../src/core/gen/google/rpc/error_details_pb.js'
import { StatusSchema } from '../../src/core/gen/google/rpc/status_pb.js'
import { configSchema } from '../../src/server/config.js'
import { type Parts, type RunningServer, startServer } from '../../src/server/index.js'
import { type FakeSessions, fakeSessions } from './fake-sessions.js'

type Methods = (typeof Asktell)['method']
type In<K extends keyof Methods> = MessageInitShape<Methods[K]['input']>
type Out<K extends keyof Methods> = MessageShape<Methods[K]['output']>

export const silent = pino({ level: 'silent' })

export class Grpc {
  readonly client: Client
  constructor(port: number, options: object = {}) {
    this.client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      ...options,
    })
  }
  private shape(name: keyof Methods) {
    const method = Asktell.method[name]
    return {
      path: `/${Asktell.typeName}/${method.name}`,
      serialize: (m: Uint8Array) => Buffer.from(m),
      deserialize: (bytes: Buffer) => fromBinary(method.output, bytes) as never,
    }
  }
  /** `request` is a message's fields, or raw bytes to send as they are. */
  unary<K extends keyof Methods>(
    name: K,
    request: In<K> | Uint8Array,
    metadata: Record<string, string> = {},
  ): Promise<Out<K>> {
    const { path, serialize, deserialize } = this.shape(name)
    return new Promise((resolve, reject) =>
      this.client.makeUnaryRequest(
        path,
        serialize,
        deserialize,
        this.bytes(name, request),
        meta(metadata),
        (error, value) => (error ? reject(error) : resolve(value as never)),
      ),
    )
  }
  serverStream<K extends keyof Methods>(name: K, request: In<K>) {
    const { path, serialize, deserialize } = this.shape(name)
    return this.client.makeServerStreamRequest<Uint8Array, Out<K>>(
      path,
      serialize,
      deserialize,
      this.bytes(name, request),
    )
  }
  clientStream<K extends keyof Methods>(name: K, requests: In<K>[]): Promise<Out<K>> {
    const { path, serialize, deserialize } = this.shape(name)
    return new Promise((resolve, reject) => {
      const call = this.client.makeClientStreamRequest<Uint8Array, Out<K>>(
        path,
        serialize,
        deserialize,
        (error, value) => (error ? reject(error) : resolve(value as never)),
      )
      for (const request of requests) call.write(this.bytes(name, request))
      call.end()
    })
  }
  bidi<K extends keyof Methods>(name: K) {
    const { path, serialize, deserialize } = this.shape(name)
    const call = this.client.makeBidiStreamRequest<Uint8Array, Out<K>>(path, serialize, deserialize)
    return Object.assign(call, { send: (request: In<K>) => call.write(this.bytes(name, request)) })
  }
  bytes<K extends keyof Methods>(name: K, request: In<K> | Uint8Array): Uint8Array {
    if (request instanceof Uint8Array) return request
    const { input } = Asktell.method[name]
    return toBinary(input, create(input as never, request as never))
  }
}

const meta = (entries: Record<string, string>) => {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value)
  return metadata
}

export type Refusal = { code: number; reason: string; paths: string[]; retry: boolean; message: string }

/** What a gRPC error says, from its status details. */
export function refusal(error: unknown): Refusal {
  const { code, details, metadata } = error as ServiceError
  const [bytes] = metadata.get('grpc-status-details-bin')
  const status = bytes ? fromBinary(StatusSchema, bytes as Buffer) : undefined
  const unpack = <S extends Parameters<typeof anyUnpack>[1]>(schema: S) =>
    status?.details.map((any) => anyUnpack(any, schema as never)).find(Boolean) as MessageShape<S & never> | undefined
  const info = unpack(ErrorInfoSchema as never) as { reason: string } | undefined
  const bad = unpack(BadRequestSchema as never) as { fieldViolations: { field: string }[] } | undefined
  return {
    code,
    message: details,
    reason: info?.reason ?? '',
    paths: bad?.fieldViolations.map(({ field }) => field) ?? [],
    retry: unpack(RetryInfoSchema as never) !== undefined,
  }
}

/** The refusal of a promise that must fail. */
export const refused = (promise: Promise<unknown>): Promise<Refusal> =>
  promise.then(
    () => {
      throw new Error('expected a refusal, got an answer')
    },
    (error) => refusal(error),
  )

export type Harness = { server: RunningServer; sessions: FakeSessions; grpc: Grpc; url: string }

export async function start(config: Record<string, unknown> = {}, parts: Parts = {}): Promise<Harness> {
  const sessions = (parts.sessions as FakeSessions) ?? fakeSessions()
  const server = await startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, drainSeconds: 2, ...config }), {
    log: silent,
    onReady: () => {},
    ...parts,
    sessions,
  })
  return { server, sessions, grpc: new Grpc(server.grpcPort), url: `http://127.0.0.1:${server.httpPort}` }
}

/** One server for a whole file of tests. */
export function harness(config: Record<string, unknown> = {}, parts: Parts = {}): Harness {
  const held = {} as Harness
  beforeAll(async () => {
    Object.assign(held, await start(config, parts))
  })
  afterAll(async () => {
    held.grpc.client.close()
    await held.server.close()
  })
  return held
}

export const json = (url: string, method: string, body?: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  })

export const SEARCH = {
  method: 'random',
  space: { search: { parameters: [{ name: 'x', float: { low: 0, high: 2 } }] } },
}
export const searchSession = {
  method: 'random',
  space: {
    kind: {
      case: 'search' as const,
      value: { parameters: [{ name: 'x', type: { case: 'float' as const, value: { low: 0, high: 2 } } }] },
    },
  },
}
export const tensorSession = (shape: number[], dtype = 1) => ({
  method: 'sgd',
  space: {
    kind: { case: 'tensors' as const, value: { tensors: [{ name: 'w', shape: shape.map(BigInt), dtype }] } },
  },
})

/** The first `count` events of a stream of server-sent events. */
export async function sse(url: string, count: number, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = await fetch(url, { headers, signal: abort.signal })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const events: { id: string; data: string }[] = []
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const read = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
      events.push({ id: read('id'), data: read('data') })
    }
    if (events.length >= count) break
  }
  abort.abort()
  return events.slice(0, count)
}
