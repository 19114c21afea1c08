/**
 * Martens, Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015, section 3: the
 * Fisher matrix of a layer W, of fan_out rows and fan_in columns, is taken as the product of A = E[h h'], of what goes into
 * the layer, and B = E[d d'], of the gradient of what comes out of it. The damping by the trace is that of Ishikawa,
 * Karakida 2024 (section 3.2), the same at all widths.
 */
import { z } from 'zod'
import type { Quantity } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { TensorSpec, Tensors } from '../../core/tensor.js'
import { choleskyFactor, solveRows } from '../cholesky.js'
import { dot, spaceOf } from '../flat.js'
import { multiply, multiplyTransposed, transpose } from '../matrices.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  layers: field(
    z.array(z.string()).optional(),
    'Names of the matrices that are layers; without it, all matrices. The gradient of other tensors stays as it is.',
  ),
  told: field(
    z.enum(['factors', 'activations']).default('factors'),
    'What is asked of a layer W: the factors "A.W" (fan_in x fan_in) and "B.W" (fan_out x fan_out), or by example what ' +
      'goes in, "h.W", and the gradient of the loss of the example by what comes out, "d.W".',
    { source: 'Martens, Grosse 2015, section 3' },
  ),
  decay: real('Decay of the mean of the factors.', {
    default: 0.95,
    min: 0,
    below: 1,
    source: 'Martens, Grosse 2015, section 5',
  }),
  every: field(z.int().min(1).default(1), 'Steps from one question for the factors to the next.', {
    source: 'Martens, Grosse 2015, section 8',
  }),
  damping: field(z.enum(['trace', 'fixed']).default('trace'), 'What `ridge` multiplies: the trace of a factor, or 1.', {
    source: 'Ishikawa, Karakida 2024, section 3.2',
  }),
  ridge: real('Times the trace or 1, added to the diagonal of a factor.', {
    default: 1e-2,
    above: 0,
    source: 'Ishikawa, Karakida 2024, section 3.2',
  }),
}
type Config = PartConfig<typeof fields>
type Layer = { name: string; fanOut: number; fanIn: number }

const layersOf = ({ layers }: Config, tensors: readonly TensorSpec[]): Layer[] =>
  tensors
    .filter(({ name, shape }) => (layers ? layers.includes(name) : shape.length === 2))
    .map(({ name, shape: [fanOut, fanIn] }) => ({ name, fanOut, fanIn }))

const quantitiesOf = ({ told }: Config, { name, fanOut, fanIn }: Layer): Quantity[] =>
  told === 'factors'
    ? [
        { name: `A.${name}`, shape: [fanIn, fanIn], description: `mean of h*h', of what goes into ${name}` },
        {
          name: `B.${name}`,
          shape: [fanOut, fanOut],
          description: `mean of d*d', of the gradient by what comes out of ${name}`,
        },
      ]
    : [
        { name: `h.${name}`, shape: [-1, fanIn], description: `what goes into ${name}, a row per example` },
        {
          name: `d.${name}`,
          shape: [-1, fanOut],
          description: `gradient of the loss of an example by what comes out of ${name}, a row per example`,
        },
      ]

function begin(config: Config, drive: Drive): Ask {
  const { state, space } = drive
  const due = state.shard % config.every === 0
  state.phase = due ? 'factors' : 'step'
  if (!due) return { point: 'x', purpose: 'step' }
  const quantities = layersOf(config, space.tensors).flatMap((layer) => quantitiesOf(config, layer))
  return { point: 'x', wants: [{ kind: 'quantities', quantities }], purpose: 'factors' }
}

/** The mean of the outer products of rows of n. */
function moment(rows: ArrayLike<number>, n: number): Float64Array {
  const count = rows.length / n
  return multiplyTransposed(rows, rows, count).map((sum) => sum / count)
}

