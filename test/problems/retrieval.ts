/** Robust phase retrieval: the mean of |(a'x)^2 - b| over examples, told as c = (a'x)^2 - b with its Jacobian. */
import type { Point } from '../../src/core/query.js'
import type { Definition } from './oracle.js'

const SIGNAL = [0.8, -0.5, 0.3]
const ROWS = [
  [1, 0.2, -0.4],
  [-0.3, 1.1, 0.5],
  [0.6, -0.7, 1.2],
  [0.1, 0.9, -1],
  [1.3, 0.4, 0.8],
  [-0.9, 0.5, 0.2],
  [0.4, 1, 0.7],
  [-0.5, -0.2, 1.4],
]
const along = (a: readonly number[], x: ArrayLike<number>) => a.reduce((sum, ai, i) => sum + ai * x[i], 0)
const MEASURED = ROWS.map((a) => along(a, SIGNAL) ** 2)

const xOf = (point: Point) => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors.x
}
const errors = (point: Point) => ROWS.map((a, i) => along(a, xOf(point)) ** 2 - MEASURED[i])
const slopes = (point: Point) => ROWS.map((a) => a.map((ai) => 2 * along(a, xOf(point)) * ai))

/** Eight measurements of a signal in three dimensions, x:[3], near it at the start; `a` and `b` are those of an example each. */
export function phaseRetrieval(): Definition {
  const example = (sampleKey = '0') => Number(sampleKey.replace(/\D/g, '')) % ROWS.length
  return {
    problem: {
      space: {
        kind: 'tensors',
        tensors: [{ name: 'x', shape: [3], dtype: 'f64' }],
        initial: { x: Float64Array.of(1, -0.2, 0.1) },
      },
      objectives: [{ name: 'loss', direction: 'minimize' }],
    },
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => errors(point).reduce((sum, error) => sum + Math.abs(error), 0) / ROWS.length,
    gradient(point) {
      const signs = errors(point).map(Math.sign)
      const x = [0, 1, 2].map((j) => slopes(point).reduce((sum, row, i) => sum + (signs[i] * row[j]) / ROWS.length, 0))
      return { x: Float64Array.from(x) }
    },
    quantities: {
      c: (point) => Float64Array.from(errors(point)),
      jacobian: (point) => Float64Array.from(slopes(point).flat()),
      a: (_, __, { sampleKey }) => Float64Array.from(ROWS[example(sampleKey)]),
      b: (_, __, { sampleKey }) => Float64Array.of(MEASURED[example(sampleKey)]),
    },
  }
}
