/** Weights of averaged iterations: the config of `iterate-accelerate`, its state, and the weight of a step. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { GEOMETRIES } from './geometry.js'

const expression = z.string().max(1000)

export const config = z.strictObject({
  operator: field(
    z.enum(['map', 'mirror', 'bellman']).default('map'),
    'map: T(s) is told. bellman: the same, for a Bellman backup. mirror: the gradient of a convex function is told, and T ' +
      'is its mirror step.',
    { source: 'ours' },
  ),
  geometry: field(
    z.enum(GEOMETRIES).default('euclidean'),
    'Of the averages. entropy: each row along the last axis of a tensor is a distribution. custom: by `mirrorMap`.',
    { source: 'ours' },
  ),
  mirrorMap: field(
    z
      .strictObject({
        potential: field(expression, 'phi of one element x, convex.'),
        gradient: field(expression, 'Its derivative.'),
        inverse: field(expression, 'The x of which this x is the derivative.'),
      })
      .optional(),
    'A mirror map, element by element, in the rule language.',
  ),
  averaging: field(
    z.enum(['decreasing', 'constant', 'adaptive', 'accelerated']).optional(),
    'Weight of T(s_t) from t = 1: 2/(t + 2); alpha; 1 while the residual falls by 5 percent per step and else 2/(k + 2) in ' +
      'the k-th step since it did. accelerated is for mirror. Without it: decreasing for a map, accelerated for mirror, ' +
      'constant for bellman, which is value iteration.',
  ),
  alpha: field(z.number().gt(0).max(1).default(1), 'Weight when constant.', { source: 'ours' }),
  lipschitz: field(
    z.number().positive().default(1),
    'mirror: smoothness L of the function in the norm of the geometry, for entropy the largest absolute element of the Hessian.',
    { source: 'ours', log: true },
  ),
  feedback: field(
    z.array(z.string()).default([]),
    'map: names of the tensors of the feedback state y, which T sets and nothing averages.',
    { source: 'ours' },
  ),
  perturbation: field(z.boolean().default(false), 'Asks for eta_t too, which is added in the dual.', {
    source: 'ours',
  }),
  contraction: field(
    z.number().gt(0).lt(1).optional(),
    'Factor q by which T contracts the largest distance of an element (the discount of a Bellman backup). With it a ' +
      'bound of the error is reported, `errorBound`.',
  ),
  tolerance: field(z.number().min(0).default(0), 'Stops when the residual D(T(s), s) is at most this.', {
    source: 'ours',
    log: true,
  }),
})
export type Config = z.infer<typeof config>

export type State = {
  /** The answer: s, or y when accelerated. */
  s: Float64Array
  /** accelerated: z, the feedback state. */
  z: Float64Array
  t: number
  /** Steps since the residual last fell enough. */
  since: number
  residual: number | null
  /** Of the last step: the weight of the image, and the largest distance of one of its elements. */
  alpha: number
  distance: number
  /** Whether a step left the domain of the mirror map: it was not taken. */
  left: boolean
}

export function averagingOf({ averaging, operator }: Config): NonNullable<Config['averaging']> {
  return averaging ?? ({ map: 'decreasing', mirror: 'accelerated', bellman: 'constant' } as const)[operator]
}

/** Weight of the step under way. */
export function weight(config: Config, { t, since }: State): number {
  switch (averagingOf(config)) {
    case 'constant':
      return config.alpha
    case 'decreasing':
      return 2 / (t + 3)
    case 'adaptive':
      return since === 0 ? 1 : 2 / (since + 2)
    case 'accelerated':
      return 2 / (t + 2)
  }
}
