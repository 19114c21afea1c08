/** The writer of answers against the one of protobuf-es, on random messages of every type that is answered with. */
import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import { encode } from '../../src/server/codec/wire.js'

const DEPTH = 4

const scalar = (type: ScalarType): fc.Arbitrary<unknown> => {
  switch (type) {
    case ScalarType.STRING:
      return fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.constant('x'.repeat(3000)))
    case ScalarType.BYTES:
      return fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 1030, maxLength: 1100 }))
    case ScalarType.BOOL:
      return fc.boolean()
    case ScalarType.INT64:
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    case ScalarType.UINT64:
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    case ScalarType.INT32:
      return fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    case ScalarType.UINT32:
      return fc.integer({ min: 0, max: 2 ** 32 - 1 })
    case ScalarType.FLOAT:
      return fc.float()
    case ScalarType.DOUBLE:
      return fc.double()
    default:
      throw new Error(`no values of type ${type}`)
  }
}

function value(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.enum) return fc.constantFrom(...field.enum.values.map(({ number }) => number))
  if (field.message?.typeName === 'google.protobuf.Struct' && field.parent.typeName !== 'google.protobuf.Value')
    return fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean(), fc.constant(null), fc.integer()))
  // Values within values grow without end.
  if (field.message?.file.name.startsWith('google/protobuf/')) return message(field.message, Math.min(depth - 1, 1))
  if (field.message) return message(field.message, depth - 1)
  return scalar(field.scalar as ScalarType)
}

function message(desc: DescMessage, depth: number): fc.Arbitrary<Message> {
  const init: Record<string, fc.Arbitrary<unknown>> = {}
  const cases: Record<string, fc.Arbitrary<unknown>[]> = {}
  for (const field of desc.fields) {
    if (field.message && depth === 0) continue
    const one = value(field, depth)
    if (field.oneof) {
      const { localName } = field.oneof
      cases[localName] ??= []
      cases[localName].push(one.map((value) => ({ case: field.localName, value })))
    } else if (field.fieldKind === 'list') init[field.localName] = fc.array(one, { maxLength: field.message ? 2 : 3 })
    else if (field.fieldKind === 'map') init[field.localName] = fc.dictionary(fc.string(), one, { maxKeys: 2 })
    else init[field.localName] = one
  }
  for (const [name, options] of Object.entries(cases)) init[name] = fc.oneof(...options)
  return fc.record(init, { requiredKeys: [] }).map((fields) => create(desc, fields as never))
}

const outputs = new Map(Asktell.methods.map(({ output }) => [output.typeName, output]))

it.each([...outputs])('%s', (_, output) => {
  fc.assert(
    fc.property(message(output, DEPTH), (made) => {
      const bytes = Buffer.concat(encode(output, made))
      // By their bytes: a NaN equals no NaN.
      expect(toBinary(output, fromBinary(output, bytes))).toEqual(toBinary(output, made))
    }),
    { numRuns: 50, seed: 7 },
  )
})
