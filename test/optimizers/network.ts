/** Fully connected ReLU networks with exact gradients, fast enough to train within a test. */
import { type Block, Workspace } from '../../src/blackbox/linalg/linalg.js'
import type { TensorSpec } from '../../src/core/tensor.js'

type Parameters = { readonly [name: string]: ArrayLike<number> }
type Layer = { rows: number; columns: number; w: Block; b: Block; gw: Block; gb: Block; in: Block; back: Block }

/** What a loss makes of outputs (row by row): their gradient. */
export type OutputError = (outputs: Float64Array) => ArrayLike<number>

/** Layers of these widths, inputs first. Parameters are W0 [in, out], b0 [out], W1, ... */
export class Network {
  readonly specs: TensorSpec[]
  private readonly workspace = new Workspace()
  private readonly layers: Layer[]
  private readonly outputs: Block

  constructor(
    private readonly widths: readonly number[],
    private readonly most: number,
  ) {
    const alloc = (n: number) => this.workspace.alloc(n)
    this.layers = widths.slice(0, -1).map((rows, k) => {
      const columns = widths[k + 1]
      const [w, gw, b, gb] = [rows * columns, rows * columns, columns, columns].map(alloc)
      return { rows, columns, w, b, gw, gb, in: alloc(most * rows), back: alloc(most * columns) }
    })
    this.outputs = alloc(most * widths[widths.length - 1])
    this.specs = this.layers.flatMap(({ rows, columns }, k): TensorSpec[] => [
      { name: `W${k}`, shape: [rows, columns], dtype: 'f64' },
      { name: `b${k}`, shape: [columns], dtype: 'f64' },
    ])
  }

  private load(parameters: Parameters) {
    for (const [k, { w, b }] of this.layers.entries()) {
      w.view.set(parameters[`W${k}`])
      b.view.set(parameters[`b${k}`])
    }
  }

  /** Outputs of up to `most` inputs, row by row: a view that the next call overwrites. */
  forward(parameters: Parameters, inputs: Float64Array): Float64Array {
    const n = inputs.length / this.widths[0]
    if (n > this.most) throw new RangeError(`a network for ${this.most} inputs at once got ${n}`)
    this.load(parameters)
    const { gemm } = this.workspace.kernels
    this.layers[0].in.view.set(inputs)
    for (const [k, { rows, columns, w, b, in: input }] of this.layers.entries()) {
      const out = this.layers[k + 1]?.in ?? this.outputs
      const values = out.view
      const bias = b.view
      for (let i = 0; i < n; i++) values.set(bias, i * columns)
      gemm(
        false,
        n,
        columns,
        rows,
        1,
        input.pointer,
        rows * 8,
        8,
        w.pointer,
        columns * 8,
        8,
        out.pointer,
        columns * 8,
        8,
      )
      if (out !== this.outputs) for (let i = 0; i < n * columns; i++) if (values[i] < 0) values[i] = 0
    }
    return this.outputs.view.subarray(0, n * this.widths[this.widths.length - 1])
  }

  /** The gradient of a loss of the outputs by all parameters: views that the next call overwrites. */
  gradient(parameters: Parameters, inputs: Float64Array, error: OutputError): { [name: string]: Float64Array } {
    const n = inputs.length / this.widths[0]
    const told = error(this.forward(parameters, inputs))
    const { gemm } = this.workspace.kernels
    this.layers[this.layers.length - 1].back.view.set(told)
    for (let k = this.layers.length - 1; k >= 0; k--) {
      const { rows, columns, w, gw, gb, in: input, back } = this.layers[k]
      const [sums, errors] = [gb.view.fill(0), back.view]
      for (let i = 0; i < n; i++) for (let j = 0; j < columns; j++) sums[j] += errors[i * columns + j]
      gw.view.fill(0)
      gemm(
        false,
        rows,
        columns,
        n,
        1,
        input.pointer,
        8,
        rows * 8,
        back.pointer,
        columns * 8,
        8,
        gw.pointer,
        columns * 8,
        8,
      )
      if (k === 0) break
      const before = this.layers[k - 1].back
      before.view.fill(0, 0, n * rows)
      gemm(
        false,
        n,
        rows,
        columns,
        1,
        back.pointer,
        columns * 8,
        8,
        w.pointer,
        8,
        columns * 8,
        before.pointer,
        rows * 8,
        8,
      )
      const [values, passed] = [input.view, before.view]
      for (let i = 0; i < n * rows; i++) if (values[i] <= 0) passed[i] = 0
    }
    return Object.fromEntries(
      this.layers.flatMap(({ gw, gb }, k) => [
        [`W${k}`, gw.view],
        [`b${k}`, gb.view],
      ]),
    )
  }
}

/** Softmax of each row of logits. */
export function softmax(logits: ArrayLike<number>, classes: number): Float64Array {
  const p = Float64Array.from(logits)
  for (let row = 0; row < p.length; row += classes) {
    let top = p[row]
    for (let c = 1; c < classes; c++) top = Math.max(top, p[row + c])
    let sum = 0
    for (let c = 0; c < classes; c++) sum += p[row + c] = Math.exp(p[row + c] - top)
    for (let c = 0; c < classes; c++) p[row + c] /= sum
  }
  return p
}

/** The mean cross-entropy of labels, as an error of logits. */
export const crossEntropy =
  (labels: ArrayLike<number>, classes: number): OutputError =>
  (logits) => {
    const e = softmax(logits, classes)
    for (let i = 0; i < labels.length; i++) e[i * classes + labels[i]] -= 1
    return e.map((value) => value / labels.length)
  }

/** Share of rows whose largest output is that of the label. */
export function accuracy(outputs: Float64Array, labels: ArrayLike<number>): number {
  const classes = outputs.length / labels.length
  let right = 0
  for (let i = 0; i < labels.length; i++) {
    const row = outputs.subarray(i * classes, (i + 1) * classes)
    if (row.indexOf(Math.max(...row)) === labels[i]) right++
  }
  return right / labels.length
}
