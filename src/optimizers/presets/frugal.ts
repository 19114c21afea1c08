/**
 * Zmushko, Beznosikov, Takáč, Horváth, "FRUGAL: Memory-Efficient Optimization by Reducing State Overhead for Scalable
 * Training", 2024, algorithm 1. State is kept of a part of every matrix that changes from time to time; the rest moves
 * by a rule without state. Other tensors keep all of it.
 */
import { z } from 'zod'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import type { Slots } from '../engines/engine.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { into, layout, orthonormalize, singular } from '../subspace-momentum.js'

const rate = { min: 0, mutable: true, log: true }
const fields = {
  learningRate: real('Step size.', { default: 1e-3, ...rate, source: 'fzmushko/FRUGAL' }),
  density: real('Share of a matrix, or of the number of matrices, that has state.', {
    default: 0.25,
    min: 0,
    max: 1,
    source: 'fzmushko/FRUGAL',
  }),
  updateGap: field(z.int().min(1).default(200), 'Steps from one part to the next; state begins at 0 with each.', {
    source: 'fzmushko/FRUGAL',
  }),
  projection: field(
    z.enum(['columns', 'rows', 'random-k', 'blocks', 'svd', 'random']).default('blocks'),
    'What the part is: columns, rows or elements of every matrix, whole matrices, its leading singular vectors, or ' +
      'random directions.',
    { source: 'ours' },
  ),
  order: field(
    z.enum(['random', 'ascending', 'descending', 'mirror']).default('random'),
    'Of columns, rows, elements or matrices: at random, one part after the other, backwards, or there and back.',
    { source: 'fzmushko/FRUGAL' },
  ),
  stateful: field(z.enum(['adamw', 'lion', 'sgdm']).default('adamw'), 'The rule of the part with state.', {
    source: 'fzmushko/FRUGAL',
  }),
  stateless: field(z.enum(['sign-sgd', 'sgd', 'none']).default('sign-sgd'), 'The rule of the rest.', {
    source: 'fzmushko/FRUGAL',
  }),
  scale: real('Times the steps of matrices.', { default: 1, min: 0, source: 'fzmushko/FRUGAL: proj_params_lr_scale' }),
  inactiveScale: real('Times the steps of the rest, besides.', {
    default: 1,
    min: 0,
    source: 'fzmushko/FRUGAL: inactive_lr_scale',
  }),
  whole: field(z.array(z.string()).default([]), 'Matrices that keep all state: embeddings, the last layer.'),
  beta1: real('Decay of the momentum.', { default: 0.9, min: 0, below: 1, source: 'fzmushko/FRUGAL' }),
  beta2: real('Decay of the second moment, or of the momentum of Lion.', {
    default: 0.999,
    min: 0,
    below: 1,
    source: 'fzmushko/FRUGAL',
  }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, above: 0, source: 'fzmushko/FRUGAL' }),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'fzmushko/FRUGAL',
  }),
}
type Config = PresetConfig<typeof fields>

/** The direction of the rule with state; `t` counts its steps from 1. Lion and SGD keep no `v`. */
function direction({ stateful, beta1, beta2, eps }: Config, g: FloatArray, m: FloatArray, v: FloatArray, t: number) {
  return Float64Array.from(g, (gi, i) => {
    if (stateful === 'lion') {
      const u = Math.sign(beta1 * m[i] + (1 - beta1) * gi)
      m[i] = beta2 * m[i] + (1 - beta2) * gi
      return u
    }
    if (stateful === 'sgdm') {
      m[i] = beta1 * m[i] + gi
      return m[i]
    }
    m[i] = beta1 * m[i] + (1 - beta1) * gi
    v[i] = beta2 * v[i] + (1 - beta2) * gi * gi
    return m[i] / (1 - beta1 ** t) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + eps)
  })
}

/** Size, relative to the largest element of a gradient, below which what a projection leaves is rounding. */
const ROUNDING = 1e-12

const rest = {
  'sign-sgd': Math.sign,
  sgd: (g: number) => g,
  none: () => 0,
}

/** `count` of `total` numbers: those of part `k`, from 0. */
function chosen(order: Config['order'], total: number, count: number, k: number, rng: Rng): number[] {
  if (order === 'random') {
    const keys = Array.from({ length: total }, (_, i) => ({ i, key: rng.uniform() }))
    return keys
      .sort((a, b) => a.key - b.key)
      .slice(0, count)
      .map(({ i }) => i)
  }
  const parts = Math.ceil(total / Math.max(count, 1))
  const back = k % (2 * parts)
  const at = order === 'mirror' && back >= parts ? 2 * parts - 1 - back : k
  const numbers = Array.from({ length: count }, (_, j) => (at * count + j) % total)
  return order === 'descending' ? numbers.map((i) => total - 1 - i) : numbers
}

const isMatrix = ({ whole }: Config, { name, shape }: TensorSpec) => shape.length > 1 && !whole.includes(name)
const hasBasis = ({ projection }: Config) => projection === 'svd' || projection === 'random'

/** The elements of a matrix that part `k` has; `active` of whole matrices. */
function members(config: Config, { shape }: TensorSpec, k: number, rng: Rng, active: boolean): number[] {
  const { projection, density, order } = config
  const size = elements(shape)
  const columns = shape[shape.length - 1]
  const all = Array.from({ length: size }, (_, i) => i)
  if (projection === 'blocks') return active ? all : []
  const pick = (total: number) => chosen(order, total, Math.floor(density * total), k, rng)
  if (projection === 'random-k') return pick(size)
  const picked = new Set(pick(projection === 'columns' ? columns : size / columns))
  return all.filter((i) => picked.has(projection === 'columns' ? i % columns : Math.floor(i / columns)))
}

