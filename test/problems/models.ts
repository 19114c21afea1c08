/** Problems whose oracle tells more than gradients: outputs of a model, a denoiser, clusters, a map. */
import type { Point, Query } from '../../src/core/query.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { TensorSpec, Tensors } from '../../src/core/tensor.js'
import type { Definition, ProblemOptions } from './oracle.js'

const tensorsOf = (point: Point): Tensors => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}
const spec = (name: string, ...shape: number[]): TensorSpec => ({ name, shape, dtype: 'f64' })
const minimize = (tensors: readonly TensorSpec[], initial?: TensorsSpace['initial']): Problem => ({
  space: { kind: 'tensors', tensors, initial },
  objectives: [{ name: 'loss', direction: 'minimize' }],
})
/** The weights that the note of a query gives. */
function notedWeights({ points }: Query): number[] {
  const note = points.find(({ kind }) => kind === 'text')
  if (note?.kind !== 'text') throw new Error('expected a note of weights')
  return JSON.parse(note.text.weights)
}
const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((total, value) => total + value, 0)

/**
 * The mean logistic loss of 6 examples, w:[2] from zero; the tensor z:[6] carries weights of the outputs, and a gradient is
 * that of the weighted sum of outputs. 0.3811542 at the solution.
 */
export function modelOutputs(): Definition {
  const rows = [
    [1, 0.2],
    [0.8, -0.3],
    [-1, 0.1],
    [-0.7, 0.4],
    [0.5, 0.3],
    [0.6, 0.1],
  ]
  const labels = [1, 1, -1, -1, 1, -1]
  const outputs = (point: Point) =>
    Float64Array.from(rows, ([a, b]) => a * tensorsOf(point).w[0] + b * tensorsOf(point).w[1])
  return {
    problem: minimize([spec('w', 2), spec('z', 6)]),
    optimum: 0.38115428592982664,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => sum(outputs(point).map((z, i) => Math.log1p(Math.exp(-labels[i] * z)))) / 6,
    gradient(point) {
      const { z } = tensorsOf(point)
      const w = Float64Array.of(...[0, 1].map((j) => sum(rows.map((row, i) => row[j] * z[i]))))
      return { w, z: outputs(point) }
    },
    quantities: {
      outputs,
      gradient: (point) => outputs(point).map((z, i) => -labels[i] / (1 + Math.exp(labels[i] * z))),
    },
  }
}

/**
 * Clicks on 6 examples, w:[2] from zero, of a model whose deployed logits are known: cross-entropy and logistic ranking loss,
 * lambda 1. An oracle of logits, and of the gradient of their sum with the weights of a note. 0.7369494 at the solution.
 */
export function clicks(): Definition {
  const rows = [
    [1, 0.2],
    [0.8, -0.3],
    [-1, 0.1],
    [-0.7, 0.4],
    [0.5, 0.3],
    [0.6, 0.1],
  ]
  const labels = [1, 1, 0, 0, 1, 0]
  const old = [0.5, 1, -1, 0.5, 0, 0.5]
  const logits = ({ w }: Tensors) => Float64Array.from(rows, ([a, b]) => a * w[0] + b * w[1])
  return {
    problem: minimize([spec('w', 2)]),
    optimum: 0.736949388218004,
    offers: ['value', 'quantities'],
    objective(point) {
      const losses = logits(tensorsOf(point)).map((u, i) => {
        const s = 2 * labels[i] - 1
        return Math.log1p(Math.exp(-s * u)) + Math.log1p(Math.exp(-s * (u - old[i])))
      })
      return sum(losses) / losses.length
    },
    quantities: {
      logits: (point) => logits(tensorsOf(point)),
      labels: () => Float64Array.from(labels),
      old: () => Float64Array.from(old),
      gradient(_, __, query) {
        const weights = notedWeights(query)
        return Float64Array.from([0, 1], (j) => sum(rows.map((row, i) => row[j] * weights[i])))
      },
    },
  }
}

