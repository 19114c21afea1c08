/**
 * Karakida, Takase, Hayase, Osawa, "Understanding Gradient Regularization in Deep Learning: Efficient Finite-Difference
 * Computation and Implicit Bias", ICML 2023, equations 2 to 5. The penalty gamma/2*|grad L|^2 has the gradient gamma*H*grad L.
 * Flooding: Ishida, Yamane, Sakai, Niu, Sugiyama, "Do We Need Zero Training Loss After Achieving Zero Training Error?",
 * ICML 2020; section 5.3 of the first paper shows that near its level it is backward regularization.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { inner } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  mode: field(
    z.enum(['forward', 'backward', 'exact']).default('forward'),
    'The second gradient is that uphill, downhill, or a product with the Hessian.',
    { source: 'section 3.2: forward is best' },
  ),
  gamma: real('Strength of the penalty; with forward and gamma equal to eps this is SAM without its normalization.', {
    default: 0.05,
    min: 0,
    source: 'ours',
  }),
  eps: real('Times the gradient, the distance to the second point.', { default: 0.1, above: 0, source: 'section 4' }),
  flood: field(
    z.number().optional(),
    'Flooding, in place of the penalty: descends where the loss is above this level, and ascends where it is below.',
  ),
}
type Config = PartConfig<typeof fields>

const side = (mode: Config['mode']) => (mode === 'backward' ? -1 : 1)
const move = ({ mode, eps }: Config): Piece => ({
  text: 'x = w + h*g',
  inputs: ['w'],
  scalars: () => ({ h: side(mode) * eps }),
})
const difference = ({ mode, eps }: Config): Piece => ({
  text: 'x = (told - g)/h',
  inputs: ['told'],
  scalars: () => ({ h: side(mode) * eps }),
})

function begin({ flood }: Config, { state }: Drive): Ask {
  state.phase = 'step'
  const ask: Ask = { point: 'x', purpose: 'step' }
  return flood === undefined ? ask : { ...ask, wants: [{ kind: 'gradient' }, { kind: 'value' }] }
}

/** The rule's step with a*x + b*y of two points of the driver. */
function step(config: Config, drive: Drive, a: number, b: number): Ask {
  const { gradient, curvature } = drive.state.points
  const piece = { text: 'x = a*x + b*y', inputs: ['y'], scalars: () => ({ a, b }) }
  drive.run(piece, 'gradient', { y: curvature })
  drive.update(gradient)
  return begin(config, drive)
}

export const fdGr = defineDriver({
  id: 'fd-gr',
  summary:
    'The gradient of the loss with a penalty on the square of its norm: two gradients on the same sample per step. Reports ' +
    '`gradientSquare`, and `curvatureNorm` of the Hessian times the gradient.',
  fields,
  wants: ({ mode, flood }) =>
    flood !== undefined ? ['gradient', 'value'] : mode === 'exact' ? ['gradient', 'hvp'] : ['gradient'],
  points: ({ mode }) => ['gradient', 'curvature', ...(mode === 'exact' ? [] : ['ahead'])],
  begin,
  advance(config, drive, told, { values, products }) {
    const { state } = drive
    const { gradient, curvature } = state.points
    if (state.phase === 'step') {
      drive.copy(told, 'gradient')
      state.reports = { ...state.reports, gradientSquare: inner(told, told) }
      if (config.flood !== undefined) return step(config, drive, Math.sign(values[0] - config.flood), 0)
      state.phase = 'curvature'
      const purpose = state.phase
      if (config.mode === 'exact')
        return { point: 'x', others: ['gradient'], wants: [{ kind: 'hvp', curvature: 'hessian' }], purpose }
      drive.run(move(config), 'ahead', { w: drive.x, g: told }, { project: true })
      return { point: 'ahead', purpose, aside: true }
    }
    if (config.mode === 'exact') drive.copy(products[0], 'curvature')
    else drive.run(difference(config), 'curvature', { told, g: gradient })
    state.reports = { ...state.reports, curvatureNorm: Math.sqrt(inner(curvature, curvature)) }
    return step(config, drive, 1, config.gamma)
  },
})
