import { connect } from 'node:http2'
import { createConnection } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { Dtype } from '../../src/core/gen/asktell/v1/tensor_pb.js'
import type { WatchEvent } from '../../src/sessions/api.js'
import { type Grpc, harness, json, refusal, searchSession, sse, tensorSession } from './clients.js'

const h = harness({ maxGradientBytes: 4096 })

type Step = { queries: { id: string }[]; metrics: Record<string, number> }
/** What a stream sends, one by one; rejects with its error. */
function reader(call: NodeJS.EventEmitter): () => Promise<Step> {
  const queue: unknown[] = []
  const waiting: { resolve(value: never): void; reject(error: unknown): void }[] = []
  let failed: unknown
  call.on('data', (value) => (waiting.length > 0 ? waiting.shift()!.resolve(value as never) : queue.push(value)))
  call.on('error', (error) => {
    failed = error
    for (const { reject } of waiting.splice(0)) reject(error)
  })
  return () =>
    new Promise((resolve, reject) => {
      if (queue.length > 0) resolve(queue.shift() as never)
      else if (failed) reject(failed)
      else waiting.push({ resolve, reject })
    })
}

const optimize = (grpc: Grpc) => {
  const call = grpc.bidi('optimize')
  return { call, next: reader(call) }
}

describe('Optimize', () => {
  it('answers each step in order', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'o' })
    const { call, next } = optimize(h.grpc)
    for (let i = 1; i <= 20; i++)
      call.send({ message: { case: 'step', value: { name: i === 1 ? 'sessions/o' : '', count: i } } })
    for (let i = 1; i <= 20; i++) expect((await next()).queries).toHaveLength(i)
    call.end()
    await new Promise((resolve) => call.on('status', resolve))
  })

  it('puts gradients together from chunks in any order', async () => {
    await h.grpc.unary('createSession', { session: tensorSession([6]), sessionId: 'c' })
    const { call, next } = optimize(h.grpc)
    call.send({ message: { case: 'step', value: { name: 'sessions/c' } } })
    const [{ id }] = (await next()).queries
    const g = Float32Array.of(1, 2, 3, 4, 5, 6)
    for (const [from, to] of [
      [4, 6],
      [0, 1],
      [1, 4],
    ])
      call.send({
        message: {
          case: 'chunk',
          value: {
            queryId: id,
            tensor: { name: 'w', data: new Uint8Array(g.slice(from, to).buffer), offset: BigInt(from) },
          },
        },
      })
    call.send({ message: { case: 'step', value: { observations: [{ queryId: id }] } } })
    await next()
    expect(h.sessions.steps.at(-1)?.observations?.[0].gradients?.[0].w).toEqual(g)
    call.cancel()
  })

  it('puts products together beside gradients, by their direction', async () => {
    await h.grpc.unary('createSession', { session: tensorSession([3]), sessionId: 'products' })
    const { call, next } = optimize(h.grpc)
    call.send({ message: { case: 'step', value: { name: 'sessions/products' } } })
    const [{ id }] = (await next()).queries
    const data = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
    const chunk = (point: number, product: boolean, tensor: object) =>
      call.send({
        message: { case: 'chunk', value: { queryId: id, point, product, tensor: { name: 'w', ...tensor } } },
      })
    chunk(1, true, { data: data(5, 6), offset: 1n })
    chunk(0, false, { data: data(7, 8, 9) })
    chunk(0, true, { data: data(1, 2, 3) })
    chunk(1, true, { data: data(4) })
    call.send({ message: { case: 'step', value: { observations: [{ queryId: id }] } } })
    await next()
    const told = h.sessions.steps.at(-1)?.observations?.[0]
    expect(told?.gradients).toEqual([{ w: Float32Array.of(7, 8, 9) }])
    expect(told?.products).toEqual([{ w: Float32Array.of(1, 2, 3) }, { w: Float32Array.of(4, 5, 6) }])
    call.cancel()
  })

  it.each([
    ['a chunk before the first step', [{ case: 'chunk', value: { queryId: 'q' } }], 'chunk'],
    ['nothing', [{ case: undefined }], 'message'],
    ['no name', [{ case: 'step', value: {} }], 'step.name'],
    [
      'another session',
      [
        { case: 'step', value: { name: 'sessions/o', count: -1 } },
        { case: 'step', value: { name: 'sessions/x' } },
      ],
      'step.name',
    ],
    [
      'chunks without their observation',
      [
        { case: 'step', value: { name: 'sessions/c', count: -1 } },
        { case: 'chunk', value: { queryId: 'q9', tensor: { name: 'w', data: new Uint8Array(24) } } },
        { case: 'step', value: {} },
      ],
      'step.observations',
    ],
    [
      'an incomplete gradient',
      [
        { case: 'step', value: { name: 'sessions/c', count: -1 } },
        { case: 'chunk', value: { queryId: 'q9', tensor: { name: 'w', data: new Uint8Array(4) } } },
        { case: 'step', value: { observations: [{ queryId: 'q9' }] } },
      ],
      'chunk.tensor',
    ],
    [
      'a product of which a direction is missing',
      [
        { case: 'step', value: { name: 'sessions/c', count: -1 } },
        {
          case: 'chunk',
          value: { queryId: 'q9', point: 1, product: true, tensor: { name: 'w', data: new Uint8Array(24) } },
        },
        { case: 'step', value: { observations: [{ queryId: 'q9' }] } },
      ],
      'chunk.point',
    ],
    [
      'products in chunks and in the step',
      [
        { case: 'step', value: { name: 'sessions/c', count: -1 } },
        { case: 'chunk', value: { queryId: 'q9', product: true, tensor: { name: 'w', data: new Uint8Array(24) } } },
        {
          case: 'step',
          value: {
            observations: [{ queryId: 'q9', products: [{ tensors: [{ name: 'w', data: new Uint8Array(24) }] }] }],
          },
        },
      ],
      'step.observations[0].products',
    ],
    [
      'the same elements twice',
      [
        { case: 'step', value: { name: 'sessions/c', count: -1 } },
        { case: 'chunk', value: { queryId: 'q9', tensor: { name: 'w', data: new Uint8Array(8) } } },
        { case: 'chunk', value: { queryId: 'q9', tensor: { name: 'w', data: new Uint8Array(8), offset: 1n } } },
      ],
      'chunk.tensor.offset',
    ],
  ] as [string, object[], string][])('refuses %s', async (_what, messages, path) => {
    const { call, next } = optimize(h.grpc)
    for (const message of messages) call.send({ message: message as never })
    const error = await (async () => {
      for (;;) await next()
    })().catch(refusal)
    expect(error).toMatchObject({ paths: [path] })
  })

  it('bounds the gradients that wait for their step', async () => {
    await h.grpc.unary('createSession', { session: tensorSession([512]), sessionId: 'big' })
    const { call, next } = optimize(h.grpc)
    call.send({ message: { case: 'step', value: { name: 'sessions/big', count: -1 } } })
    await next()
    for (let point = 0; point < 3; point++)
      call.send({
        message: { case: 'chunk', value: { queryId: 'q', point, tensor: { name: 'w', data: new Uint8Array(4) } } },
      })
    expect(await next().catch(refusal)).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
  })

  it('bounds what few bytes stand for', async () => {
    const session = { ...tensorSession([512]), encodings: { gradients: [Dtype.TOP_K] } }
    await h.grpc.unary('createSession', { session, sessionId: 'sparse' })
    const zeros = { tensors: [{ name: 'w', dtype: Dtype.TOP_K }] }
    const told = h.grpc.unary('tell', {
      name: 'sessions/sparse',
      observations: [{ queryId: 'q', gradients: [zeros, zeros, zeros] }],
    })
    expect(await told.catch(refusal)).toMatchObject({ reason: 'MESSAGE_TOO_LARGE', paths: ['observations'] })
  })
})