/**
 * The mean over three clusters of (x - s_c)'H(x - s_c)/2, x:[2] from zero, less its least value: an oracle of the mean
 * gradient of each cluster. 0 at the mean of the s_c.
 */
export function clusters({ shift = 0 }: ProblemOptions): Definition {
  const centres = [
    [1, -1],
    [2, 0.5],
    [0, -1],
  ]
  const solution = [1, -0.5]
  const curvature = [1, 3]
  const pull = (point: Point, from: readonly number[]) =>
    curvature.map((c, j) => c * (tensorsOf(point).x[j] - from[j] - shift))
  return {
    problem: minimize([spec('x', 2)], { x: Float64Array.of(shift, shift) }),
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => sum(pull(point, solution).map((g, j) => g ** 2 / curvature[j] / 2)),
    gradient: (point) => ({ x: Float64Array.from(pull(point, solution)) }),
    quantities: {
      gradients: (point) => Float64Array.from(centres.flatMap((centre) => pull(point, centre))),
      clusters: () => Float64Array.of(0, 1, 2),
      counts: () => Float64Array.of(5, 5, 5),
    },
  }
}

/**
 * Two bowls that are least at the same point (1, -2): (x1^2 + 10*x2^2)/2 and (10*x1^2 + x2^2)/2 around it, whose gradients may
 * conflict. x:[2] from (3, 1); the mean is the objective.
 */
export function sharedMinimum({ shift = 0 }: ProblemOptions): Definition {
  const solution = [1 + shift, -2 + shift]
  const bends = [
    [1, 10],
    [10, 1],
  ]
  const pull = (point: Point) => bends.map((bend) => bend.map((b, j) => b * (tensorsOf(point).x[j] - solution[j])))
  const combined = (point: Point, weights: readonly number[]) =>
    Float64Array.from([0, 1], (j) => sum(pull(point).map((row, i) => weights[i] * row[j])))
  return {
    problem: minimize([spec('x', 2)], { x: Float64Array.of(3 + shift, 1 + shift) }),
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => sum(solution.map((s, j) => (5.5 / 2) * (tensorsOf(point).x[j] - s) ** 2)),
    gradient: (point) => ({ x: combined(point, [0.5, 0.5]) }),
    quantities: {
      gradients: (point) => Float64Array.from(pull(point).flat()),
      gramian: (point) =>
        Float64Array.from(pull(point).flatMap((a) => pull(point).map((b) => a[0] * b[0] + a[1] * b[1]))),
      gradient: (point, _, query) => combined(point, notedWeights(query)),
    },
  }
}

/**
 * A bowl with waves, z^2/20 + 1 - exp(-4.5 s^2) cos(3 z), z:[1] from 5; the tensor `width`, s:[], smooths the waves away. 0 at
 * z = 0 and s = 0, by which estimates are judged; plain descent is caught by a wave.
 */
export function smoothedWaves({ shift = 0 }: ProblemOptions): Definition {
  const value = (z: number, s: number) => z ** 2 / 20 + 1 - Math.exp(-4.5 * s ** 2) * Math.cos(3 * z)
  return {
    problem: minimize([spec('z', 1), spec('width')], { z: Float64Array.of(5 + shift) }),
    optimum: 0,
    offers: ['value', 'gradient'],
    objective: (point) => value(tensorsOf(point).z[0] - shift, tensorsOf(point).width[0]),
    judge: (point) => value(tensorsOf(point).z[0] - shift, 0),
    gradient(point) {
      const [z, s] = [tensorsOf(point).z[0] - shift, tensorsOf(point).width[0]]
      const height = Math.exp(-4.5 * s ** 2)
      return {
        z: Float64Array.of(z / 10 + 3 * height * Math.sin(3 * z)),
        width: Float64Array.of(9 * s * height * Math.cos(3 * z)),
      }
    },
  }
}

