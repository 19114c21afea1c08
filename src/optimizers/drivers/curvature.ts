/**
 * Curvature by gradients alone: H*p is (g(x + h*p) - g(x))/h, both gradients of one sample.
 *
 * `hutchinson` gives rules the inputs `probe`, a vector z of random signs, and `along`, H*z, whose product has the diagonal
 * of H as its mean (Bekas, Kokiopoulou, Saad 2007). `newton` gives them `direction`, the solution d of H*d = g by conjugate
 * gradients (Hestenes, Stiefel 1952), cut where the curvature is not positive (Steihaug 1983).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const step = real('Length of the difference, relative to the norm of x and at least to 1.', {
  default: 1e-3,
  above: 0,
  source: 'ours',
})

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

/** Asks the gradient a little ahead along a point of the driver. */
function look(drive: Drive, step: number, along: string): Ask {
  drive.run(ahead(step), 'ahead', { w: drive.x, p: drive.state.points[along] })
  drive.state.phase = 'curvature'
  return { point: 'ahead', purpose: 'curvature' }
}
/** Turns the gradient told there into H times that point, as the point `along`. */
function product(drive: Drive, step: number, along: string, told: Tensors) {
  const { gradient } = drive.state.points
  drive.run(difference(step), 'along', { w: drive.x, p: drive.state.points[along], told, gradient })
}
function begin(drive: Drive): Ask {
  drive.state.phase = 'step'
  return { point: 'x', purpose: 'step' }
}

export const hutchinson = defineDriver({
  id: 'hutchinson',
  summary: 'The gradient, and the Hessian times a vector of random signs: two gradients on the same sample per step.',
  fields: { step },
  points: () => ['probe', 'ahead', 'gradient', 'along'],
  begin: (_, drive) => begin(drive),
  advance({ step }, drive, told) {
    if (drive.state.phase === 'step') {
      drive.copy(told, 'gradient')
      drive.run({ text: 'x = rademacher()' }, 'probe', {})
      return look(drive, step, 'probe')
    }
    product(drive, step, 'probe', told)
    drive.update(drive.state.points.gradient)
    return begin(drive)
  },
})

const newtonFields = {
  step,
  iterations: field(z.int().min(1).default(20), 'Most products with the Hessian per step, a gradient each.', {
    source: 'ours',
  }),
  tolerance: real('Norm of the residual, relative to that of the gradient, at which the solution is good.', {
    default: 1e-8,
    min: 0,
    source: 'ours',
  }),
}
type Config = PartConfig<typeof newtonFields>

function dot(a: Tensors, b: Tensors): number {
  let sum = 0
  for (const [name, values] of Object.entries(a)) for (let i = 0; i < values.length; i++) sum += values[i] * b[name][i]
  return sum
}
/** x becomes a*x + b*other. */
const mix = (drive: Drive, point: string, a: number, b: number, other: Tensors) =>
  drive.run({ text: 'x = a*x + b*other', inputs: ['other'], scalars: () => ({ a, b }) }, point, { other })

export const newton = defineDriver({
  id: 'newton',
  summary: 'The gradient, and the Newton direction by conjugate gradients, all on the same sample.',
  fields: newtonFields,
  points: () => ['direction', 'residual', 'search', 'ahead', 'gradient', 'along'],
  begin: (_, drive) => begin(drive),
  advance({ step, iterations, tolerance }: Config, drive, told) {
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
      return dot(told, told) > 0 ? look(drive, step, 'search') : finish()
    }
    product(drive, step, 'search', told)
    const square = dot(residual, residual)
    const curvature = dot(search, along)
    if (!(curvature > 0)) {
      if (state.shard === 0) drive.copy(gradient, 'direction')
      return finish()
    }
    mix(drive, 'direction', 1, square / curvature, search)
    mix(drive, 'residual', 1, -square / curvature, along)
    const left = dot(residual, residual)
    state.shard++
    if (state.shard === iterations || left <= tolerance ** 2 * dot(gradient, gradient)) return finish()
    mix(drive, 'search', left / square, 1, residual)
    return look(drive, step, 'search')
  },
})
