/**
 * Liang, Liu, Chen, Liu, "Memory-Efficient LLM Training with Online Subspace Descent", NeurIPS 2024, algorithm 1; with
 * singular vectors every so many steps: Zhao et al., "GaLore", ICML 2024.
 *
 * The rule sees, of each matrix, coordinates x in a subspace along its shorter side, which begin at 0 with each step. Their
 * gradient is R = P'G, and a step of theirs moves the matrix by scale*P*x. All the rule's state has the shape of R.
 */
import { z } from 'zod'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import { norm } from '../flat.js'
import { multiply, multiplyByTransposed } from '../matrices.js'
import { type PartConfig, real } from '../parts.js'
import { into, layout, orthonormalize, singular } from '../subspace-momentum.js'
import { type Arrays, arrayOf, defineParametrization, type Place } from './parametrization.js'

const fields = {
  rank: field(z.int().min(1).default(4), 'Dimension of the subspace of each matrix.', {
    source: 'section 5: 32 to 512',
  }),
  scale: real('Times the steps of matrices.', { default: 1, min: 0, source: 'section 5; 0.25 in GaLore' }),
  projection: field(
    z.enum(['online', 'svd', 'random']).default('online'),
    'Where the subspace comes from: the leading singular vectors of the first gradient, then steps of online PCA; those ' +
      'of the gradient every so many steps; or random directions as often.',
    { source: 'section 3; svd: GaLore' },
  ),
  updateEvery: field(z.int().min(1).default(200), 'Steps from one subspace to the next, for "svd" and "random".', {
    source: 'GaLore, section 5',
  }),
  projectorRule: field(z.enum(['adam', 'sgd']).default('adam'), 'What moves the basis online.', {
    source: 'section 3.2',
  }),
  projectorRate: real('Step size of the basis, in proportion to the learning rate over the first one.', {
    default: 0.005,
    min: 0,
    source: 'kyleliang919/Online-Subspace-Descent: 1/200',
  }),
  orthoPenalty: real("Weight of |P'P - I|^2 in what the basis minimizes.", {
    default: 0,
    min: 0,
    source: 'equation 5',
  }),
  weightDecay: real('Times lr and the parameters, subtracted from them.', { default: 0, min: 0, source: 'ours' }),
}
type Config = PartConfig<typeof fields>

const [BETA1, BETA2, EPS] = [0.9, 0.999, 1e-6]
/** Share of the terms of a slope below which it is rounding, of which Adam would make steps all the same. */
const ROUNDING = 1e-13

const isMatrix = ({ shape }: TensorSpec): boolean => shape.length > 1
/** A matrix of `rows` by `columns`, the longer side first, and the dimension of its subspace. */
const frameOf = ({ rank }: Config, spec: TensorSpec) => {
  const matrix = layout(spec, 'svd')
  return { matrix, r: Math.min(rank, matrix.columns) }
}

/** The basis of a matrix for this step, in rows: begun or renewed where it is time. */
function basisOf(config: Config, { kept, t }: Place, spec: TensorSpec, g: ArrayLike<number>): Float64Array {
  const { matrix, r } = frameOf(config, spec)
  const basis = kept.basis[spec.name] as Float64Array
  const born = kept.born[spec.name]
  const due = config.projection === 'online' ? born[0] < 0 : t % config.updateEvery === 0 && born[0] !== t
  if (!due) return basis
  born[0] = t
  const rng = new Rng(rngStream(kept.seed.all[0] + t, spec.name))
  if (config.projection === 'random') {
    for (let i = 0; i < basis.length; i++) basis[i] = rng.normal()
    orthonormalize(basis, r, matrix.columns)
  } else singular(g, basis, r, rng, matrix)
  return basis
}

/** The matrix moved by scale*P*x, in place. */
function move(config: Config, spec: TensorSpec, w: FloatArray, basis: Float64Array, x: ArrayLike<number>) {
  const { matrix, r } = frameOf(config, spec)
  const { rows, columns, at } = matrix
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let k = 0; k < r; k++) sum += x[k * rows + i] * basis[k * columns + j]
      w[at(i, j)] += config.scale * sum
    }
}

/**
 * A step of online PCA: the basis B (rows, P = B') descends |(PP' - I)Gn|^2 + penalty*|P'P - I|^2 for Gn = G/|G|. With
 * Q = P'Gn and Y = Gn*Gn'*P, the first has the gradient 2*(P*Q*Q' + Y*P'P - 2*Y). Returns |(I - PP')*Gn|.
 */
function turn(config: Config, { kept, t }: Place, spec: TensorSpec, g: ArrayLike<number>, rate: number): number {
  const { matrix, r } = frameOf(config, spec)
  const { rows, columns, at } = matrix
  const basis = kept.basis[spec.name] as Float64Array
  const length = norm(g)
  if (length === 0) return 0
  const q = transposedInto(g, basis, r, spec).map((value) => value / length)
  const y = new Float64Array(r * columns)
  for (let k = 0; k < r; k++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) y[k * columns + j] += (q[k * rows + i] * g[at(i, j)]) / length
  const [energies, gram] = [multiplyByTransposed(q, q, rows), multiplyByTransposed(basis, basis, columns)]
  let [inside, projected] = [0, 0]
  for (let k = 0; k < r; k++) {
    inside += energies[k * r + k]
    for (let l = 0; l < r; l++) projected += energies[k * r + l] * gram[k * r + l]
  }
  const error = Math.sqrt(Math.max(0, 1 - 2 * inside + projected))
  if (config.projection !== 'online') return error
  const [along, across] = [multiply(energies, basis, r), multiply(gram, y, r)]
  const off = multiply(gram, basis, r)
  const tiny = ROUNDING * y.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const gradient = along.map((value, i) => {
    const slope = 2 * (value + across[i] - 2 * y[i]) + 4 * config.orthoPenalty * (off[i] - basis[i])
    return Math.abs(slope) > tiny ? slope : 0
  })
  const { m, v } = { m: kept.m[spec.name], v: kept.v[spec.name] }
  for (let i = 0; i < basis.length; i++) {
    if (config.projectorRule === 'sgd') {
      basis[i] -= rate * gradient[i]
      continue
    }
    m[i] = BETA1 * m[i] + (1 - BETA1) * gradient[i]
    v[i] = BETA2 * v[i] + (1 - BETA2) * gradient[i] ** 2
    // The step under way counts from 1.
    basis[i] -= (rate * (m[i] / (1 - BETA1 ** t))) / (Math.sqrt(v[i] / (1 - BETA2 ** t)) + EPS)
  }
  return error
}