/** Two rewards of noise e:[4] from random noise, -|e - a|^2 and -|e - b|^2; judged by minus the first and half the second. */
export function rewards(): Definition {
  const goals = [
    [1, 1, -1, 0.5],
    [1, -1, -1, 1.5],
  ]
  const reward = (point: Point, j: number) => -sum(tensorsOf(point).e.map((x, i) => (x - goals[j][i]) ** 2))
  return {
    problem: minimize([spec('e', 4)]),
    // 2/3 of the way to the first, the rewards are -5/9 and -20/9.
    optimum: 5 / 3,
    offers: ['value', 'quantities'],
    objective: (point) => -reward(point, 0) - reward(point, 1) / 2,
    quantities: {
      rewards: (point) => Float64Array.of(reward(point, 0), reward(point, 1)),
      gradients: (point) =>
        Float64Array.from(goals.flatMap((goal) => goal.map((g, i) => 2 * (g - tensorsOf(point).e[i])))),
    },
  }
}

/**
 * Samples x:[2] of N((1, -1), 0.2^2), 30 diffusion steps away by linear variances from 0.001 to 0.2; the tensor t:[] says at
 * which. The noise is that of the exact denoiser, the loss (x_1 - 1.3)^2 that of a goal.
 */
export function denoiser(): Definition {
  const goal = 1.3
  const kept = (t: number) => {
    let product = 1
    for (let i = 0; i < t; i++) product *= 1 - (0.001 + (0.199 * i) / 29)
    return product
  }
  return {
    problem: minimize([spec('x', 2), spec('t')]),
    optimum: 0,
    offers: ['value', 'gradient', 'quantities'],
    objective: (point) => (tensorsOf(point).x[0] - goal) ** 2,
    gradient: (point) => ({ x: Float64Array.of(2 * (tensorsOf(point).x[0] - goal), 0), t: Float64Array.of(0) }),
    quantities: {
      noise(point) {
        const { x, t } = tensorsOf(point)
        const share = kept(t[0])
        // The mean of the noise given x, both normal.
        const deviation = Math.sqrt(1 - share)
        const variance = share * 0.2 ** 2 + deviation ** 2
        return x.map((value, i) => (deviation * (value - Math.sqrt(share) * [1, -1][i])) / variance)
      },
    },
  }
}

/** The fixed point (2, -1) of the contraction T(x) = x* + M (x - x*), |M| = 0.5 in every row, x:[2] from zero: T is told. */
export function fixedPoint({ shift = 0 }: ProblemOptions): Definition {
  const M = [
    [0.3, 0.2],
    [-0.1, 0.4],
  ]
  const solution = [2 + shift, -1 + shift]
  const away = (point: Point) => solution.map((s, i) => tensorsOf(point).x[i] - s)
  return {
    problem: minimize([spec('x', 2)], { x: Float64Array.of(shift, shift) }),
    optimum: 0,
    offers: ['value', 'quantities'],
    objective: (point) => Math.hypot(...away(point)),
    quantities: {
      image: (point) => Float64Array.from(M, (row, i) => solution[i] + sum(away(point).map((d, j) => row[j] * d))),
    },
  }
}

/**
 * Three inversions of the decoder diag(4, 1): |D z_i - x_i|^2/2 summed, z:[3, 2] from zero; the tensor map:[2, 2] changes
 * coordinates. Condition 16. 0 at the solution.
 */
export function inversions(): Definition {
  const D = [4, 1]
  const targets = [2, 1, -3, 0.5, 1, -2]
  const residual = (point: Point) => Array.from(tensorsOf(point).z, (z, i) => D[i % 2] * z - targets[i])
  return {
    problem: minimize([spec('z', 3, 2), spec('map', 2, 2)]),
    optimum: 0,
    offers: ['value', 'gradient'],
    objective: (point) => sum(residual(point).map((r) => r * r)) / 2,
    gradient: (point) => ({
      z: Float64Array.from(residual(point), (r, i) => D[i % 2] * r),
      map: new Float64Array(4),
    }),
  }
}
