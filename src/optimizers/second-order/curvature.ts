/** How a whole curvature matrix is asked, and what was told of it: as a matrix, or as its products with all axes. */
import { z } from 'zod'
import { CURVATURES, type Curvature, type Observation } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { coordinate, type Flat } from '../flat.js'
import type { Turn } from '../turns.js'

export const signOf = ({ objectives }: Problem): 1 | -1 => (objectives[0].direction === 'maximize' ? -1 : 1)

export const curvatureField = (initial: Curvature) =>
  field(z.enum(CURVATURES).default(initial), 'The curvature matrix that is asked.', { source: 'ours' })

/** The sign of a told curvature in that of a loss to minimize: a Fisher matrix is one of a distribution. */
export const curvatureSign = (curvature: Curvature, problem: Problem): 1 | -1 =>
  curvature === 'fisher' ? 1 : signOf(problem)

/** Asks for products with these directions. */
export const productsTurn = (
  x: Float64Array,
  directions: readonly Float64Array[],
  curvature: Curvature,
): Pick<Turn, 'points' | 'wants'> => ({ points: [x, ...directions], wants: [{ kind: 'hvp', curvature }] })

export function matrixTurn(
  x: Float64Array,
  source: 'matrix' | 'axes',
  curvature: Curvature,
): Pick<Turn, 'points' | 'wants'> {
  const n = x.length
  if (source === 'axes')
    return productsTurn(
      x,
      Array.from(x, (_, i) => coordinate(i, n)),
      curvature,
    )
  const quantity = { name: curvature, shape: [n, n], description: `the ${curvature} matrix, by all parameters` }
  return { points: [x], wants: [{ kind: 'quantities', quantities: [quantity] }] }
}

/** The told products, of a loss to minimize. */
export function productsOf(told: Observation, curvature: Curvature, flat: Flat, problem: Problem): Float64Array[] {
  const sign = curvatureSign(curvature, problem)
  return told.products!.map((product) => flat.vector(product).map((value) => sign * value))
}

/** The told matrix, row-major and symmetric. */
export function matrixOfAnswer(told: Observation, curvature: Curvature, flat: Flat, problem: Problem): Float64Array {
  const sign = curvatureSign(curvature, problem)
  const rows = told.quantities
    ? Float64Array.from(told.quantities[0][curvature], (value) => sign * value)
    : Float64Array.from(productsOf(told, curvature, flat, problem).flatMap((column) => Array.from(column)))
  return symmetric(rows, flat.dimension)
}

/** The mean of a matrix and its transpose, in place. */
export function symmetric(m: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) m[i * n + j] = m[j * n + i] = (m[i * n + j] + m[j * n + i]) / 2
  return m
}
