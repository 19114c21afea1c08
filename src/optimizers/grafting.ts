/**
 * Grafting: the length of a step from one rule, its direction from another: Agarwal, Anil, Hazan, Koren, Zhang,
 * "Disentangling Adaptive Gradient Methods from Learning Rates", 2020.
 */
import { z } from 'zod'
import { field } from '../core/schema.js'
import type { FloatArray } from '../core/tensor.js'

const GRAFTS = ['none', 'sgd', 'adagrad', 'rmsprop', 'sqrtn'] as const
export type Grafting = (typeof GRAFTS)[number]

export const graftingField = field(
  z.enum(GRAFTS).default('adagrad'),
  'The rule whose step, tensor by tensor, gives the length; it is the step before `start`. sqrtn: the signs.',
  { source: 'Anil et al. 2020, section 2.2' },
)

const EPS = 1e-10
/** Decay of RMSprop where a method sums its statistics. */
const RMSPROP = 0.999

/** Whether the rule keeps a number per element. */
export const keepsSquares = (grafting: Grafting): boolean => grafting === 'adagrad' || grafting === 'rmsprop'

/** The step of the rule, of rate 1. Changes `squares` in place; a decay of 1 is none. */
export function graft(grafting: Grafting, decay: number, g: FloatArray, squares: FloatArray): Float64Array {
  if (grafting === 'sqrtn') return Float64Array.from(g, Math.sign)
  if (!keepsSquares(grafting)) return Float64Array.from(g)
  const kept = grafting === 'adagrad' ? 1 : decay === 1 ? RMSPROP : decay
  const weight = kept === 1 ? 1 : 1 - kept
  for (let i = 0; i < g.length; i++) squares[i] = kept * squares[i] + weight * g[i] ** 2
  return Float64Array.from(g, (gi, i) => gi / (Math.sqrt(squares[i]) + EPS))
}
