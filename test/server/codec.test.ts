import { PassThrough } from 'node:stream'
import { create, equals, fromBinary, toBinary, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AsktellError } from '../../src/core/errors.js'
import { ObservationSchema, WantSchema } from '../../src/core/gen/asktell/v1/query_pb.js'
import { StepResponseSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { SpaceSchema } from '../../src/core/gen/asktell/v1/space_pb.js'
import { TensorSchema, TensorsSchema } from '../../src/core/gen/asktell/v1/tensor_pb.js'
import type { Want } from '../../src/core/query.js'
import type { Space } from '../../src/core/space.js'
import { DTYPES, type Dtype, type FloatArray, type TensorSpec } from '../../src/core/tensor.js'
import { Encoded } from '../../src/server/codec/encoded.js'
import { type Layout, observationFromProto, wantToProto } from '../../src/server/codec/query.js'
import { sessionPath, spaceFromProto, spaceToProto } from '../../src/server/codec/space.js'
import { decodeInto, encode, TensorAssembler, tensorsFromProto } from '../../src/server/codec/tensors.js'
import { protocolPath } from '../../src/server/errors.js'
import { compile } from '../../src/server/http/template.js'

const decode = (bytes: Uint8Array, dtype: Dtype, into: FloatArray) => {
  decodeInto(bytes, dtype, into, 0)
  return into
}
const bits16 = (bytes: Uint8Array) => [...new Uint16Array(new Uint8Array(bytes).buffer)]

describe('tensor encodings', () => {
  it('round-trip every one of the 65,536 values of the 16-bit encodings', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    for (const dtype of ['bf16', 'f16'] as const) {
      const values = decode(new Uint8Array(all.buffer), dtype, new Float32Array(65536))
      bits16(encode(values, dtype)).forEach((bits, i) => {
        if (Number.isNaN(values[i]))
          expect(decode(new Uint8Array(Uint16Array.of(bits).buffer), dtype, new Float32Array(1))[0]).toBeNaN()
        else if (bits !== i) expect.fail(`${dtype} ${i} became ${bits}`)
      })
    }
  })

  it('round to the nearest, ties to even', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Dtype>('bf16', 'f16'),
        fc.float({ noNaN: true, min: -65000, max: 65000 }),
        (dtype, x) => {
          const [bits] = bits16(encode(Float32Array.of(x), dtype))
          const at = (b: number) => decode(new Uint8Array(Uint16Array.of(b).buffer), dtype, new Float64Array(1))[0]
          const error = Math.abs(at(bits) - x)
          for (const near of [bits - 1, bits + 1]) {
            if ((near & 0x7fff) === 0x7fff || near < 0 || near > 65535 || !Number.isFinite(at(near))) continue
            const other = Math.abs(at(near) - x)
            expect(error <= other).toBe(true)
            if (error === other && error > 0) expect(bits & 1).toBe(0)
          }
        },
      ),
    )
  })

  it('know infinity, overflow and NaN', () => {
    expect(bits16(encode(Float32Array.of(65519.99, 65520, -1e30, Infinity), 'f16'))).toEqual([
      0x7bff, 0x7c00, 0xfc00, 0x7c00,
    ])
    expect(bits16(encode(Float32Array.of(3.4e38, Infinity, -Infinity), 'bf16'))).toEqual([0x7f80, 0x7f80, 0xff80])
    expect(bits16(encode(Float32Array.of(1, -2, 0.5, -0), 'bf16'))).toEqual([0x3f80, 0xc000, 0x3f00, 0x8000])
  })

  it('decode at any alignment into either precision', () => {
    const values = [1, -2.5, 0.25, 1024]
    for (const dtype of Object.keys(DTYPES) as Dtype[])
      for (let shift = 0; shift < 8; shift++)
        for (const into of [new Float32Array(4), new Float64Array(4)]) {
          const bytes = encode(Float64Array.from(values), dtype)
          const moved = Buffer.alloc(bytes.length + shift)
          moved.set(bytes, shift)
          expect([...decode(moved.subarray(shift), dtype, into)]).toEqual(values)
        }
  })

  it('use the memory of an answer again once it is in its frame, and not before', () => {
    const values = new Float32Array(1 << 15).fill(1)
    const message = (data: Uint8Array) =>
      Encoded.of(TensorSchema, create(TensorSchema, { name: 'x', dtype: 1, data })).toBuffer()
    const first = encode(values, 'f32')
    expect(encode(values, 'f32').buffer).not.toBe(first.buffer)
    const framed = message(first)
    const second = encode(values.fill(2), 'f32')
    expect(second.buffer).toBe(first.buffer)
    const { data } = fromBinary(TensorSchema, framed)
    expect(new Set(decode(data, 'f32', new Float32Array(1 << 15)))).toEqual(new Set([1]))
    const mine = new Uint8Array(1 << 17)
    message(mine)
    expect(encode(values, 'f32').buffer).not.toBe(mine.buffer)
  })

  it('are copies: the session may go on at once', () => {
    const own = Float32Array.of(1, 2)
    const bytes = encode(own, 'f32')
    own[0] = 9
    expect([...new Float32Array(bytes.buffer)]).toEqual([1, 2])
  })
})