/** R = P'G: r rows as long as the longer side. */
function transposedInto(g: ArrayLike<number>, basis: Float64Array, r: number, spec: TensorSpec): Float64Array {
  const matrix = layout(spec, 'svd')
  const p = into(g, basis, r, matrix)
  const { rows } = matrix
  return Float64Array.from(p, (_, i) => p[(i % rows) * r + Math.floor(i / rows)])
}

export const onlineSubspace = defineParametrization({
  id: 'online-subspace',
  summary:
    'State of matrices lies in a subspace of few dimensions that follows the gradient by online PCA, or is renewed from time ' +
    'to time. Other tensors are moved as without it.',
  fields,
  mapping: {
    moving: true,
    tensors: (config, { tensors }) =>
      tensors.map((spec) => {
        if (!isMatrix(spec)) return spec
        const { matrix, r } = frameOf(config, spec)
        return { ...spec, shape: [r, matrix.rows] }
      }),
    begin(config, { tensors, initial = {} }, rng) {
      const matrices = tensors.filter(isMatrix)
      const arrays = (make: (spec: TensorSpec) => FloatArray): Arrays =>
        Object.fromEntries(matrices.map((spec) => [spec.name, make(spec)]))
      const sized = (used: boolean) =>
        arrays((spec) => {
          const { matrix, r } = frameOf(config, spec)
          return new Float64Array(used ? r * matrix.columns : 0)
        })
      const adam = config.projection === 'online' && config.projectorRule === 'adam'
      const start = tensors.map((spec) => {
        if (!isMatrix(spec)) return [spec.name, arrayOf(spec, initial[spec.name] ?? elements(spec.shape))]
        const { matrix, r } = frameOf(config, spec)
        return [spec.name, arrayOf(spec, r * matrix.rows)]
      })
      return {
        initial: Object.fromEntries(start),
        kept: {
          weights: arrays((spec) => arrayOf(spec, initial[spec.name] ?? elements(spec.shape))),
          basis: sized(true),
          m: sized(adam),
          v: sized(adam),
          born: arrays(() => Float64Array.of(-1)),
          errors: arrays(() => new Float64Array(1)),
          seed: { all: Float64Array.of(rng.word()) },
          first: { all: new Float64Array(1) },
        },
      }
    },
    outward: (config, { kept, space }, x) =>
      Object.fromEntries(
        space.tensors.map((spec) => {
          const { name } = spec
          if (!isMatrix(spec)) return [name, x[name]]
          const own = kept.weights[name]
          if (x[name].every((value) => value === 0)) return [name, own]
          const moved = own.slice()
          move(config, spec, moved, kept.basis[name] as Float64Array, x[name])
          return [name, moved]
        }),
      ),
    inward: (config, place, _, gradient) =>
      Object.fromEntries(
        place.space.tensors.map((spec) => {
          const g = gradient[spec.name]
          if (!isMatrix(spec)) return [spec.name, g]
          const { r } = frameOf(config, spec)
          return [spec.name, arrayOf(spec, transposedInto(g, basisOf(config, place, spec, g), r, spec))]
        }),
      ),
    after(config, place, x, gradient, learningRate) {
      const { kept, space } = place
      const { first } = kept
      if (first.all[0] === 0) first.all[0] = learningRate
      const rate = config.projectorRate * (first.all[0] > 0 ? learningRate / first.all[0] : 1)
      const decay = 1 - learningRate * config.weightDecay
      for (const spec of space.tensors) {
        const { name } = spec
        const own = isMatrix(spec) ? kept.weights[name] : x[name]
        if (decay !== 1) for (let i = 0; i < own.length; i++) own[i] *= decay
        if (!isMatrix(spec)) continue
        move(config, spec, own, kept.basis[name] as Float64Array, x[name])
        x[name].fill(0)
        kept.errors[name][0] = turn(config, place, spec, gradient[name], rate)
      }
    },
    metrics(_, { kept }) {
      const named = Object.entries(kept.errors).flatMap(([name, [error]]) => [
        [`projectionError.${name}`, error],
        [`subspaceElements.${name}`, kept.basis[name].length + kept.m[name].length + kept.v[name].length],
      ])
      return Object.fromEntries(named)
    },
    equations: () => [
      String.raw`R = P' G,\quad W \leftarrow W - \eta s P\, N(R)`,
      String.raw`P \leftarrow P - \eta_P \nabla_P \left(\|(P P' - I) G / \|G\|\,\|^2 + \lambda \|P' P - I\|^2\right)`,
    ],
  },
})
