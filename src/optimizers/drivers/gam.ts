/**
 * Zhang, Xu, Yu, Zou, Cui, "Gradient Norm Aware Minimization Seeks First-Order Flatness and Improves Generalization",
 * CVPR 2023. The loss is joined by its first-order flatness, rho times the largest norm of the gradient within rho, whose
 * gradient is rho times that of |grad L| at the point w + rho*unit(grad |grad L|(w)): algorithm 1. The gradient of |grad L| is
 * H*unit(grad L), or a difference of two gradients along unit(grad L): the accelerated form of xxgege/GAM.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Asked, type Drive, defineDriver } from './driver.js'

const fields = {
  mode: field(
    z.enum(['hvp', 'accelerated']).default('accelerated'),
    'hvp: two gradients and two products with the Hessian per step. accelerated: four gradients, whose direction has the ' +
      'length of two.',
    { source: 'xxgege/GAM' },
  ),
  rho: real('Radius of the neighbourhood of the largest gradient.', { default: 0.2, min: 0, source: 'xxgege/GAM' }),
  alpha: real('hvp: weight of the flatness.', { default: 1, min: 0, source: 'section 4' }),
  samRho: real('hvp: radius of SAM, whose gradient then is that of the loss, at the cost of one more; 0 is without.', {
    default: 0,
    min: 0,
    source: 'section 5: GAM + SAM',
  }),
  probe: real('accelerated: length of the differences.', { default: 0.02, above: 0, source: 'xxgege/GAM' }),
  b1: real('accelerated: weight of the second gradient.', { default: 1, source: 'xxgege/GAM' }),
  b2: real('accelerated: weight of the third gradient.', { default: -1, source: 'xxgege/GAM' }),
  b3: real('accelerated: weight of the fourth gradient.', { default: 1, source: 'xxgege/GAM' }),
  gamma: real('accelerated: strength of the part of the first and third across the others, which is taken off.', {
    default: 0.03,
    source: 'xxgege/GAM',
  }),
}
type Config = PartConfig<typeof fields>

const ahead = (radius: number): Piece => ({
  text: 'x = w + radius*along/(norm(along, all) + tiny)',
  inputs: ['w', 'along'],
  scalars: () => ({ radius, tiny: 1e-12 }),
})
/** To where the norm of the gradient is largest: along H*g0, or the change of the gradient along g0. */
const uphill = ({ mode, rho }: Config): Piece => ({
  text: `along = ${mode === 'hvp' ? 'second' : 'second - first'}\nx = w + radius*along/(norm(along, all) + tiny)`,
  inputs: ['w', 'first', 'second'],
  scalars: () => ({ radius: rho, tiny: 1e-12 }),
})
/** g0 + alpha*rho*r, with r = H*unit(g2). */
const exact = ({ rho, alpha }: Config): Piece => ({
  text: 'n = norm(third, all)\nx = n > 0 ? loss + weight*fourth/n : loss',
  inputs: ['loss', 'third', 'fourth'],
  scalars: () => ({ weight: alpha * rho }),
})
const accelerated = ({ b1, b2, b3, gamma }: Config): Piece => ({
  text: [
    'new = b1*second + b3*fourth',
    'past = first + abs(b2)*third',
    'square = dot(new, new, all)',
    'across = square > 0 ? past - dot(past, new, all)/square*new : past',
    'x = new - gamma*across',
  ].join('\n'),
  inputs: ['first', 'second', 'third', 'fourth'],
  scalars: () => ({ b1, b2, b3, gamma }),
})

type Phase = 'step' | 'sam' | 'curvature' | 'flatness' | 'flatness-curvature'

function ask({ state }: Drive, phase: Phase, point: string): Ask {
  state.phase = phase
  return { point, purpose: phase, ...(phase === 'step' ? {} : { aside: true }) }
}

/** Asks the Hessian at a point times the gradient there, or the gradient a little ahead along it. */
function curve({ mode, probe }: Config, drive: Drive, phase: Phase, point: string, along: string): Ask {
  const { points } = drive.state
  if (mode === 'hvp') return { ...ask(drive, phase, point), others: [along], wants: [PRODUCT] }
  drive.run(ahead(probe), 'ahead', { w: points[point] ?? drive.x, along: points[along] }, { project: true })
  return ask(drive, phase, 'ahead')
}
const PRODUCT: Asked = { kind: 'hvp', curvature: 'hessian' }

/** The step with what was told last: the product at the perturbed point, or the gradient ahead of it. */
function finish(config: Config, drive: Drive, fourth: Tensors): Ask {
  const { loss, ...points } = drive.state.points
  const piece = config.mode === 'hvp' ? exact(config) : accelerated(config)
  drive.run(piece, 'ahead', { ...points, loss: loss ?? points.first, fourth })
  drive.update(points.ahead)
  return ask(drive, 'step', 'x')
}

export const gam = defineDriver({
  id: 'gam',
  summary: 'Descends the loss and the largest norm of its gradient nearby: four answers on the same sample per step.',
  fields,
  wants: ({ mode }) => (mode === 'hvp' ? ['gradient', 'hvp'] : ['gradient']),
  points: ({ samRho }) => ['first', 'second', 'third', 'perturbed', 'ahead', ...(samRho > 0 ? ['loss'] : [])],
  begin: (_, drive) => ask(drive, 'step', 'x'),
  advance(config, drive, gradient, { products }) {
    const { first, second } = drive.state.points
    const told = products[0] ?? gradient
    switch (drive.state.phase as Phase) {
      case 'step':
        drive.copy(told, 'first')
        if (!(config.samRho > 0)) return curve(config, drive, 'curvature', 'x', 'first')
        drive.run(ahead(config.samRho), 'perturbed', { w: drive.x, along: told }, { project: true })
        return ask(drive, 'sam', 'perturbed')
      case 'sam':
        drive.copy(told, 'loss')
        return curve(config, drive, 'curvature', 'x', 'first')
      case 'curvature':
        drive.copy(told, 'second')
        drive.run(uphill(config), 'perturbed', { w: drive.x, first, second }, { project: true })
        return ask(drive, 'flatness', 'perturbed')
      case 'flatness':
        drive.copy(told, 'third')
        return curve(config, drive, 'flatness-curvature', 'perturbed', 'third')
      default:
        return finish(config, drive, told)
    }
  },
  check: ({ mode, samRho }) =>
    mode === 'accelerated' && samRho > 0
      ? [{ field: 'samRho', message: 'only with mode hvp: the second gradient of accelerated is that of SAM' }]
      : [],
})
