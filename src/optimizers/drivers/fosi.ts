/**
 * Sivan, Gabel, Schuster, "FOSI: Hybrid First and Second Order Optimization", ICLR 2024: algorithm 2, around any rule.
 * Newton steps in the span of the extreme eigenvectors v of the Hessian, which Lanczos steps find (appendix A), and steps of
 * the rule in its complement.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { beginLanczos, extendLanczos, type Lanczos, ritzPairs } from '../diagnostics/lanczos.js'
import { divided, joined, spaceOf, sphere } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { askProduct, productPoints, products, productWants, step, takeProduct } from './curvature.js'
import { type Answer, type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  k: field(z.int().min(0).max(24).default(5), 'Eigenvectors of the largest eigenvalues.', { source: 'algorithm 2' }),
  l: field(z.int().min(0).max(24).default(0), 'Eigenvectors of the smallest eigenvalues.', { source: 'algorithm 2' }),
  refreshEvery: field(z.int().min(1).default(100), 'Steps from one search for eigenvectors to the next.', {
    source: 'hsivan/fosi',
  }),
  warmup: field(z.int().min(0).optional(), 'Steps of the rule alone; without it, `refreshEvery`.', {
    source: 'hsivan/fosi',
  }),
  order: field(
    z.int().min(1).optional(),
    'Products per search; without it 4*(k + l), and at least 2*ln(d) for d parameters.',
    { source: 'hsivan/fosi' },
  ),
  alpha: real('Size of the Newton steps: 1 without noise.', { default: 0.1, min: 0, source: 'hsivan/fosi' }),
  clip: real('Most that the steps of the rule grow, as the largest eigenvalue is taken from them; 1 for Adam.', {
    default: 3,
    min: 1,
    source: 'hsivan/fosi',
  }),
  variant: field(
    z.enum(['sgd', 'momentum', 'nesterov', 'adam']).default('sgd'),
    'What the Newton steps make of past gradients: as the rule of this name does.',
    { source: 'section 3.3' },
  ),
  momentum: real('Decay of past gradients in the variants.', {
    default: 0.9,
    min: 0,
    below: 1,
    source: 'hsivan/fosi',
  }),
  products: products('hessian'),
  step,
}
type Config = PartConfig<typeof fields>

/** Eigenvectors that leave a rule enough of the names that a program may have. */
const MOST = 40

const MEAN: Record<Config['variant'], string> = {
  sgd: 'inside',
  momentum: 'inside + mu*u',
  nesterov: '(1 + mu)*inside + mu^2*u',
  adam: '(1 - mu)*inside + mu*u',
}

const indices = ({ k, l }: Config): number[] => Array.from({ length: k + l }, (_, i) => i + 1)
const dueAfter = ({ k, l, refreshEvery, warmup = refreshEvery }: Config, steps: number): boolean =>
  k + l > 0 && steps >= warmup && (steps - warmup) % refreshEvery === 0

/** Asks for the next step, with a search ahead of it where one is due. */
function begin(config: Config, drive: Drive): Ask {
  const { state } = drive
  const due = dueAfter(config, state.shard)
  state.phase = due ? 'base' : 'step'
  if (!due) return { point: 'x', purpose: 'step' }
  if (config.products === 'difference') return { point: 'x', purpose: 'curvature', sample: '.lanczos', aside: true }
  return search(config, drive, beginLanczos(sphere(drive.rng, joined(drive.x).length)))
}

/** Asks for the product with the last vector of the basis, rounded as x is. */
function search(config: Config, drive: Drive, lanczos: Lanczos): Ask {
  const { basis, diagonal, beside } = lanczos
  drive.copy(divided(basis[basis.length - 1], drive.x), 'direction')
  basis[basis.length - 1] = joined(drive.state.points.direction)
  drive.state.arrays = {
    ...Object.fromEntries(basis.map((q, i) => [`basis${i}`, q])),
    diagonal: Float64Array.from(diagonal),
    beside: Float64Array.from(beside),
  }
  return { ...askProduct(config, drive, 'direction'), sample: '.lanczos', aside: true }
}

function extend(config: Config, drive: Drive, answer: Answer): Ask {
  const { diagonal, beside, ...basis } = drive.state.arrays!
  const lanczos = { basis: Object.values(basis), diagonal: Array.from(diagonal), beside: Array.from(beside) }
  takeProduct(config, drive, 'direction', answer)
  const d = lanczos.basis[0].length
  const order = Math.min(d, config.order ?? Math.max(4 * (config.k + config.l), Math.ceil(2 * Math.log(d))))
  const more = extendLanczos(lanczos, joined(drive.state.points.along))
  if (more && lanczos.diagonal.length < order) return search(config, drive, lanczos)
  adopt(config, drive, lanczos)
  drive.state.phase = 'step'
  return { point: 'x', purpose: 'step' }
}

