/** Deltas: what the session knows of a client's copy is that copy, bit for bit, whatever is sent and lost. */
import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldCopy } from '../../clients/typescript/src/index.js'
import { LOSSY } from '../../src/core/encodings/index.js'
import { TensorsSchema } from '../../src/core/gen/asktell/v1/tensor_pb.js'
import type { Dtype, FloatArray, TensorSpec, Tensors } from '../../src/core/tensor.js'
import { type DeltaFormat, tensorsForHolder } from '../../src/server/codec/held.js'
import { Copies } from '../../src/sessions/copies.js'

const spec = (name: string, dtype: Dtype, length: number): TensorSpec => ({ name, dtype, shape: [length] })
const SPECS = [spec('a', 'f32', 300), spec('b', 'f64', 5), spec('c', 'bf16', 3), spec('d', 'f16', 2)]
const ENCODINGS = [undefined, 'f32', 'bf16', 'f16', ...LOSSY] as const

/** A session with one client, whose messages are the same type on both sides. */
function pair() {
  const copies = new Copies()
  const held = new HeldCopy()
  const send = (tensors: Tensors, format: Partial<DeltaFormat> = {}, lost = false) => {
    const asked = { name: held.name, version: Number(held.version) }
    const message = tensorsForHolder(tensors, SPECS, { encoding: 'block-int8', density: 0.1, ...format }, asked, copies)
    if (lost) return undefined
    const whole = (message.base ?? 0n) === 0n
    const received = held.unpack(create(TensorsSchema, message) as Parameters<HeldCopy['unpack']>[0])
    const known = copies.find(held.name, Number(held.version))?.tensors
    return { whole, received, known }
  }
  return { copies, held, send }
}

const values = fc.float({ noNaN: true, min: -100, max: 100 })
const tensors = fc
  .tuple(...SPECS.map(({ shape: [n] }) => fc.array(values, { minLength: n, maxLength: n })))
  .map(
    (lists): Tensors =>
      Object.fromEntries(
        SPECS.map(({ name, dtype }, i) => [
          name,
          dtype === 'f64' ? Float64Array.from(lists[i]) : Float32Array.from(lists[i]),
        ]),
      ),
  )
const wordsOf = (array: FloatArray) => [...new Uint32Array(array.slice().buffer)]

it('the copy of the session is that of the client, in every encoding, and comes whole after every loss', () => {
  const steps = fc.array(fc.tuple(tensors, fc.constantFrom(...ENCODINGS), fc.boolean()), { minLength: 2, maxLength: 8 })
  fc.assert(
    fc.property(steps, (list) => {
      const { send } = pair()
      let expectWhole = true
      for (const [tensors, encoding, lost] of list) {
        const sent = send(tensors, { encoding }, lost)
        if (!sent) {
          expectWhole = true
          continue
        }
        expect(sent.whole).toBe(expectWhole)
        expectWhole = false
        for (const [name, array] of Object.entries(sent.received))
          expect(wordsOf(sent.known?.[name] as FloatArray)).toEqual(wordsOf(array))
      }
    }),
    { numRuns: 30 },
  )
})

it('a copy comes as near to parameters that rest as its type allows', () => {
  fc.assert(
    fc.property(tensors, tensors, fc.constantFrom(...LOSSY), (before, after, encoding) => {
      const { send } = pair()
      send(before)
      const distance = (sent: Tensors) => {
        let sum = 0
        for (const [name, x] of Object.entries(after))
          for (let i = 0; i < x.length; i++) sum += (x[i] - sent[name][i]) ** 2
        return Math.sqrt(sum)
      }
      const first = distance(send(after, { encoding })?.received as Tensors)
      let last = first
      for (let i = 0; i < 60; i++) last = distance(send(after, { encoding })?.received as Tensors)
      // Signs bring what differs much from the mean in small steps.
      expect(last).toBeLessThanOrEqual(encoding === 'sign' ? 0.5 * first : 1e-3)
    }),
    { numRuns: 20 },
  )
})

describe('everything is sent', () => {
  const at = (x: number): Tensors => ({
    a: new Float32Array(300).fill(x),
    b: new Float64Array(5).fill(x),
    c: new Float32Array(3).fill(x),
    d: new Float32Array(2).fill(x),
  })

  it('where parameters are no numbers, and once more when they are again', () => {
    const { send } = pair()
    expect(send(at(1))?.whole).toBe(true)
    expect(send(at(2))?.whole).toBe(false)
    expect(send(at(Number.NaN))).toMatchObject({ whole: true, received: { b: new Float64Array(5).fill(Number.NaN) } })
    expect(send(at(2))?.whole).toBe(true)
    expect(send(at(3))?.whole).toBe(false)
  })

  it('where a float64 moves further than a float32 can say', () => {
    const { send } = pair()
    send(at(0))
    const far = { ...at(0), b: new Float64Array(5).fill(1e300) }
    expect(send(far)).toMatchObject({ whole: true, received: { b: far.b } })
  })

  it('to the client whose copy was asked for the longest time ago, when there are too many', () => {
    const { copies, send } = pair()
    send(at(1))
    const version = copies.begin('other', {}).version
    for (let i = 0; i < 6; i++) copies.begin(`more ${i}`, {})
    expect(copies.find('other', version)).toBeDefined()
    expect(copies.bytes).toBe(4 * 305 + 8 * 5)
    copies.begin('one too many', {})
    expect(copies.bytes).toBe(0)
    expect(send(at(2))?.whole).toBe(true)
    expect(copies.find('other', version)).toBeDefined()
  })

  it('to clients whose copies take too much memory beside a new one, which is kept whatever its size', () => {
    const copies = new Copies(100)
    const versions = [1, 2, 3].map((i) => copies.begin(`${i}`, { w: new Float32Array(12) }).version)
    expect(versions.map((version, i) => copies.find(`${i + 1}`, version) !== undefined)).toEqual([false, true, true])
    copies.begin('large', { w: new Float32Array(1000) })
    expect(copies.bytes).toBe(4000)
  })
})
