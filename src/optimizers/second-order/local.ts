/**
 * What is known of an objective at a point, and how the rest is asked: the Hessian as a matrix (a quantity), or as its
 * products with all axes. Told values are turned into those of a loss to minimize.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Observation, Want, WantKind } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { totalElements } from '../../core/tensor.js'
import { type Flat, spaceOf } from '../flat.js'
import type { Turn } from '../turns.js'
import { matrixOfAnswer, matrixTurn, signOf } from './curvature.js'

export type Local = {
  at: Float64Array
  value: number | null
  gradient: Float64Array | null
  /** Row-major, symmetric. */
  hessian: Float64Array | null
}

/** What is to be known at a point. */
export type Wish = { value?: boolean; gradient?: boolean; hessian?: 'matrix' | 'products' | false }

export const hessianField = () =>
  field(
    z.enum(['matrix', 'products']).default('matrix'),
    'How the Hessian is told: as a matrix, or as its product with each axis, in one query of as many directions.',
    { source: 'ours' },
  )

/** `largest`: parameters up to which a matrix of their square is held and factorized. */
export function checkDimension(id: string, problem: Problem, largest = 1024): Issue[] {
  const dimension = totalElements(spaceOf(problem).tensors)
  if (dimension <= largest) return []
  const message = `${id} factorizes a matrix of all parameters; it takes at most ${largest}, got ${dimension}`
  return [{ path: 'space.tensors', message }]
}

export const unknown = (at: Float64Array): Local => ({ at, value: null, gradient: null, hessian: null })

export const kindsOf = ({ value, gradient, hessian }: Wish): WantKind[] => [
  ...(value ? (['value'] as const) : []),
  ...(gradient ? (['gradient'] as const) : []),
  ...(hessian ? ([hessian === 'matrix' ? 'quantities' : 'hvp'] as const) : []),
]

export const isKnown = (local: Local, { value, gradient, hessian }: Wish): boolean =>
  !((value && local.value === null) || (gradient && !local.gradient) || (hessian && !local.hessian))

/** Asks for what is missing; products go in a query of their own, behind the rest, with the purpose `curvature`. */
export function turnOf(local: Local, wish: Wish, purpose = 'step'): Omit<Turn, 'sampleKey'> {
  const wants: Want[] = []
  if (wish.value && local.value === null) wants.push({ kind: 'value' })
  if (wish.gradient && !local.gradient) wants.push({ kind: 'gradient' })
  if (wish.hessian === 'matrix' && !local.hessian) wants.push(...matrixTurn(local.at, 'matrix', 'hessian').wants)
  if (wants.length > 0) return { points: [local.at], wants, purpose }
  return { ...matrixTurn(local.at, 'axes', 'hessian'), purpose: 'curvature' }
}

/** Adds what was told of the point. */
export function learnLocal(local: Local, problem: Problem, flat: Flat, told: Observation): void {
  const sign = signOf(problem)
  const signed = (values: Float64Array) => values.map((value) => sign * value)
  if (told.values) local.value = sign * told.values[0][0]
  if (told.gradients) local.gradient = signed(flat.vector(told.gradients[0]))
  if (told.quantities || told.products) local.hessian = matrixOfAnswer(told, 'hessian', flat, problem)
}
