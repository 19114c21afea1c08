/** gRPC as it comes over the line: frames of raw HTTP/2, whole, in pieces and broken. */
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { anyUnpack } from '@bufbuild/protobuf/wkt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GetSessionRequestSchema, ListMethodsRequestSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { ErrorInfoSchema } from '../../src/core/gen/google/rpc/error_details_pb.js'
import { StatusSchema } from '../../src/core/gen/google/rpc/status_pb.js'
import { harness } from './clients.js'

const h = harness({ maxMessageBytes: 1 << 16 })
let session: ClientHttp2Session
beforeAll(() => {
  session = connect(`http://127.0.0.1:${h.server.grpcPort}`)
})
afterAll(() => session.close())

const LIST = '/asktell.v1.Asktell/ListMethods'
const MESSAGE = toBinary(ListMethodsRequestSchema, create(ListMethodsRequestSchema, { pageSize: 1 }))

function framed(bytes: Uint8Array, flag = 0): Buffer {
  const frame = Buffer.alloc(5 + bytes.length)
  frame[0] = flag
  frame.writeUInt32BE(bytes.length, 1)
  frame.set(bytes, 5)
  return frame
}

/** Sends pieces as data of one call; its headers, trailers and body. `open` leaves the call open. */
async function call(path: string, pieces: readonly Uint8Array[], headers: OutgoingHttpHeaders = {}, open = false) {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  let answered: Record<string, unknown> = {}
  const body: Buffer[] = []
  stream.on('response', (got) => {
    answered = { ...answered, ...got }
  })
  stream.on('trailers', (got) => {
    answered = { ...answered, ...got }
  })
  stream.on('data', (bytes: Buffer) => body.push(bytes))
  const closed = new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject))
  for (const piece of pieces) {
    stream.write(piece)
    await new Promise(setImmediate)
  }
  if (!open) stream.end()
  await closed
  const details = answered['grpc-status-details-bin'] as string | undefined
  const status = details ? fromBinary(StatusSchema, Buffer.from(details, 'base64')) : undefined
  const reason = status && anyUnpack(status.details[0], ErrorInfoSchema)?.reason
  return {
    http: answered[':status'],
    status: Number(answered['grpc-status']),
    message: String(answered['grpc-message']),
    reason,
    body: Buffer.concat(body),
  }
}

describe('a message', () => {
  it('may come in pieces of any length', async () => {
    const whole = framed(MESSAGE)
    const { status, body } = await call(LIST, [whole])
    expect(status).toBe(0)
    expect(body.length).toBeGreaterThan(5)
    for (const size of [1, 2, 5, 6]) {
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
        whole.subarray(i * size, (i + 1) * size),
      )
      expect(await call(LIST, pieces)).toMatchObject({ status: 0, body })
    }
  })

  it('may be compressed', async () => {
    const packed = framed(gzipSync(MESSAGE), 1)
    expect(await call(LIST, [packed], { 'grpc-encoding': 'gzip' })).toMatchObject({ status: 0 })
    expect(await call(LIST, [packed])).toMatchObject({ reason: 'MALFORMED' })
    expect(await call(LIST, [framed(MESSAGE, 1)], { 'grpc-encoding': 'gzip' })).toMatchObject({ reason: 'MALFORMED' })
    const bomb = framed(gzipSync(Buffer.alloc(1 << 20)), 1)
    expect(await call(LIST, [bomb], { 'grpc-encoding': 'gzip' })).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    expect(await call(LIST, [packed], { 'grpc-encoding': 'snappy' })).toMatchObject({ reason: 'UNSUPPORTED' })
  })

  it('is refused when it is broken, and the connection goes on', async () => {
    const long = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
    expect(await call(LIST, [long])).toMatchObject({ status: 8, reason: 'MESSAGE_TOO_LARGE' })
    expect(await call(LIST, [framed(MESSAGE, 7)])).toMatchObject({ status: 3, reason: 'MALFORMED' })
    expect(await call(LIST, [framed(MESSAGE).subarray(0, 6)])).toMatchObject({ reason: 'MALFORMED' })
    expect(await call(LIST, [Buffer.from([0, 0])])).toMatchObject({ reason: 'MALFORMED' })
    expect(await call(LIST, [])).toMatchObject({ reason: 'MALFORMED' })
    expect(await call(LIST, [framed(MESSAGE), framed(MESSAGE)])).toMatchObject({ reason: 'MALFORMED' })
    expect(await call(LIST, [framed(MESSAGE)])).toMatchObject({ status: 0 })
  })
})

describe('a call', () => {
  it('that is none is told so', async () => {
    expect(await call(LIST, [], { 'content-type': 'application/json' })).toMatchObject({ http: 415 })
    expect(await call(LIST, [], { ':method': 'PUT' })).toMatchObject({ http: 405 })
    expect(await call('/asktell.v1.Asktell/Nothing', [])).toMatchObject({ status: 7, reason: 'PERMISSION_DENIED' })
  })

  it('ends with its deadline', async () => {
    const slow = await call('/asktell.v1.Asktell/Optimize', [], { 'grpc-timeout': '50m' }, true)
    expect(slow).toMatchObject({ status: 4, reason: 'DEADLINE' })
    expect(await call(LIST, [framed(MESSAGE)], { 'grpc-timeout': '10S' })).toMatchObject({ status: 0 })
    expect(await call(LIST, [framed(MESSAGE)], { 'grpc-timeout': 'soon' })).toMatchObject({ reason: 'MALFORMED' })
  })

  it('says what went wrong in any language', async () => {
    const name = 'sessions/größe-100%'
    const request = toBinary(GetSessionRequestSchema, create(GetSessionRequestSchema, { name }))
    const { message, status } = await call('/asktell.v1.Asktell/GetSession', [framed(request)])
    expect(status).toBeGreaterThan(0)
    expect(message).toMatch(/^[\x20-\x7e]+$/)
    expect(decodeURIComponent(message)).toContain(name)
  })
})
