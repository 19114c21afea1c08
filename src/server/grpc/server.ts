/**
 * The gRPC transport, on node:http2: bytes in, bytes out, everything else is the dispatcher's. Framing, windows and
 * deadlines follow "gRPC over HTTP/2" (grpc.io, PROTOCOL-HTTP2); docs/decisions/0006 says why not grpc-js.
 */
import { readFileSync } from 'node:fs'
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { type DescMethod, fromBinary, type Message } from '@bufbuild/protobuf'
import { AsktellError } from '../../core/errors.js'
import { Asktell } from '../../core/gen/asktell/v1/service_pb.js'
import type { Authorizer } from '../auth.js'
import { type Dispatcher, isStream } from '../call.js'
import { Encoded } from '../codec/encoded.js'
import type { Config } from '../config.js'
import { requestId } from '../request-id.js'
import type { Transport } from '../transport.js'
import type { Route } from './adapter.js'
import { GrpcCall } from './call.js'
import { StandardServices } from './standard.js'
import { statusOf } from './status.js'

/** Of a stream and of a connection: what may be on its way in before an answer comes back. */
const WINDOW_BYTES = 16 << 20
const FRAME_BYTES = 1 << 20
const KEEP_ALIVE_MS = 60_000

type RouteOf = (path: string) => Route | undefined | Promise<Route | undefined>

export async function startGrpc(config: Config, dispatcher: Dispatcher, authorizer: Authorizer): Promise<Transport> {
  const standard = new StandardServices(Asktell, dispatcher.draining)
  const own = new Map<string, Route>()
  for (const method of Asktell.methods) own.set(`/${Asktell.typeName}/${method.name}`, route(method, dispatcher))
  const routeOf: RouteOf = (path) => own.get(path) ?? standard.route(path)

  const server = listener(config)
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new Set<Socket>()
  server.on('session', (session) => {
    session.setLocalWindowSize(WINDOW_BYTES)
    session.on('error', () => {})
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
  })
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('stream', (stream, headers) => void answer(stream, headers, routeOf, authorizer, config.maxMessageBytes))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.grpcPort, config.host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })

  return {
    port: (server.address() as AddressInfo).port,
    drain: () => standard.drain(),
    close: (deadline) =>
      new Promise((resolve) => {
        // A session that is closing would wait for a peer that no longer reads.
        const cut = () => {
          for (const socket of sockets) socket.destroy()
        }
        server.close(() => resolve())
        for (const session of sessions) session.close()
        if (deadline.aborted) cut()
        else deadline.addEventListener('abort', cut, { once: true })
      }),
  }
}

function listener({ tls, maxConcurrentStreams }: Config): Http2Server {
  const options = {
    settings: { maxConcurrentStreams, initialWindowSize: WINDOW_BYTES, maxFrameSize: FRAME_BYTES },
    // Messages have limits of their own.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
  }
  if (!tls) return createServer(options)
  return createSecureServer({ ...options, cert: readFileSync(tls.cert), key: readFileSync(tls.key) })
}

/** Runs one call from its headers to its status. */
async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  routeOf: RouteOf,
  authorizer: Authorizer,
  maxMessageBytes: number,
): Promise<void> {
  const { ':method': verb, ':path': path = '', 'content-type': type = '' } = headers
  if (verb !== 'POST' || !/^application\/grpc(\+proto)?(;|$)/.test(type)) {
    stream.on('error', () => {})
    stream.respond({ ':status': verb === 'POST' ? 415 : 405 }, { endStream: true })
    return
  }
  const call = new GrpcCall(stream, headers, maxMessageBytes)
  try {
    call.open(authorizer.check(path.slice(1), credentials(call)))
    const run = await routeOf(path)
    if (!run) throw new AsktellError('UNSUPPORTED', `there is no call ${path}`)
    await run(call)
    call.end()
  } catch (error) {
    call.end(statusOf(error))
  }
}

const credentials = (call: GrpcCall) => ({
  authorization: call.header('authorization'),
  apiKey: call.header('x-api-key'),
})

function parse(method: DescMethod, bytes: Buffer): Message {
  try {
    return fromBinary(method.input, bytes)
  } catch (error) {
    throw new AsktellError('MALFORMED', `the bytes are not a ${method.input.typeName}: ${(error as Error).message}`)
  }
}

/** The caller's messages, once. */
function messages(method: DescMethod, call: GrpcCall): AsyncIterable<Message> {
  const iterator: AsyncIterator<Message> = {
    async next() {
      const bytes = await call.next()
      return bytes ? { done: false, value: parse(method, bytes) } : { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

function route(method: DescMethod, dispatcher: Dispatcher): Route {
  const streamsIn = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  return async (call) => {
    const read = async () => (streamsIn ? messages(method, call) : parse(method, await call.only()))
    const answer = await dispatcher.run(method, read, {
      transport: 'grpc',
      requestId: requestId(call.header('x-request-id')),
      principal: call.principal,
      traceparent: call.header('traceparent'),
      signal: call.signal,
    })
    if (!isStream(answer)) return call.send(Encoded.of(method.output, answer))
    call.begin()
    let sent: Promise<void> = Promise.resolve()
    for await (const message of answer) {
      await sent
      sent = call.send(Encoded.of(method.output, message))
      // Awaited in the next round; a failure in between must not count as unhandled.
      sent.catch(() => {})
    }
    await sent
  }
}