describe('a step that takes long', () => {
  it('holds back a client that sends on', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'slow' })
    let finish = () => {}
    h.sessions.override = () =>
      new Promise((_, reject) => {
        finish = () => reject(new Error('enough'))
      })
    const session = connect(`http://127.0.0.1:${h.server.grpcPort}`)
    await new Promise((resolve) => session.once('remoteSettings', resolve))
    const stream = session.request({
      ':method': 'POST',
      ':path': '/asktell.v1.Asktell/Optimize',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const body = h.grpc.bytes('optimize', {
      message: { case: 'step', value: { name: 'sessions/slow', requestId: 'x'.repeat(1 << 20) } },
    })
    const head = Buffer.alloc(5)
    head.writeUInt32BE(body.length, 1)
    const frame = Buffer.concat([head, body])
    let sent = 0
    const send = () =>
      stream.write(frame, (error) => {
        if (error) return
        sent++
        send()
      })
    send()
    for (let before = -1; before !== sent; await new Promise((resolve) => setTimeout(resolve, 300))) before = sent
    h.sessions.override = undefined
    stream.close()
    session.close()
    finish()
    // The window of 16 MiB, and a few messages on their way.
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(24)
  })
})

describe('Watch', () => {
  it('replays, follows, and resumes over HTTP by Last-Event-ID', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'w' })
    await h.grpc.unary('ask', { name: 'sessions/w' })
    const call = h.grpc.serverStream('watch', { name: 'sessions/w' })
    const next = reader(call) as unknown as () => Promise<{ type: string; revision: bigint }>
    expect((await next()).type).toBe('created')
    expect(await next()).toMatchObject({ type: 'asked', revision: 2n })
    await h.grpc.unary('ask', { name: 'sessions/w' })
    expect(await next()).toMatchObject({ type: 'asked', revision: 3n })
    call.on('error', () => {})
    call.cancel()

    const events = await sse(`${h.url}/v1/sessions/w:watch`, 2, { 'last-event-id': '1' })
    expect(events.map(({ id }) => id)).toEqual(['2', '3'])
    expect(JSON.parse(events[0].data)).toMatchObject({ type: 'asked', revision: '2' })
    expect(await sse(`${h.url}/v1/sessions/w:watch?after_revision=2`, 1)).toMatchObject([{ id: '3' }])
  })

  it('does not run ahead of a reader that never reads', async () => {
    let pulled = 0
    const { watch } = h.sessions
    h.sessions.watch = async function* (_id, _after, signal): AsyncIterable<WatchEvent> {
      while (!signal.aborted) {
        yield { revision: ++pulled, time: 0, type: 'asked', message: 'x'.repeat(10_000) }
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const settled = async () => {
      for (let before = -1; before !== pulled; await new Promise((resolve) => setTimeout(resolve, 100))) before = pulled
      return pulled
    }
    // grpc-js's own client reads ahead without bound; plain HTTP/2 does not.
    const session = connect(`http://127.0.0.1:${h.server.grpcPort}`)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/asktell.v1.Asktell/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const body = h.grpc.bytes('watch', { name: 'sessions/w' })
    stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, body.length), body]))
    const overGrpc = await settled()
    stream.close()
    session.close()

    pulled = 0
    const socket = createConnection(h.server.httpPort, '127.0.0.1', () => {
      socket.write('GET /v1/sessions/w:watch HTTP/1.1\r\nhost: localhost\r\n\r\n')
    })
    socket.pause()
    const overHttp = await settled()
    socket.destroy()
    h.sessions.watch = watch

    // HTTP/2 lets 64 KiB through. Over HTTP/1.1 the kernel's socket buffers hold some megabytes, then nothing moves.
    expect(overGrpc).toBeGreaterThan(0)
    expect(overGrpc).toBeLessThan(16)
    expect(overHttp).toBeGreaterThan(0)
    expect(overHttp).toBeLessThan(3000)
    await vi.waitFor(async () => {
      expect(await (await fetch(`${h.url}/metrics`)).text()).toMatch(/asktell_active_calls 0\n/)
    })
  })
})