describe('chunks', () => {
  const spec: TensorSpec = { name: 'w', shape: [4, 5], dtype: 'f32' }
  const chunk = (from: number, to: number) =>
    create(TensorSchema, {
      name: 'w',
      offset: BigInt(from),
      data: encode(
        Float32Array.from({ length: to - from }, (_, i) => from + i),
        'f32',
      ),
    })

  it('come in any order and cover the tensor exactly', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { maxLength: 10 })
    fc.assert(
      fc.property(cuts, fc.infiniteStream(fc.nat(100)), (list, order) => {
        const edges = [0, ...list.sort((a, b) => a - b), 20]
        const ranges = edges.slice(1).map((to, i) => [edges[i], to] as const)
        const shuffled = ranges.map((range) => ({ range, at: order.next().value })).sort((a, b) => a.at - b.at)
        const assembler = new TensorAssembler([spec], 'OBSERVATION_INVALID')
        for (const { range } of shuffled) assembler.add(chunk(...range), 't')
        expect([...assembler.done('t').w]).toEqual(Array.from({ length: 20 }, (_, i) => i))
      }),
    )
  })

  it('that overlap or leave a hole are refused', () => {
    const overlapping = [
      [0, 10, 9, 20],
      [5, 10, 0, 6],
      [5, 10, 5, 10],
      [0, 20, 3, 4],
      [3, 4, 0, 20],
    ]
    for (const [a, b, c, d] of overlapping) {
      const assembler = new TensorAssembler([spec], 'OBSERVATION_INVALID')
      assembler.add(chunk(a, b), 't')
      expect(() => assembler.add(chunk(c, d), 't')).toThrow(/sent before/)
    }
    const assembler = new TensorAssembler([spec], 'OBSERVATION_INVALID')
    assembler.add(chunk(0, 19), 't')
    expect(() => assembler.done('t')).toThrow(/20 elements, got 19/)
  })
})

describe('whole tensors', () => {
  it('are arrays on the bytes of their message, however those are aligned', () => {
    const values = Float32Array.from({ length: 2000 }, (_, i) => i / 7)
    const wide = Float64Array.from(values)
    // The lengths of the names shift the bytes behind them.
    for (let n = 1; n <= 16; n++) {
      const tensors = [
        create(TensorSchema, { name: 'x'.repeat(n), dtype: 1, data: encode(values, 'f32') }),
        create(TensorSchema, { name: 'y'.repeat(n), dtype: 2, data: encode(wide, 'f64') }),
      ]
      const bytes = toBinary(TensorsSchema, create(TensorsSchema, { tensors }))
      const specs: TensorSpec[] = [
        { name: tensors[0].name, shape: [40, 50], dtype: 'f32' },
        { name: tensors[1].name, shape: [2000], dtype: 'f64' },
      ]
      const received = fromBinary(TensorsSchema, bytes)
      const { [tensors[0].name]: x, [tensors[1].name]: y } = tensorsFromProto(
        received.tensors,
        specs,
        '',
        'OBSERVATION_INVALID',
      )
      expect(x).toEqual(values)
      expect(x.buffer).toBe(bytes.buffer)
      expect(y).toEqual(wide)
      expect(received.tensors.map(({ data }) => [...data])).toEqual(tensors.map(({ data }) => [...data]))
    }
  })
})