/** A part as a basis (directions along the shorter side, row by row) or as element numbers. */
function begin(config: Config, tensors: readonly TensorSpec[], kept: Slots, g: Slots[string], k: number, seed: number) {
  const matrices = tensors.filter((tensor) => isMatrix(config, tensor))
  const blocks = Math.round(config.density * matrices.length)
  const active = chosen(config.order, matrices.length, blocks, k, new Rng(rngStream(seed, 'blocks')))
  for (const [index, tensor] of matrices.entries()) {
    const { name } = tensor
    const rng = new Rng(rngStream(seed, `part ${name}`))
    let size: number
    if (hasBasis(config)) {
      const matrix = layout(tensor, 'svd')
      const r = Math.round(config.density * matrix.columns)
      const basis = new Float64Array(r * matrix.columns)
      if (config.projection === 'svd') singular(g[name], basis, r, rng, matrix)
      else {
        for (let i = 0; i < basis.length; i++) basis[i] = rng.normal()
        orthonormalize(basis, r, matrix.columns)
      }
      kept.part[name] = basis
      size = r * matrix.rows
    } else {
      kept.part[name] = Float64Array.from(members(config, tensor, k, rng, active.includes(index)))
      size = kept.part[name].length
    }
    kept.m[name] = new Float64Array(size)
    kept.v[name] = new Float64Array(config.stateful === 'adamw' ? size : 0)
  }
}

/** The step of a matrix: the rule with state on its part of the gradient, the other on the rest. */
function split(config: Config, tensor: TensorSpec, g: FloatArray, kept: Slots, t: number): Float64Array {
  const { scale, inactiveScale, stateless } = config
  const [part, m, v] = [kept.part[tensor.name], kept.m[tensor.name], kept.v[tensor.name]]
  const step = new Float64Array(g.length)
  const out = Float64Array.from(g)
  if (hasBasis(config)) {
    const matrix = layout(tensor, 'svd')
    const basis = part as Float64Array
    const r = basis.length / matrix.columns
    const inside = into(g, basis, r, matrix)
    const along = direction(config, inside, m, v, t)
    for (let i = 0; i < matrix.rows; i++)
      for (let k = 0; k < r; k++)
        for (let j = 0; j < matrix.columns; j++) {
          step[matrix.at(i, j)] += along[i * r + k] * basis[k * matrix.columns + j]
          out[matrix.at(i, j)] -= inside[i * r + k] * basis[k * matrix.columns + j]
        }
    // What is left where the part has all of it is rounding, and has no sign.
    const tiny = ROUNDING * Array.from(g).reduce((most, gi) => Math.max(most, Math.abs(gi)), 0)
    for (let i = 0; i < out.length; i++) if (Math.abs(out[i]) <= tiny) out[i] = 0
  } else {
    const inside = Float64Array.from(part, (i) => g[i])
    const along = direction(config, inside, m, v, t)
    for (const [k, i] of part.entries()) {
      step[i] = along[k]
      out[i] = 0
    }
  }
  return step.map((value, i) => scale * (value + inactiveScale * rest[stateless](out[i])))
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['step'],
  begin(config, { tensors }) {
    const sizes = (has: boolean) =>
      Object.fromEntries(
        tensors.map((tensor) => [
          tensor.name,
          new Float64Array(isMatrix(config, tensor) || !has ? 0 : elements(tensor.shape)),
        ]),
      )
    return { part: sizes(false), m: sizes(true), v: sizes(config.stateful === 'adamw') }
  },
  inputs(config, { tensors }, { gradient, kept, t, seed }) {
    const since = (t - 1) % config.updateGap
    if (since === 0) begin(config, tensors, kept, gradient, (t - 1) / config.updateGap, seed)
    const step = tensors.map((tensor) => {
      const { name } = tensor
      const made = isMatrix(config, tensor)
        ? split(config, tensor, gradient[name], kept, since + 1)
        : direction(config, gradient[name], kept.m[name], kept.v[name], t)
      return [name, made]
    })
    return { step: Object.fromEntries(step) }
  },
}

export const method = gradientMethod<typeof fields>({
  id: 'frugal',
  title: 'FRUGAL',
  summary: 'AdamW, Lion or momentum on a part of each matrix that changes, and the sign of the gradient on the rest.',
  references: [
    {
      authors: 'P. Zmushko, A. Beznosikov, M. Takáč, S. Horváth',
      title: 'FRUGAL: Memory-Efficient Optimization by Reducing State Overhead for Scalable Training',
      year: 2024,
      url: 'https://arxiv.org/abs/2411.07837',
    },
  ],
  fields,
  rule: ({ weightDecay }: Config) => ({
    text: [...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []), 'x = x - lr*step'].join('\n'),
    inputs: ['step'],
    scalars: () => ({ weightDecay }),
  }),
  host,
  check: ({ whole }, { space }) =>
    whole.flatMap((name, i) =>
      space.kind === 'tensors' && space.tensors.some((tensor) => tensor.name === name)
        ? []
        : [{ path: `config.whole[${i}]`, message: `the space has no tensor "${name}"` }],
    ),
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, projection: 'columns', schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-3,
    },
  ],
})