/** The first events of a stream of server-sent events. */

describe('export and import', () => {
  it('moves a session as one file, over both transports', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'e' })
    const file = await fetch(`${h.url}/v1/sessions/e:export`)
    expect(file.headers.get('content-type')).toBe('application/octet-stream')
    const bytes = new Uint8Array(await file.arrayBuffer())

    const chunks: Uint8Array[] = []
    for await (const { data } of h.grpc.serverStream('exportSession', { name: 'sessions/e' })) chunks.push(data)
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(1 << 20)
    expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0)

    const overGrpc = await h.grpc.clientStream('importSession', [
      { sessionId: 'g', data: bytes.subarray(0, 10) },
      { data: bytes.subarray(10) },
    ])
    expect(overGrpc.name).toBe('sessions/g')
    const overHttp = await fetch(`${h.url}/v1/sessions:import?session_id=i`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: bytes,
    })
    expect(await overHttp.json()).toMatchObject({ name: 'sessions/i', method: 'random' })
  })

  it('refuses what is no file', async () => {
    const response = await fetch(`${h.url}/v1/sessions:import`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'nonsense',
    })
    expect(await response.json()).toMatchObject({ code: 'MALFORMED' })
    expect(await (await json(`${h.url}/v1/sessions:import`, 'POST', {})).json()).toMatchObject({ code: 'MALFORMED' })
    expect(await h.grpc.clientStream('importSession', []).catch(refusal)).toMatchObject({ paths: ['data'] })
  })
})