describe('curvature and quantities', () => {
  const layout: Layout = { specs: [{ name: 'w', shape: [2], dtype: 'f32' }], encodings: {} }
  const w = (data: Uint8Array, more: object = {}) => ({ name: 'w', data, ...more })
  const observation = (fields: object) => create(ObservationSchema, { queryId: 'q', ...fields })

  it('are asked for with their kind, their shapes and words', () => {
    const want = (w: Want) => toJson(WantSchema, create(WantSchema, wantToProto(w)))
    expect(want({ kind: 'hvp', curvature: 'gauss-newton' })).toEqual({ hvp: { curvature: 'CURVATURE_GAUSS_NEWTON' } })
    const quantities = [{ name: 'J', shape: [-1, 2], description: 'Jacobian' }]
    expect(want({ kind: 'quantities', quantities })).toEqual({
      quantities: { quantities: [{ name: 'J', shape: ['-1', '2'], description: 'Jacobian' }] },
    })
  })

  it('come in every encoding: products in the type of their tensor, quantities in f64 or f32', () => {
    for (const [i, dtype] of (['f32', 'f64', 'bf16', 'f16'] as const).entries()) {
      const data = encode(Float64Array.of(1, -0.5), dtype)
      const { products, quantities } = observationFromProto(
        observation({
          products: [{ tensors: [w(data, { dtype: i + 1 })] }],
          quantities: [{ tensors: [w(data, { dtype: i + 1 })] }],
        }),
        layout,
        'o',
      )
      expect(products).toEqual([{ w: Float32Array.of(1, -0.5) }])
      expect(quantities).toEqual([{ w: (dtype === 'f64' ? Float64Array : Float32Array).of(1, -0.5) }])
    }
    const untyped = observationFromProto(
      observation({ quantities: [{ tensors: [{ name: 'J', data: encode(Float64Array.of(7), 'f64') }] }] }),
      layout,
      'o',
    )
    expect(untyped.quantities).toEqual([{ J: Float64Array.of(7) }])
  })

  it('that are not whole are refused where they are wrong', () => {
    const data = encode(Float64Array.of(1, 2), 'f64')
    const refused = (fields: object) => {
      try {
        observationFromProto(observation(fields), layout, 'o')
      } catch (error) {
        return (error as AsktellError).issues.map(({ path }) => path)
      }
      return []
    }
    const quantities = (...tensors: object[]) => refused({ quantities: [{ tensors }] })
    expect(quantities(w(data))).toEqual([])
    expect(quantities(w(data.subarray(0, 9)))).toEqual(['o.quantities[0].tensors[0].data'])
    expect(quantities(w(data, { offset: 1n }))).toEqual(['o.quantities[0].tensors[0].offset'])
    expect(quantities(w(data), w(data))).toEqual(['o.quantities[0].tensors[1].name'])
    expect(quantities(w(data, { dtype: 9 }))).toEqual(['o.quantities[0].tensors[0].dtype'])
    const products = (...tensors: object[]) => refused({ products: [{ tensors }] })
    expect(products(w(encode(Float32Array.of(1, 2), 'f32')))).toEqual([])
    expect(products(w(encode(Float32Array.of(1), 'f32')))).toEqual(['o.products[0]'])
    expect(products({ name: 'v', data })).toEqual(['o.products[0].tensors[0].name'])
  })
})

