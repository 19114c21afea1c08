/** The upload window of the gRPC server, beside that of a stock one. */
import { connect } from 'node:http2'
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net'
import { create, toBinary } from '@bufbuild/protobuf'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { expect, it } from 'vitest'
import { Asktell, StepResponseSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { Grpc, harness, tensorSession } from './clients.js'

const h = harness()
const MIB = 1 << 20
const ANSWER = Buffer.from(toBinary(StepResponseSchema, create(StepResponseSchema)))

it('is 16 MiB for a stream and for a connection', async () => {
  const session = connect(`http://127.0.0.1:${h.server.grpcPort}`)
  await new Promise((resolve) => session.once('remoteSettings', resolve))
  expect(session.remoteSettings.initialWindowSize).toBe(16 * MIB)
  // The connection's own window is raised by a frame that follows the settings.
  await new Promise<void>((resolve) => session.ping(() => resolve()))
  expect(session.state.remoteWindowSize).toBe(16 * MIB)
  session.close()
})

/** A relay that holds back every byte for `delay` milliseconds, each way. */
async function delayed(port: number, delay: number) {
  const relay = createServer((client) => {
    const upstream = dial(port, '127.0.0.1')
    const pass = (from: Socket, to: Socket) => {
      from.setNoDelay(true)
      from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), delay))
      from.on('close', () => setTimeout(() => to.destroy(), delay))
      from.on('error', () => {})
    }
    pass(client, upstream)
    pass(upstream, client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  return { port: (relay.address() as AddressInfo).port, close: () => relay.close() }
}

it('lets an upload of 4 MiB through a slow line in a fraction of the round trips of a stock server', async () => {
  const stock = new Server({ 'grpc.max_receive_message_length': -1 })
  const bytes = (value: Buffer) => value
  const step = {
    path: `/${Asktell.typeName}/Step`,
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  }
  stock.addService({ step }, { step: (_: unknown, done: (error: null, value: Buffer) => void) => done(null, ANSWER) })
  const stockPort = await new Promise<number>((resolve, reject) =>
    stock.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    ),
  )
  await h.grpc.unary('createSession', { session: tensorSession([MIB]), sessionId: 'wide' })
  const [{ id }] = (await h.grpc.unary('ask', { name: 'sessions/wide', omitTensors: true })).queries
  const request = h.grpc.bytes('step', {
    name: 'sessions/wide',
    observations: [{ queryId: id, gradients: [{ tensors: [{ name: 'w', data: new Uint8Array(4 * MIB) }] }] }],
    omitTensors: true,
  })

  const seconds = async (port: number) => {
    const line = await delayed(port, 25)
    const grpc = new Grpc(line.port)
    await grpc.unary('step', { name: 'sessions/wide', count: -1 })
    const started = performance.now()
    await grpc.unary('step', request)
    const taken = (performance.now() - started) / 1000
    grpc.client.close()
    line.close()
    return taken
  }
  const raised = await seconds(h.server.grpcPort)
  const before = await seconds(stockPort)
  stock.forceShutdown()
  // 64 round trips of 64 KiB against two or three: a ratio far above what scheduling could blur.
  expect(before / raised).toBeGreaterThan(4)
})