/** Takes the factors in, and decomposes their damped means. */
function learn(config: Config, { state, space }: Drive, told: Tensors) {
  const arrays = state.arrays!
  for (const { name, fanOut, fanIn } of layersOf(config, space.tensors))
    for (const [kind, rows, n] of [
      ['A', 'h', fanIn],
      ['B', 'd', fanOut],
    ] as const) {
      const fresh = config.told === 'factors' ? told[`${kind}.${name}`] : moment(told[`${rows}.${name}`], n)
      const mean = arrays[`${kind}.${name}`]
      const next = mean?.map((value, i) => config.decay * value + (1 - config.decay) * fresh[i])
      arrays[`${kind}.${name}`] = next ?? Float64Array.from(fresh)
      arrays[`root${kind}.${name}`] = choleskyFactor(damped(config, arrays[`${kind}.${name}`], n), n)
    }
}

function damped({ damping, ridge }: Config, matrix: Float64Array, n: number): Float64Array {
  const result = matrix.slice()
  let trace = 0
  for (let i = 0; i < n; i++) trace += matrix[i * n + i]
  const added = ridge * (damping === 'trace' ? trace : 1)
  for (let i = 0; i < n; i++) result[i * n + i] += added
  return result
}

/** A step of the rule along B^-1 G A^-1. */
function update(config: Config, drive: Drive, gradient: Tensors) {
  const { state, space } = drive
  const layers = layersOf(config, space.tensors)
  drive.copy(gradient, 'natural')
  for (const { name, fanOut, fanIn } of layers) {
    const { [`rootA.${name}`]: A, [`rootB.${name}`]: B } = state.arrays!
    const half = solveRows(A, fanIn, Float64Array.from(gradient[name]))
    state.points.natural[name].set(transpose(solveRows(B, fanOut, transpose(half, fanIn)), fanOut))
  }
  drive.copy(drive.x, 'before')
  drive.update(state.points.natural)
  for (const { name, fanOut, fanIn } of layers) {
    const move = Float64Array.from(drive.x[name], (x, i) => x - state.points.before[name][i])
    const along = multiply(move, state.arrays![`A.${name}`], fanIn)
    state.reports![`change.${name}`] = Math.sqrt(Math.max(dot(move, along), 0) / fanOut)
  }
}

export const kfac = defineDriver({
  id: 'kfac',
  summary:
    'The natural gradient of layers by Kronecker factors, for any rule. Reports for each layer the root mean square of the ' +
    'change that its step makes in its pre-activations, `change.NAME`.',
  fields,
  wants: () => ['gradient', 'quantities'],
  equations: ({ damping }: Config) => [
    String.raw`A = \mathbb{E}\, h h^\top,\quad B = \mathbb{E}\, d d^\top`,
    damping === 'trace'
      ? String.raw`r_A = \rho\, \mathrm{tr} A,\quad r_B = \rho\, \mathrm{tr} B`
      : String.raw`r_A = r_B = \rho`,
    String.raw`g \leftarrow (B + r_B I)^{-1}\, g\, (A + r_A I)^{-1}`,
  ],
  points: () => ['natural', 'before'],
  begin(config, drive) {
    drive.state.reports = {}
    drive.state.arrays = {}
    return begin(config, drive)
  },
  advance(config, drive, gradient, answer) {
    const { state } = drive
    if (state.phase === 'factors') {
      learn(config, drive, answer.quantities[0])
      state.phase = 'step'
      return { point: 'x', purpose: 'step' }
    }
    update(config, drive, gradient)
    state.shard++
    return begin(config, drive)
  },
  check({ layers = [] }, problem) {
    const { tensors } = spaceOf(problem)
    const wrong = layers.filter((name) => tensors.find((spec) => spec.name === name)?.shape.length !== 2)
    if (wrong.length > 0)
      return [{ field: 'layers', message: `expected names of matrices, fan_out x fan_in; "${wrong[0]}" is none` }]
    if (layers.length === 0 && tensors.every(({ shape }) => shape.length !== 2))
      return [{ field: 'layers', message: 'the space has no matrix' }]
    return []
  },
})
