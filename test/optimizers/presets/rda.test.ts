import { expect, test } from 'vitest'
import {
  type Circuit,
  example,
  type Gate,
  lookup,
  outputsOf,
  reverse,
  run,
} from '../../../examples/workloads/boolean-circuits.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as rda } from '../../../src/optimizers/presets/rda.js'
import { Session, vectors } from '../session.js'

const bits = (value: number, n: number) => Array.from({ length: n }, (_, i) => (value >> i) & 1)

test('[rda] a lookup model learns a random truth table in one pass', () => {
  const rng = new Rng(rngStream(1, 'table'))
  const table = Array.from({ length: 64 }, () => rng.integer(2))
  const circuit = lookup(6, 1)
  const session = new Session(rda, vectors(table.map(() => rng.integer(2))))
  const errors = () => {
    const [theta] = [session.state.x.x]
    return table.reduce((sum, bit, row) => sum + example(circuit, theta, bits(row, 6), [bit]).errors, 0)
  }
  expect(errors()).toBeGreaterThan(10)
  for (let row = 0; row < 64; row++)
    session.tell(example(circuit, session.asked.x, bits(row, 6), [table[row]]).gradient)
  expect(session.x).toEqual(table)
  expect(errors()).toBe(0)
})

test('[rda] gates', () => {
  const and: Circuit = { inputs: 2, gates: [{ kind: 'and', of: [0, 1] }], outputs: [2] }
  expect([...reverse(and, [1, 0], [1])]).toEqual([0, 1])
  const square: Circuit = { inputs: 1, gates: [{ kind: 'and', of: [0, 0] }], outputs: [1] }
  expect(outputsOf(square, [1])).toEqual([1])
  expect([...reverse(square, [1], [1])]).toEqual([0])
  const sum: Circuit = {
    inputs: 2,
    gates: [
      { kind: 'and', of: [0, 1] },
      { kind: 'xor', of: [2, 0] },
    ],
    outputs: [3],
  }
  expect([...reverse(sum, [1, 1], [1])]).toEqual([0, 1])
})

test('[rda] the chain rule: the reverse pass, gate after gate, and the transposed Jacobian', () => {
  const rng = new Rng(rngStream(2, 'circuits'))
  for (let trial = 0; trial < 50; trial++) {
    const inputs = 4
    const gates = Array.from({ length: 10 }, (_, k): Gate => {
      const wire = () => rng.integer(inputs + k)
      const kind = (['xor', 'and', 'const'] as const)[rng.integer(k === 0 ? 2 : 3)]
      return kind === 'const' ? { kind, value: rng.integer(2) as 0 | 1 } : { kind, of: [wire(), wire()] }
    })
    const outputs = [inputs + 9, inputs + 8, inputs + 4]
    const circuit: Circuit = { inputs, gates, outputs }
    const input = Array.from({ length: inputs }, () => rng.integer(2))
    const errors = outputs.map(() => rng.integer(2))
    const found = [...reverse(circuit, input, errors)]

    // Each gate as a circuit of its own from all wires so far to those and its output; R of a composition, from the last.
    const wires = run(circuit, input)
    let e: number[] = Array.from(wires, () => 0)
    for (const [k, wire] of outputs.entries()) e[wire] ^= errors[k]
    for (let k = gates.length - 1; k >= 0; k--) {
      const width = inputs + k
      const one: Circuit = { inputs: width, gates: [gates[k]], outputs: Array.from({ length: width + 1 }, (_, i) => i) }
      e = [...reverse(one, wires.subarray(0, width), e.slice(0, width + 1))]
    }
    expect(found).toEqual(e)

    // Formal partial derivatives forward, input by input.
    const jacobian = Array.from({ length: inputs }, (_, i) => {
      const d: number[] = Array.from({ length: inputs }, (_, j) => Number(i === j))
      for (const gate of gates) {
        if (gate.kind === 'const') d.push(0)
        else if (gate.kind === 'eval') throw new Error('not here')
        else {
          const [a, b] = gate.of
          d.push(gate.kind === 'xor' ? d[a] ^ d[b] : (d[a] & wires[b]) ^ (wires[a] & d[b]))
        }
      }
      return outputs.map((wire) => d[wire])
    })
    expect(found).toEqual(jacobian.map((row) => row.reduce((sum, bit, k) => sum ^ (bit & errors[k]), 0)))
  }
})

test('[rda] takes bits alone', () => {
  const session = new Session(rda, vectors([0, 1, 1]))
  // Errors may be summed over a batch: they count mod 2.
  expect(session.tell([3, 2, -1]).x).toEqual([1, 1, 0])
  expect(() => new Session(rda, vectors([0.5]))).toThrow('space.initial.x')
  expect(() => new Session(rda, vectors([0]), { config: { transforms: [{ id: 'clip-value' }] } })).toThrow('transforms')
  expect(() => new Session(rda, vectors([0]), { config: { averaging: { id: 'ema' } } })).toThrow('averaging')
  expect(() => new Session(rda, vectors([0], { high: 0.5 }))).toThrow('space')
})
