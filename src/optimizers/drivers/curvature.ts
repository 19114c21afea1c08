/**
 * Products of a curvature matrix H with vectors: asked of the client, or of gradients alone: H*p is
 * (g(x + h*p) - g(x))/h, both gradients of one sample.
 *
 * `hutchinson` gives rules the inputs `probe`, a vector z of random signs, and `along`, H*z, whose product has the diagonal
 * of H as its mean (Bekas, Kokiopoulou, Saad 2007). `newton` gives them `direction`, the solution d of H*d = g by conjugate
 * gradients (Hestenes, Stiefel 1952), cut where the curvature is not positive (Steihaug 1983).
 */
import { z } from 'zod'
import { CURVATURES } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { inner } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Answer, type Ask, type Drive, defineDriver } from './driver.js'

const PRODUCTS = ['difference', ...CURVATURES] as const
export type Products = (typeof PRODUCTS)[number]

/** What makes products with the matrix. */
export const products = (initial: Products) =>
  field(
    z.enum(PRODUCTS).default(initial),
    'Products with the curvature: of two gradients, or asked of the client with the matrix of this name.',
    { source: 'ours' },
  )
export const step = real('Length of a difference of gradients, relative to the norm of x and at least to 1.', {
  default: 1e-3,
  above: 0,
  source: 'ours',
})
export const productFields = { step, products: products('difference') }
export type ProductConfig = { step: number; products: Products }

/** Points that products need: of gradients, a point for the difference. */
export const productPoints = ({ products }: ProductConfig): string[] =>
  products === 'difference' ? ['ahead', 'gradient', 'along'] : ['gradient', 'along']
/** The kinds of want of a driver of gradients and products. */
export const productWants = ({ products }: ProductConfig): ('gradient' | 'hvp')[] =>
  products === 'difference' ? ['gradient'] : ['gradient', 'hvp']

const LENGTH = 'h = step*max(1, norm(w, all))/norm(p, all)'
const ahead = (step: number): Piece => ({
  text: `${LENGTH}\nx = w + h*p`,
  inputs: ['w', 'p'],
  scalars: () => ({ step }),
})
const difference = (step: number): Piece => ({
  text: `${LENGTH}\nx = (told - gradient)/h`,
  inputs: ['w', 'p', 'told', 'gradient'],
  scalars: () => ({ step }),
})

/** Asks for H times a point of the driver; for a difference, the gradient a little ahead along it. */
export function askProduct({ products, step }: ProductConfig, drive: Drive, along: string): Ask {
  drive.state.phase = 'curvature'
  if (products !== 'difference')
    return { point: 'x', others: [along], wants: [{ kind: 'hvp', curvature: products }], purpose: 'curvature' }
  drive.run(ahead(step), 'ahead', { w: drive.x, p: drive.state.points[along] })
  return { point: 'ahead', purpose: 'curvature' }
}
/** Turns the answer into H times that point, as the point `along`; differences need the point `gradient` of x. */
export function takeProduct({ products, step }: ProductConfig, drive: Drive, along: string, answer: Answer) {
  if (products !== 'difference') return drive.copy(answer.products[0], 'along')
  const { gradient } = drive.state.points
  const [told] = answer.gradients
  const p = drive.state.points[along]
  drive.run(difference(step), 'along', { w: drive.x, p, told, gradient })
  drive.measure(p, drive.state.points.along)
}
function begin(drive: Drive): Ask {
  drive.state.phase = 'step'
  return { point: 'x', purpose: 'step' }
}

export const hutchinson = defineDriver({
  id: 'hutchinson',
  summary: 'The gradient, and the Hessian times a vector of random signs, on the same sample.',
  fields: productFields,
  wants: productWants,
  points: (config: ProductConfig) => ['probe', ...productPoints(config)],
  begin: (_, drive) => begin(drive),
  advance(config, drive, told, answer) {
    if (drive.state.phase === 'step') {
      drive.copy(told, 'gradient')
      drive.run({ text: 'x = rademacher()' }, 'probe', {})
      return askProduct(config, drive, 'probe')
    }
    takeProduct(config, drive, 'probe', answer)
    drive.update(drive.state.points.gradient)
    return begin(drive)
  },
})

const newtonFields = {
  ...productFields,
  iterations: field(z.int().min(1).default(20), 'Most products with the matrix per step.', {
    source: 'ours',
  }),
  tolerance: real('Norm of the residual, relative to that of the gradient, at which the solution is good.', {
    default: 1e-8,
    min: 0,
    source: 'ours',
  }),
}
type Config = PartConfig<typeof newtonFields>

/** x becomes a*x + b*other. */
const mix = (drive: Drive, point: string, a: number, b: number, other: Tensors) =>
  drive.run({ text: 'x = a*x + b*other', inputs: ['other'], scalars: () => ({ a, b }) }, point, { other })

export const newton = defineDriver({
  id: 'newton',
  summary: 'The gradient, and the Newton direction by conjugate gradients, all on the same sample.',
  fields: newtonFields,
  wants: productWants,
  points: (config: ProductConfig) => ['direction', 'residual', 'search', ...productPoints(config)],
  begin: (_, drive) => begin(drive),
  advance(config: Config, drive, told, answer) {
    const { iterations, tolerance } = config
    const { state } = drive
    const { gradient, residual, search, along } = state.points
    const finish = () => {
      drive.update(gradient)
      return begin(drive)
    }
    if (state.phase === 'step') {
      for (const point of ['gradient', 'residual', 'search']) drive.copy(told, point)
      mix(drive, 'direction', 0, 0, told)
      state.shard = 0
      return inner(told, told) > 0 ? askProduct(config, drive, 'search') : finish()
    }
    takeProduct(config, drive, 'search', answer)
    const square = inner(residual, residual)
    const curvature = inner(search, along)
    if (!(curvature > 0)) {
      if (state.shard === 0) drive.copy(gradient, 'direction')
      return finish()
    }
    mix(drive, 'direction', 1, square / curvature, search)
    mix(drive, 'residual', 1, -square / curvature, along)
    const left = inner(residual, residual)
    state.shard++
    if (state.shard === iterations || left <= tolerance ** 2 * inner(gradient, gradient)) return finish()
    mix(drive, 'search', left / square, 1, residual)
    return askProduct(config, drive, 'search')
  },
})
