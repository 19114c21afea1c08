/**
 * What is known of an objective at a point, and how the rest is asked: the Hessian as a matrix (a quantity), or as its
 * products with all axes. Told values are turned into those of a loss to minimize.
 */

import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Observation, Quantity, Want, WantKind } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { totalElements } from '../../core/tensor.js'
import { coordinate, type Flat, spaceOf } from '../flat.js'
import type { Turn } from '../turns.js'

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

/** Parameters up to which a matrix of their square is held and factorized. */
const LARGEST = 1024

export function checkDimension(id: string, problem: Problem): Issue[] {
  const dimension = totalElements(spaceOf(problem).tensors)
  if (dimension <= LARGEST) return []
  const message = `${id} factorizes a matrix of all parameters; it takes at most ${LARGEST}, got ${dimension}`
  return [{ path: 'space.tensors', message }]
}

export const signOf = ({ objectives }: Problem): 1 | -1 => (objectives[0].direction === 'maximize' ? -1 : 1)

export const unknown = (at: Float64Array): Local => ({ at, value: null, gradient: null, hessian: null })

const HESSIAN = (dimension: number): Quantity => ({
  name: 'hessian',
  shape: [dimension, dimension],
  description: 'second derivatives of the objective, by all parameters',
})

export const kindsOf = ({ value, gradient, hessian }: Wish): WantKind[] => [
  ...(value ? (['value'] as const) : []),
  ...(gradient ? (['gradient'] as const) : []),
  ...(hessian ? ([hessian === 'matrix' ? 'quantities' : 'hvp'] as const) : []),
]

export const isKnown = (local: Local, { value, gradient, hessian }: Wish): boolean =>
  !((value && local.value === null) || (gradient && !local.gradient) || (hessian && !local.hessian))

/** Asks for what is missing; products go in a query of their own, behind the rest, with the purpose `curvature`. */
export function turnOf(local: Local, wish: Wish, purpose = 'step'): Omit<Turn, 'sampleKey'> {
  const dimension = local.at.length
  const wants: Want[] = []
  if (wish.value && local.value === null) wants.push({ kind: 'value' })
  if (wish.gradient && !local.gradient) wants.push({ kind: 'gradient' })
  if (wish.hessian === 'matrix' && !local.hessian) wants.push({ kind: 'quantities', quantities: [HESSIAN(dimension)] })
  if (wants.length > 0) return { points: [local.at], wants, purpose }
  const axes = Array.from(local.at, (_, i) => coordinate(i, dimension))
  return { points: [local.at, ...axes], wants: [{ kind: 'hvp', curvature: 'hessian' }], purpose: 'curvature' }
}

/** Adds what was told of the point. */
export function learnLocal(local: Local, problem: Problem, flat: Flat, told: Observation): void {
  const sign = signOf(problem)
  const signed = (values: Float64Array) => values.map((value) => sign * value)
  if (told.values) local.value = sign * told.values[0][0]
  if (told.gradients) local.gradient = signed(flat.vector(told.gradients[0]))
  if (told.quantities) local.hessian = symmetric(signed(Float64Array.from(told.quantities[0].hessian)), flat.dimension)
  if (told.products) {
    const columns = told.products.map((product) => signed(flat.vector(product)))
    local.hessian = symmetric(Float64Array.from(columns.flatMap((column) => Array.from(column))), flat.dimension)
  }
}

/** The mean of a matrix and its transpose, in place. */
export function symmetric(m: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) m[i * n + j] = m[j * n + i] = (m[i * n + j] + m[j * n + i]) / 2
  return m
}
