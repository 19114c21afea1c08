/** A small network whose modules take noise from the seeds of a query. */
import { moduleNoise } from '../../src/blackbox/zeroth/module-noise.js'
import type { Point, Query } from '../../src/core/query.js'
import type { TensorSpec, Tensors } from '../../src/core/tensor.js'
import type { Definition } from './oracle.js'

/** What a note of `ulr` says. */
export function noteOf({ points }: Query) {
  const note = points.find((point) => point.kind === 'text')
  if (note?.kind !== 'text') throw new Error('expected a note')
  const { seed, modules, sigma, copies, antithetic, quasi, coefficients } = note.text
  return {
    seed: Number(seed),
    modules: modules.split(' '),
    sigma: Number(sigma),
    copies: Number(copies),
    antithetic: antithetic === 'true',
    quasi: quasi === 'true',
    coefficients: Float64Array.from(coefficients?.split(' ') ?? [], Number),
  }
}

const tensorsOf = (point: Point): Tensors => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}
const [INPUTS, HIDDEN, OUTPUTS, EXAMPLES] = [3, 4, 2, 8]
const wave = (n: number, phase: number) => Float64Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + phase))
const times = (w: ArrayLike<number>, x: Float64Array) =>
  Float64Array.from({ length: w.length / x.length }, (_, i) =>
    x.reduce((sum, value, j) => sum + w[i * x.length + j] * value, 0),
  )

/**
 * W1*tanh(W0*a + b0) for 8 inputs a of size 3, tensors W0:[4, 3], b0:[4] and W1:[2, 4], f64, against a network of the same
 * shape whose b0 and W0 the start has, but for a tenth. Half of the mean squared error without noise; 0 at that network.
 */
export function noisyModules(): Definition {
  const tensors: TensorSpec[] = [
    { name: 'W0', shape: [HIDDEN, INPUTS], dtype: 'f64' },
    { name: 'b0', shape: [HIDDEN], dtype: 'f64' },
    { name: 'W1', shape: [OUTPUTS, HIDDEN], dtype: 'f64' },
  ]
  const teacher = { W0: wave(12, 0.3), b0: wave(4, 1), W1: wave(8, 2) }
  const inputs = Array.from({ length: EXAMPLES }, (_, n) => wave(INPUTS, 0.9 * n))
  type Noise = (module: string, n: number, k: number) => Float64Array | undefined
  const pass = ({ W0, b0, W1 }: Tensors, n: number, noise: (module: string) => Float64Array | undefined) => {
    const e0 = noise('W0')
    const hidden = times(W0, inputs[n]).map((z, i) => Math.tanh(z + b0[i] + (e0?.[i] ?? 0)))
    const e1 = noise('W1')
    return { hidden, outputs: times(W1, hidden).map((z, i) => z + (e1?.[i] ?? 0)) }
  }
  const quiet = () => undefined
  const wanted = inputs.map((_, n) => pass(teacher, n, quiet).outputs)
  const error = (outputs: Float64Array, n: number) => outputs.map((out, i) => out - wanted[n][i])
  const loss = (outputs: Float64Array, n: number) => 0.5 * error(outputs, n).reduce((sum, e) => sum + e * e, 0)
  const width = { W0: HIDDEN, W1: OUTPUTS } as { [module: string]: number }
  const noiseOf = (query: Query): Noise => {
    const { seed, modules, copies, quasi } = noteOf(query)
    const draws = new Map(modules.map((module) => [module, moduleNoise({ seed, module, width: width[module], quasi })]))
    return (module, n, k) => draws.get(module)?.(n * copies + k)
  }
  const losses = (x: Tensors, query: Query) => {
    const { sigma, copies, antithetic } = noteOf(query)
    const noise = noiseOf(query)
    return Float64Array.from(
      inputs.flatMap((_, n) =>
        Array.from({ length: copies }).flatMap((_, k) =>
          (antithetic ? [1, -1] : [1]).map((sign) => {
            const scaled = (module: string) => noise(module, n, k)?.map((e) => sign * sigma * e)
            return loss(pass(x, n, scaled).outputs, n)
          }),
        ),
      ),
    )
  }
  /** The sum of coefficient times noise times the module's input. */
  const sums = (module: string, input: (n: number) => Float64Array) => (query: Query) => {
    const { coefficients, copies } = noteOf(query)
    const noise = noiseOf(query)
    const size = input(0).length
    const sum = new Float64Array(width[module] * size)
    coefficients.forEach((q, at) => {
      const n = Math.floor(at / copies)
      const [e, a] = [noise(module, n, at % copies)!, input(n)]
      for (let i = 0; i < sum.length; i++) sum[i] += q * e[Math.floor(i / size)] * a[i % size]
    })
    return sum
  }
  /** The input of W1 with the draw of the noise ahead of it needs the draw: here only one module has noise at a time. */
  const hiddenOf = (x: Tensors) => (n: number) => pass(x, n, quiet).hidden
  return {
    problem: {
      space: {
        kind: 'tensors',
        tensors,
        initial: { W0: teacher.W0.map((w) => w + 0.1), b0: teacher.b0.map((b) => b + 0.1), W1: wave(8, 0) },
      },
      objectives: [{ name: 'loss', direction: 'minimize' }],
    },
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) =>
      inputs.reduce((sum, _, n) => sum + loss(pass(tensorsOf(point), n, quiet).outputs, n), 0) / EXAMPLES,
    gradient(point) {
      const x = tensorsOf(point)
      const [W0, b0, W1] = [new Float64Array(12), new Float64Array(4), new Float64Array(8)]
      inputs.forEach((a, n) => {
        const { hidden, outputs } = pass(x, n, quiet)
        const e = error(outputs, n).map((value) => value / EXAMPLES)
        for (let i = 0; i < OUTPUTS; i++) for (let j = 0; j < HIDDEN; j++) W1[i * HIDDEN + j] += e[i] * hidden[j]
        hidden.forEach((h, j) => {
          let back = 0
          for (let i = 0; i < OUTPUTS; i++) back += e[i] * x.W1[i * HIDDEN + j]
          back *= 1 - h * h
          b0[j] += back
          for (let k = 0; k < INPUTS; k++) W0[j * INPUTS + k] += back * a[k]
        })
      })
      return { W0, b0, W1 }
    },
    quantities: {
      losses: (point, _, query) => losses(tensorsOf(point), query),
      W0: (_, __, query) => sums('W0', (n) => inputs[n])(query),
      b0: (_, __, query) => sums('W0', () => Float64Array.of(1))(query),
      W1: (point, _, query) => sums('W1', hiddenOf(tensorsOf(point)))(query),
    },
  }
}
