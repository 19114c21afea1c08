/** The gRPC transport: bytes in, bytes out, everything else is the dispatcher's. */
import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ServerHttp2Session } from 'node:http2'
import type { Readable, Writable } from 'node:stream'
import {
  type DescFile,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'
import { AsktellError } from '../../core/errors.js'
import { Asktell } from '../../core/gen/asktell/v1/service_pb.js'
import type { Authorizer } from '../auth.js'
import type { Dispatcher, Origin } from '../call.js'
import type { Config } from '../config.js'
import { GONE, pump } from '../pump.js'
import { requestId } from '../request-id.js'
import type { Transport } from '../transport.js'
import { grpcService } from './adapter.js'
import { toStatus, withReason } from './status.js'
import { raiseConnectionWindow, raiseStreamWindow } from './window.js'

const WINDOW_BYTES = 16 << 20

type AnyCall =
  | ServerUnaryCall<Buffer, Message>
  | ServerReadableStream<Buffer, Message>
  | ServerWritableStream<Buffer, Message>
  | ServerDuplexStream<Buffer, Message>

export async function startGrpc(config: Config, dispatcher: Dispatcher, authorizer: Authorizer): Promise<Transport> {
  const server = new Server({
    'grpc.max_receive_message_length': config.maxMessageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': config.maxConcurrentStreams,
    'grpc.enable_channelz': 0,
    interceptors: [guard(authorizer)],
  })
  raiseStreamWindow(server, WINDOW_BYTES)

  server.addService(
    grpcService(Asktell),
    Object.fromEntries(Asktell.methods.map((method) => [method.localName, handler(method, dispatcher)])),
  )
  const names = ['', Asktell.typeName]
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING' as const])))
  health.addToServer(server)
  reflection(Asktell).addToServer(server)

  const credentials = config.tls
    ? ServerCredentials.createSsl(null, [
        { cert_chain: readFileSync(config.tls.cert), private_key: readFileSync(config.tls.key) },
      ])
    : ServerCredentials.createInsecure()
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:${config.grpcPort}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  // Without channelz grpc-js forgets its connections, and forceShutdown would leave them open.
  const connections = new Set<ServerHttp2Session>()
  raiseConnectionWindow(server, WINDOW_BYTES, (session) => {
    connections.add(session)
    session.once('close', () => connections.delete(session))
  })

  return {
    port,
    drain() {
      for (const name of names) health.setStatus(name, 'NOT_SERVING')
    },
    close: (deadline) =>
      new Promise((resolve) => {
        const cut = () => {
          server.forceShutdown()
          for (const session of connections) session.destroy()
          resolve()
        }
        server.tryShutdown(cut)
        if (deadline.aborted) cut()
        else deadline.addEventListener('abort', cut, { once: true })
      }),
  }
}

/** Who calls, from the guard to the handler, which gets the same metadata. */
const principals = new WeakMap<Metadata, string>()

/** Lets nobody in whom the policy does not name, and gives every status a reason, also those of grpc-js itself. */
function guard(authorizer: Authorizer): ServerInterceptor {
  return (descriptor, call) => {
    const send = call.sendStatus.bind(call)
    call.sendStatus = (status) => send(withReason(status))
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, forward) {
            try {
              principals.set(metadata, authorizer.check(descriptor.path.slice(1), credentials(metadata)))
              forward(metadata)
            } catch (error) {
              call.sendStatus(toStatus(error))
            }
          },
          onReceiveMessage: (message, forward) => forward(message),
          onReceiveHalfClose: (forward) => forward(),
          onCancel() {},
        }),
    })
  }
}

const text = (metadata: Metadata, key: string): string | undefined => metadata.get(key)[0]?.toString()
const credentials = (metadata: Metadata) => ({
  authorization: text(metadata, 'authorization'),
  apiKey: text(metadata, 'x-api-key'),
})

function parse(method: DescMethod, bytes: Buffer): Message {
  try {
    return fromBinary(method.input, bytes)
  } catch (error) {
    throw new AsktellError('MALFORMED', `the bytes are not a ${method.input.typeName}: ${(error as Error).message}`)
  }
}

async function* messages(method: DescMethod, call: Readable) {
  // Else sixteen messages are read ahead, however large; Node has no public way to say so afterwards.
  const state = (call as Readable & { _readableState?: { highWaterMark: number } })._readableState
  if (state) state.highWaterMark = 1
  // Kept open when left early: the status still has to go out.
  for await (const bytes of call.iterator({ destroyOnReturn: false })) yield parse(method, bytes)
}

function handler(method: DescMethod, dispatcher: Dispatcher) {
  const streamsIn = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  return async (call: AnyCall, callback?: sendUnaryData<Message>) => {
    const gone = new AbortController()
    let finished = false
    // grpc-js says so after every call; an abort costs something, so it is kept for those that have not ended.
    ;(call as EventEmitter).on('cancelled', () => finished || gone.abort(GONE))
    const origin: Origin = {
      transport: 'grpc',
      requestId: requestId(text(call.metadata, 'x-request-id')),
      principal: principals.get(call.metadata) ?? '',
      traceparent: text(call.metadata, 'traceparent'),
      signal: gone.signal,
    }
    try {
      const read = () =>
        streamsIn
          ? messages(method, call as unknown as Readable)
          : parse(method, (call as ServerUnaryCall<Buffer, Message>).request)
      const answer = await dispatcher.run(method, read, origin)
      if (callback) {
        finished = true
        return callback(null, answer as Message)
      }
      await pump(answer as AsyncIterable<Message>, call as unknown as Writable, gone.signal)
      finished = true
      ;(call as ServerWritableStream<Buffer, Message>).end()
    } catch (error) {
      const status = toStatus(error)
      finished = true
      if (callback) callback(status as never)
      else call.emit('error', status)
    }
  }
}

/** The descriptors that the code was generated from, and those that they import. */
function reflection(service: DescService): ReflectionService {
  const files = new Map<string, Buffer>()
  const add = (file: DescFile) => {
    if (files.has(file.name)) return
    files.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)))
    file.dependencies.forEach(add)
  }
  add(service.file)
  const definition = { [service.typeName]: { fileDescriptorProtos: [...files.values()] } }
  return new ReflectionService(definition as never, { services: [service.typeName] })
}