/** Takes the vectors over: those of the l smallest, then of the k largest eigenvalues, each ascending. */
function adopt({ k, l, clip }: Config, drive: Drive, lanczos: Lanczos) {
  const { state, x } = drive
  const pairs = ritzPairs(lanczos).reverse()
  // Where the products span less than was wanted, the other vectors are zero.
  const wide = Math.min(k, pairs.length)
  const narrow = Math.min(l, pairs.length - wide)
  const largest = pairs.slice(pairs.length - wide)
  const zero = { value: 0, vector: new Float64Array(lanczos.basis[0].length) }
  const found = [...padded(pairs.slice(0, narrow), l, zero), ...padded(largest, k, zero)]
  found.forEach(({ value, vector }, i) => {
    drive.copy(divided(vector, x), `v${i + 1}`)
    state.reports![`eigenvalue${i + 1}`] = value
  })
  const growth = wide > 0 ? Math.abs(largest[wide - 1].value / largest[0].value) : 1
  state.reports!.scale = Math.min(Math.max(growth, 1), clip)
  state.arrays = {}
}
const padded = <T>(list: readonly T[], length: number, filling: T): T[] => [
  ...list,
  ...new Array<T>(length - list.length).fill(filling),
]

/** The text of a step: takes the gradient's part inside of the span from the rule, and steps there by itself. */
function around(config: Config) {
  const all = indices(config)
  if (all.length === 0) return undefined
  const inputs = all.map((i) => `v${i}`)
  const before: Piece = {
    text: [
      'start = x',
      ...all.map((i) => `c${i} = dot(v${i}, g, all)`),
      'inside = 0*g',
      ...all.map((i) => `inside = inside + c${i}*v${i}`),
      'g = g - inside',
    ].join('\n'),
    inputs,
  }
  const after: Piece = {
    text: [
      `u = ${MEAN[config.variant]}`,
      'move = x - start',
      ...all.map((i) => `a${i} = dot(v${i}, move, all)`),
      ...all.map((i) => `b${i} = dot(v${i}, u, all)`),
      'x = x + (scale - 1)*move',
      ...all.map((i) => `x = x - (scale*a${i} + alpha*r${i}*b${i})*v${i}`),
    ].join('\n'),
    slots: { u: { kind: 'tensor' } },
    inputs,
    scalars: ({ reports }) => ({
      mu: config.momentum,
      alpha: config.alpha,
      scale: reports.scale ?? 1,
      ...Object.fromEntries(all.map((i) => [`r${i}`, inverse(reports[`eigenvalue${i}`])])),
    }),
  }
  return { before, after }
}
const inverse = (value = 0): number => (value === 0 ? 0 : 1 / Math.abs(value))

export const fosi = defineDriver({
  id: 'fosi',
  summary:
    'Newton steps on the extreme eigenvectors of the Hessian, and the rule on the rest. Every `refreshEvery` steps it asks ' +
    'products with the Hessian, all of one sample.',
  fields,
  around,
  equations: (config: Config) =>
    config.k + config.l === 0 ? [] : [String.raw`H v_i = \lambda_i v_i,\quad r_i = 1/|\lambda_i|`],
  wants: productWants,
  points: (config: Config) =>
    config.k + config.l === 0 ? [] : ['direction', ...productPoints(config), ...indices(config).map((i) => `v${i}`)],
  begin(config, drive) {
    drive.state.reports = config.k + config.l > 0 ? { scale: 1 } : {}
    return begin(config, drive)
  },
  advance(config, drive, gradient, answer) {
    const { state } = drive
    switch (state.phase) {
      case 'base':
        drive.copy(gradient, 'gradient')
        return search(config, drive, beginLanczos(sphere(drive.rng, joined(drive.x).length)))
      case 'curvature':
        return extend(config, drive, answer)
    }
    drive.update(gradient)
    state.shard++
    return begin(config, drive)
  },
  check({ k, l }, problem) {
    const d = totalElements(spaceOf(problem).tensors)
    if (k + l > d) return [{ field: 'k', message: `expected k + l of at most ${d}, the number of parameters` }]
    if (k + l > MOST) return [{ field: 'k', message: `expected k + l of at most ${MOST}` }]
    return []
  },
})
