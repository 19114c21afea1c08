/**
 * Boolean circuits and their reverse derivatives over the integers mod 2:
 * Wilson, Zanasi, "Reverse Derivative Ascent: A Categorical Approach to Learning Boolean Circuits", ACT 2020.
 *
 * Derivatives are those of the circuit, not of its truth table: x copied and multiplied with itself is x*x, of derivative 0.
 */

/** Gates work on wires by number: the inputs come first, then the output of each gate. A wire that is read twice is copied. */
export type Gate =
  | { kind: 'xor' | 'and'; of: readonly [number, number] }
  | { kind: 'const'; value: 0 | 1 }
  /** The row of a lookup table (wires, first one least significant) that the address picks, one bit of it. */
  | { kind: 'eval'; table: readonly number[]; address: readonly number[] }

export type Circuit = { inputs: number; gates: readonly Gate[]; outputs: readonly number[] }

const rowOf = (wires: ArrayLike<number>, address: readonly number[]): number =>
  address.reduce((row, wire, bit) => row + (wires[wire] << bit), 0)

/** The bits of all wires. */
export function run({ inputs, gates }: Circuit, input: ArrayLike<number>): Uint8Array {
  const wires = new Uint8Array(inputs + gates.length)
  for (let i = 0; i < inputs; i++) wires[i] = input[i]
  for (const [k, gate] of gates.entries()) {
    const out = inputs + k
    if (gate.kind === 'const') wires[out] = gate.value
    else if (gate.kind === 'eval') wires[out] = wires[gate.table[rowOf(wires, gate.address)]]
    else {
      const [a, b] = gate.of.map((wire) => wires[wire])
      wires[out] = gate.kind === 'xor' ? a ^ b : a & b
    }
  }
  return wires
}

export const outputsOf = (circuit: Circuit, input: ArrayLike<number>): number[] => {
  const wires = run(circuit, input)
  return circuit.outputs.map((wire) => wires[wire])
}

/** The reverse derivative R(x, e) of a circuit: for the errors of its outputs, those of its inputs. */
export function reverse(circuit: Circuit, input: ArrayLike<number>, errors: ArrayLike<number>): Uint8Array {
  const { inputs, gates, outputs } = circuit
  const wires = run(circuit, input)
  const back = new Uint8Array(wires.length)
  for (const [k, wire] of outputs.entries()) back[wire] ^= errors[k]
  for (let k = gates.length - 1; k >= 0; k--) {
    const gate = gates[k]
    const e = back[inputs + k]
    if (gate.kind === 'const' || e === 0) continue
    if (gate.kind === 'eval') back[gate.table[rowOf(wires, gate.address)]] ^= 1
    else {
      const [a, b] = gate.of
      back[a] ^= gate.kind === 'xor' ? 1 : wires[b]
      back[b] ^= gate.kind === 'xor' ? 1 : wires[a]
    }
  }
  return back.subarray(0, inputs)
}

/**
 * The gradient to tell for one example: the part of the reverse derivative that belongs to the parameters, which are the
 * first inputs of the circuit, and how many output bits were wrong.
 */
export function example(
  circuit: Circuit,
  theta: ArrayLike<number>,
  input: ArrayLike<number>,
  target: ArrayLike<number>,
) {
  const all = [...Array.from(theta), ...Array.from(input)]
  const errors = outputsOf(circuit, all).map((bit, k) => bit ^ target[k])
  const gradient = Float32Array.from(reverse(circuit, all, errors).subarray(0, theta.length))
  return { gradient, errors: errors.filter((bit) => bit === 1).length }
}

/** The model that looks its answer up: 2^n rows of m parameter bits, n input bits. */
export function lookup(n: number, m: number): Circuit {
  const rows = 2 ** n
  const address = Array.from({ length: n }, (_, i) => rows * m + i)
  const table = (bit: number) => Array.from({ length: rows }, (_, row) => row * m + bit)
  return {
    inputs: rows * m + n,
    gates: Array.from({ length: m }, (_, bit) => ({ kind: 'eval', table: table(bit), address })),
    outputs: Array.from({ length: m }, (_, bit) => rows * m + n + bit),
  }
}
