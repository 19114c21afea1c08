/** Services written for grpc-js (health, reflection) as routes of this server. */
import { Duplex } from 'node:stream'
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { linked } from '../call.js'
import { Encoded } from '../codec/encoded.js'
import { draining } from '../errors.js'
import { GONE } from '../pump.js'
import type { GrpcCall } from './call.js'
import { ForeignStatus } from './status.js'

/** Answers the calls of one path; what it throws becomes the status. */
export type Route = (call: GrpcCall) => Promise<void>

type Method = ServiceDefinition[string]
type Handler = (call: unknown, callback?: (error: unknown, value: unknown) => void) => void

/** Stands in for the server that such services add themselves to. Streams end when the server drains. */
export class GrpcJsServices {
  readonly routes = new Map<string, Route>()

  constructor(private readonly stopping: AbortSignal) {}

  addService(definition: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    for (const [name, method] of Object.entries(definition)) {
      const handler = (implementation[name] ?? implementation[method.originalName ?? '']) as Handler
      const streams = method.requestStream || method.responseStream
      this.routes.set(method.path, (call) =>
        streams ? this.converse(call, method, handler) : ask(call, method, handler),
      )
    }
  }

  private async converse(call: GrpcCall, method: Method, handler: Handler): Promise<void> {
    const request = method.requestStream ? undefined : method.requestDeserialize(await call.only())
    call.begin()
    const talk = new Duplex({
      objectMode: true,
      read() {
        call.next().then(
          (bytes) => talk.push(bytes ? method.requestDeserialize(bytes) : null),
          (error) => talk.destroy(error),
        )
      },
      write(value, _, done) {
        call.send(new Encoded(method.responseSerialize(value))).then(() => done(), done)
      },
    })
    const { signal, release } = linked(call.signal, this.stopping)
    try {
      await new Promise<void>((resolve, reject) => {
        talk.on('finish', resolve)
        talk.on('error', (error) => reject(new ForeignStatus(error)))
        signal.addEventListener('abort', () => reject(call.signal.aborted ? GONE : draining()), { once: true })
        handler(Object.assign(talk, { request }))
      })
    } finally {
      release()
      talk.emit('cancelled')
      talk.destroy()
    }
  }
}

async function ask(call: GrpcCall, method: Method, handler: Handler): Promise<void> {
  const request = method.requestDeserialize(await call.only())
  const answer = await new Promise((resolve, reject) =>
    handler({ request }, (error, value) => (error ? reject(new ForeignStatus(error)) : resolve(value))),
  )
  await call.send(new Encoded(method.responseSerialize(answer)))
}