describe('spaces', () => {
  it.each<Space>([
    { kind: 'tensors', tensors: [{ name: 'w', shape: [2, 3], dtype: 'bf16', group: 'head' }], low: -1, high: 1 },
    {
      kind: 'search',
      parameters: [
        { name: 'a', type: 'float', low: 0.1, high: 1, log: true },
        { name: 'b', type: 'int', low: 0, high: 10, log: false, step: 2 },
        { name: 'c', type: 'categorical', choices: ['x', 2, true] },
        { name: 'd', type: 'ordinal', choices: [1, 2], condition: { parent: 'c', values: ['x', 2] } },
      ],
    },
    { kind: 'text', components: [{ name: 'p', initial: 'go', maxLength: 10 }] },
    { kind: 'items', items: [{ id: 'a', label: 'A', features: [1, 2] }] },
  ])('$kind comes back as it went', (space) => {
    const clean = (value: unknown) => JSON.parse(JSON.stringify(value))
    expect(clean(spaceFromProto(create(SpaceSchema, spaceToProto(space)), 'space'))).toEqual(clean(space))
  })
})

describe('paths', () => {
  it('of the domain are those of the request', () => {
    const space: Space = { kind: 'search', parameters: [{ name: 'a', type: 'int', low: 2, high: 1 }] }
    expect(sessionPath('space.parameters[0].low', space)).toBe('session.space.search.parameters[0].int.low')
    expect(sessionPath('space.parameters[0].name', space)).toBe('session.space.search.parameters[0].name')
    expect(sessionPath('config.learningRate', space)).toBe('session.config.learningRate')
    expect(sessionPath('id', space)).toBe('session_id')
    expect(protocolPath('observations[0].queryId')).toBe('observations[0].query_id')
    expect(protocolPath('session.config.learningRate')).toBe('session.config.learningRate')
    expect(protocolPath('observations[0].gradients[0].layerNorm')).toBe('observations[0].gradients[0].layerNorm')
  })

  it('of HTTP match their templates and nothing else', () => {
    const step = compile('/v1/{name=sessions/*}:step')
    expect(step.match('/v1/sessions/a:step')).toEqual({ name: 'sessions/a' })
    for (const path of ['/v1/sessions/a', '/v1/sessions/a/b:step', '/v1/sessions/:step', '/v1/methods/a:step'])
      expect(step.match(path)).toBeUndefined()
    expect(compile('/v1/{session.name=sessions/*}').match('/v1/sessions/a')).toEqual({ 'session.name': 'sessions/a' })
    expect(compile('/v1/sessions:import').match('/v1/sessions:import')).toEqual({})
    expect(step.openapi).toBe('/v1/sessions/{session}:step')
  })
})

describe('large messages', () => {
  it('are the bytes of a general writer, read by a general reader', async () => {
    const tensors = (n: number) => ({
      tensors: [
        { name: 'a', data: new Uint8Array(n).fill(1) },
        { name: 'b', dtype: 2, offset: 7n, data: new Uint8Array(3).fill(2) },
      ],
    })
    for (const n of [0, 10, 70_000, 300_000]) {
      const message = create(StepResponseSchema, {
        revision: 3n,
        requestId: 'r',
        metrics: { loss: 0.5 },
        queries: [
          { id: 'q', purpose: 'step', points: [{ kind: { case: 'tensors', value: tensors(n) } }] },
          { id: 'p', trial: 0n, points: [{ kind: { case: 'params', value: { x: [1, null] } } }], attempt: 2 },
          { id: 'o', points: [{ kind: { case: 'tensors', value: {} } }, { kind: { case: undefined } }] },
        ],
      })
      const encoded = Encoded.of(StepResponseSchema, message)
      const bytes = encoded.toBuffer()
      expect(bytes.length).toBe(encoded.byteLength)
      expect(equals(StepResponseSchema, fromBinary(StepResponseSchema, bytes), message)).toBe(true)
      const sink = new PassThrough({ highWaterMark: 1 << 20 })
      await new Promise((done) => Encoded.of(StepResponseSchema, message).writeTo(sink, done))
      const framed = sink.read() as Buffer
      expect([framed[0], framed.readUInt32BE(1)]).toEqual([0, bytes.length])
      expect(framed.subarray(5).equals(bytes)).toBe(true)
    }
  })
})
