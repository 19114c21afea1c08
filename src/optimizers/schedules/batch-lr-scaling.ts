/**
 * Granziol, Zohren, Roberts, "Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural Network
 * Training", 2020.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { defineSchedule } from './schedule.js'

/** What is measured of a loss: an eigenvalue of its Hessian, and how the Hessian varies between examples. */
export type Measured = {
  /** Largest eigenvalue with all data, above 0. */
  sharpness: number
  /** Standard deviation of an element of the Hessian of one example. */
  noise: number
  /** Parameters of the model. */
  parameters: number
}

/** The largest eigenvalue of the Hessian of a batch of effective size b: an outlier, or the edge of the noise. */
export function batchSharpness({ sharpness, noise, parameters }: Measured, b: number): number {
  const edge = noise * Math.sqrt(parameters / b)
  return sharpness > edge ? sharpness + edge ** 2 / sharpness : 2 * edge
}

/** B/(1 - B/N) of a batch of B examples out of N: a batch of all has no noise. */
export const effectiveBatch = (batch: number, examples = Number.POSITIVE_INFINITY): number =>
  batch / Math.max(0, 1 - batch / examples)

export const batchLrScaling = defineSchedule({
  id: 'batch-lr-scaling',
  summary:
    'The configured learning rate, of batches of `baseBatch`, at batches of `batch`: in proportion, or to the root of it ' +
    'for adaptive rules; with what was measured of the loss, as far as the sharpness of a batch falls.',
  fields: {
    batch: field(z.int().min(1), 'Examples of a batch from now on.'),
    baseBatch: field(z.int().min(1), 'Examples of the batches that the learning rate is good for.'),
    rule: field(
      z.enum(['sgd', 'adaptive']).default('sgd'),
      'Whether the rate follows the inverse of the sharpness of a batch, or its root, as for rules that divide by roots of squares.',
      { source: 'ours' },
    ),
    measured: field(
      z
        .strictObject({
          sharpness: field(z.number().positive(), 'Largest eigenvalue of the Hessian with all data.'),
          noise: field(z.number().min(0), 'Standard deviation of an element of the Hessian of one example.'),
          parameters: field(z.int().min(1), 'Parameters of the model.'),
          examples: field(z.int().min(1).optional(), 'Examples in all; without it, without end.'),
        })
        .optional(),
      'What was measured of the loss; without it, the rate grows with the batch or its root.',
    ),
  },
  rate({ batch, baseBatch, rule, measured }, peak) {
    const power = rule === 'sgd' ? 1 : 0.5
    if (!measured) return peak * (batch / baseBatch) ** power
    const at = (size: number) => batchSharpness(measured, effectiveBatch(size, measured.examples))
    return peak * (at(baseBatch) / at(batch)) ** power
  },
})
