/**
 * A stock grpc-js server with default settings, save the message limit: takes bytes, parses and keeps nothing. A stream
 * answers the messages that are no chunks, and calls, with as many bytes as a small answer of asktell has.
 */
import { Server, ServerCredentials, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js'

/** StepResponse with one query, whose id is "q". */
const ANSWER = Buffer.concat([Buffer.from([0x12, 3, 0x0a, 1, 0x71, 0x32, 200, 1]), Buffer.alloc(200, 97)])
/** First byte of an OptimizeRequest that is a chunk: field 2. */
const CHUNK = 0x12

const bytes = (value: Buffer) => value
const method = (path: string, stream: boolean) => ({
  path,
  requestStream: stream,
  responseStream: stream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})

const server = new Server({ 'grpc.max_receive_message_length': -1 })
const service: ServiceDefinition = {
  optimize: method('/peer.Sink/Optimize', true),
  step: method('/peer.Sink/Step', false),
}
server.addService(service, {
  optimize(call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (message: Buffer) => {
      if (message[0] !== CHUNK) call.write(ANSWER)
    })
    call.on('end', () => call.end())
  },
  step: (_: unknown, done: (error: null, answer: Buffer) => void) => done(null, ANSWER),
})
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  console.log(JSON.stringify({ port }))
})
process.stdin.resume().on('end', () => process.exit())
