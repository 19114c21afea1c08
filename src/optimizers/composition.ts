/** What every gradient method can be composed with, as fields of its config. */
import { z } from 'zod'
import { field } from '../core/schema.js'
import { averagings } from './averaging.js'
import { drivers } from './drivers/index.js'
import { gatherings } from './gathering.js'
import { parametrizations } from './parametrizations/index.js'
import { schedules } from './schedules/index.js'
import { transforms } from './transforms/index.js'

export const composition = {
  driver: field(drivers.schema.prefault({ id: 'step' }), 'What is asked per step, and where.'),
  transforms: field(z.array(transforms.schema).default([]), 'What is done to the gradient before the rule, in order.'),
  schedule: field(schedules.schema.prefault({ id: 'constant' }), 'The learning rate over the steps.', {
    mutable: true,
  }),
  averaging: field(
    averagings.schema.prefault({ id: 'none' }),
    'The average of iterates that is served as the estimate.',
  ),
  parametrization: field(
    parametrizations.schema.prefault({ id: 'none' }),
    'What the tensors of the space are made of: the rule moves that.',
  ),
  gathering: field(
    gatherings.schema.prefault({ id: 'none' }),
    'Several clients at once: how their answers become that of a step.',
  ),
  groups: field(
    z.record(z.string(), z.record(z.string(), z.number())).default({}),
    'Numbers of the rule that differ, by group of the space: { "bias": { "weightDecay": 0 } }. Schedules scale the ' +
      'learning rates of all groups alike.',
  ),
  ball: field(
    z.number().positive().optional(),
    'Keeps x within this distance of the origin, all tensors as one vector.',
  ),
  precision: field(
    z.enum(['auto', 'f32', 'f64']).default('auto'),
    'Of x and the slots. auto: f64 when a tensor of the space is f64, else f32. The interpreter always uses f64. In ' +
      'f32 the squares of gradients overflow from 1.8e19.',
  ),
  stateDtype: field(
    z.enum(['full', 'bf16', 'int8']).default('full'),
    'Of the slots between steps, moments and the like: as precision says, or fewer bytes, 2 or 1.02 per element. Rounded at ' +
      'random, so that averages do not stop. x, points, averages of iterates, and tensors under 4096 elements stay as they are.',
    { source: 'Dettmers et al. 2022, 8-bit optimizers via block-wise quantization' },
  ),
  reportNorm: field(
    z.boolean().default(true),
    'Reports the norm of every gradient that the rule is given, at the cost of a reduction over it.',
  ),
  diagnostics: field(
    z.boolean().default(false),
    'Reports of every step, beside that norm: the ratio of its length to that of x, the cosine to the last gradient, elements ' +
      'that are not finite; the noise scale where a step takes several gradients, and sharpness where products with a ' +
      'curvature matrix are told. Keeps the last gradient, in a slot like the parameters.',
    { source: 'McCandlish et al. 2018, appendix A.1 (noise scale)' },
  ),
}
export type CommonInput = z.input<z.ZodObject<typeof composition>>
