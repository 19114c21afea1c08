/** Fully connected tanh networks without biases, and all that may be asked of their layers. */
import type { Point } from '../../src/core/query.js'
import type { TensorSpec, Tensors } from '../../src/core/tensor.js'
import { multiply, multiplyByTransposed, multiplyTransposed } from '../../src/optimizers/matrices.js'
import type { Definition } from './oracle.js'

/** What goes into each layer and the gradient of an example's loss by what comes out of it, a row per example. */
export type Pass = { h: Float64Array[]; d: Float64Array[]; outputs: Float64Array; loss: number }

/** Layers W1, W2, ... of these widths, inputs first; the loss is the mean of half the squared error of one output. */
export class TanhNetwork {
  readonly specs: TensorSpec[]

  constructor(
    readonly widths: readonly number[],
    private readonly inputs: Float64Array,
    private readonly targets: Float64Array,
  ) {
    this.specs = widths.slice(1).map((rows, k) => ({ name: `W${k + 1}`, shape: [rows, widths[k]], dtype: 'f64' }))
  }

  pass(weights: Tensors): Pass {
    const { widths, specs, targets } = this
    const n = targets.length
    const h = [this.inputs]
    specs.forEach(({ name }, k) => {
      const out = multiplyByTransposed(h[k], weights[name], widths[k])
      h.push(k + 1 < specs.length ? out.map(Math.tanh) : out)
    })
    const outputs = h.pop()!
    const error = outputs.map((out, i) => out - targets[i])
    const d = [error]
    for (let k = specs.length - 1; k > 0; k--) {
      const back = multiply(d[0], weights[specs[k].name], widths[k + 1])
      d.unshift(back.map((value, i) => value * (1 - h[k][i] ** 2)))
    }
    return { h, d, outputs, loss: error.reduce((sum, e) => sum + (e * e) / 2, 0) / n }
  }

  /** The mean over examples of the outer products of rows. */
  private moment(a: Float64Array, b: Float64Array): Float64Array {
    const n = this.targets.length
    return multiplyTransposed(a, b, n).map((value) => value / n)
  }

  gradient(weights: Tensors): { [name: string]: Float64Array } {
    const { h, d } = this.pass(weights)
    return Object.fromEntries(this.specs.map(({ name }, k) => [name, this.moment(d[k], h[k])]))
  }

  /** The Kronecker factors A.W and B.W of each layer, and the activations h.W and d.W. */
  quantities(weights: Tensors): { [name: string]: Float64Array } {
    const { h, d } = this.pass(weights)
    return Object.fromEntries(
      this.specs.flatMap(({ name }, k) => [
        [`A.${name}`, this.moment(h[k], h[k])],
        [`B.${name}`, this.moment(d[k], d[k])],
        [`h.${name}`, h[k]],
        [`d.${name}`, d[k]],
      ]),
    )
  }
}

/** A network of widths 3, 4, 1 learns 12 values of another of the same widths: the loss is 2.0 at the start and 0 at the least. */
export function layers(): Definition {
  const inputs = Float64Array.from({ length: 36 }, (_, i) => Math.sin(1 + 2.3 * i))
  const weights = (scale: number, phase: number): Tensors => ({
    W1: Float64Array.from({ length: 12 }, (_, i) => scale * Math.cos(phase + 1.7 * i)),
    W2: Float64Array.from({ length: 4 }, (_, i) => scale * Math.cos(phase + 0.9 * i)),
  })
  const teacher = new TanhNetwork([3, 4, 1], inputs, new Float64Array(12)).pass(weights(1, 0)).outputs
  const network = new TanhNetwork([3, 4, 1], inputs, teacher)
  const tensorsOf = (point: Point): Tensors => {
    if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
    return point.tensors
  }
  const names = network.specs.flatMap(({ name }) => ['A', 'B', 'h', 'd'].map((kind) => `${kind}.${name}`))
  return {
    problem: {
      space: { kind: 'tensors', tensors: network.specs, initial: weights(0.5, 2) },
      objectives: [{ name: 'loss', direction: 'minimize' }],
    },
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => network.pass(tensorsOf(point)).loss,
    gradient: (point) => network.gradient(tensorsOf(point)),
    quantities: Object.fromEntries(
      names.map((name) => [name, (point: Point) => network.quantities(tensorsOf(point))[name]]),
    ),
  }
}
