/** Problems over tensors whose methods compute from what is told, where there is nothing to descend. */
import type { Point } from '../../src/core/query.js'
import type { TensorSpec } from '../../src/core/tensor.js'
import type { Definition } from './oracle.js'

const tensorsOf = (point: Point) => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}
const objectives = [{ name: 'loss', direction: 'minimize' as const }]
const f64 = (name: string, shape: readonly number[]): TensorSpec => ({ name, shape, dtype: 'f64' })

/** Weights of 12 items with fixed scores, from 1. Judged by how far the weighted sum of scores is from that of all. */
export function scores(): Definition {
  const told = Float64Array.from([9, 0.5, 3, 0.1, 0.1, 1, 0.4, 5, 0.2, 0.3, 0.6, 0.8])
  const total = told.reduce((sum, score) => sum + score, 0)
  const off = (point: Point) =>
    Math.abs(told.reduce((sum, score, i) => sum + score * tensorsOf(point).items[i], 0) - total)
  return {
    problem: { space: { kind: 'tensors', tensors: [f64('items', [12])] }, objectives },
    optimum: 0,
    offers: ['quantities'],
    quantities: { items: () => told },
    objective: off,
    // All weights 1 are right without an answer; what counts is what four items say.
    judge: (point) => (Array.from(tensorsOf(point).items).filter(Boolean).length <= 4 ? off(point) : total),
  }
}

/** f = <w, x> at x:[4], f64, whose attributions against the reference 0 are w_i*x_i. Judged by the distance to them. */
export function attribution(): Definition {
  const w = [1, -2, 0.5, 3]
  const x = Float64Array.of(0.5, 1, -2, 0.25)
  return {
    problem: { space: { kind: 'tensors', tensors: [f64('x', [4])], initial: { x } }, objectives },
    optimum: 0,
    offers: ['value', 'gradient'],
    objective: (point) => w.reduce((sum, wi, i) => sum + wi * tensorsOf(point).x[i], 0),
    judge: (point) => Math.hypot(...w.map((wi, i) => tensorsOf(point).x[i] - wi * x[i])),
    gradient: () => ({ x: Float64Array.from(w) }),
  }
}

/** Factors W:[6, 2] and Z:[2, 5], f64, of a matrix of rank 2. Judged by the relative error. */
export function factorization(): Definition {
  const [m, n, k] = [6, 5, 2]
  const matrix = Float64Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    return (i + 1) * Math.cos(j) + Math.sin(2 * i + 1) * (j - 2)
  })
  const error = (point: Point) => {
    const { W, Z } = tensorsOf(point)
    const off = matrix.map((value, at) => {
      let fit = 0
      for (let r = 0; r < k; r++) fit += W[Math.floor(at / n) * k + r] * Z[r * n + (at % n)]
      return fit - value
    })
    return Math.hypot(...off) / Math.hypot(...matrix)
  }
  return {
    problem: { space: { kind: 'tensors', tensors: [f64('W', [m, k]), f64('Z', [k, n])] }, objectives },
    optimum: 0,
    offers: ['quantities'],
    quantities: { matrix: () => matrix },
    objective: error,
  }
}

/**
 * Two queries of three documents, and room for a seventh, of fixed scores; tensors `gradient` and `hessian`, [7], f64. Judged
 * by the pairs that are in the wrong order after a long step against the gradient.
 */
export function documents(): Definition {
  const scores = [0.2, 0.1, 0, 0.5, 0.4, 0.3, 0]
  const labels = [0, 1, 2, 1, 0, 2, 0]
  const queries = [0, 0, 0, 1, 1, 1, -1]
  const told = (values: readonly number[]) => () => Float64Array.from(values)
  return {
    problem: { space: { kind: 'tensors', tensors: [f64('gradient', [7]), f64('hessian', [7])] }, objectives },
    optimum: 0,
    offers: ['quantities'],
    quantities: { scores: told(scores), labels: told(labels), queries: told(queries) },
    objective(point) {
      const moved = scores.map((z, i) => z - 100 * tensorsOf(point).gradient[i])
      const wrong = (i: number, j: number) =>
        queries[i] === queries[j] && labels[i] > labels[j] && moved[i] <= moved[j] ? 1 : 0
      return moved.reduce((sum, _, i) => sum + moved.reduce((pairs, _, j) => pairs + wrong(i, j), 0), 0)
    },
  }
}
