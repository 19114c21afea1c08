/** A service described by protobuf-es as a service of grpc-js. */
import { type DescService, fromBinary, type Message } from '@bufbuild/protobuf'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { Encoded } from '../codec/wire.js'

/**
 * Requests stay bytes on the server: a message that cannot be parsed is then refused by the call itself, with the
 * same reason as over HTTP, and not by grpc-js, which knows none.
 */
export function grpcService(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
        responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
        requestSerialize: (message: Message) => new Encoded(method.input, message).toBuffer(),
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (message: Message) => new Encoded(method.output, message) as unknown as Buffer,
        responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
      },
    ]),
  )
}
