/** Problems over named tensors. */
import type { Point } from '../../src/core/query.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import type { Definition, ProblemOptions } from './oracle.js'

const tensorsOf = (point: Point): Tensors => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}
const minimize = (space: TensorsSpace): Problem => ({ space, objectives: [{ name: 'loss', direction: 'minimize' }] })

/**
 * f = 1/2 sum c_i (x_i - s_i)^2 over tensors a:[3] and b:[2,2], f32; curvatures c run from 1 to 10 in equal ratios, so
 * the condition number is 10. The solution s lies away from zero and from the start. f = 0 at the solution.
 */
export function quadratic({ shift = 0 }: ProblemOptions): Definition {
  const curvature = Float64Array.from({ length: 7 }, (_, i) => 10 ** (i / 6))
  const layout = { a: 0, b: 3 } as const
  const solution = [0.5, -1, 1.5, 1, -0.5, 0.25, -0.75].map((x) => x + shift)
  const parts = (tensors: Tensors) =>
    (['a', 'b'] as const).map((name) => ({ name, x: tensors[name], at: layout[name] }))
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [
        { name: 'a', shape: [3], dtype: 'f32' },
        { name: 'b', shape: [2, 2], dtype: 'f32' },
      ],
      initial: {
        a: Float32Array.from([2, 1, -1], (x) => x + shift),
        b: Float32Array.from([-1, 1.5, 2, 1], (x) => x + shift),
      },
    }),
    optimum: 0,
    offers: ['value', 'gradient', 'ranking'],
    objective(point) {
      let sum = 0
      for (const { x, at } of parts(tensorsOf(point)))
        for (let i = 0; i < x.length; i++) sum += 0.5 * curvature[at + i] * (x[i] - solution[at + i]) ** 2
      return sum
    },
    gradient(point) {
      const gradients = parts(tensorsOf(point)).map(({ name, x, at }) => [
        name,
        Float32Array.from(x, (value, i) => curvature[at + i] * (value - solution[at + i])),
      ])
      return Object.fromEntries(gradients)
    },
  }
}

/** Rosenbrock's valley in tensor x:[2], f64, from (-1.2, 1). f = 0 at (1, 1). */
export function rosenbrock({ shift = 0 }: ProblemOptions): Definition {
  const xy = (point: Point) => Array.from(tensorsOf(point).x, (value) => value - shift)
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'x', shape: [2], dtype: 'f64' }],
      initial: { x: Float64Array.of(-1.2 + shift, 1 + shift) },
    }),
    optimum: 0,
    offers: ['value', 'gradient', 'ranking'],
    objective(point) {
      const [x, y] = xy(point)
      return (1 - x) ** 2 + 100 * (y - x * x) ** 2
    },
    gradient(point) {
      const [x, y] = xy(point)
      return { x: Float64Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)) }
    },
  }
}

/**
 * The game min over x, max over y of x*y, scalars, f64, from (1, 1). Each tensor's gradient is that of its own player's
 * loss (x*y and -x*y). Estimates are judged by their distance to the saddle (0, 0); plain descent spirals away.
 */
export function bilinearGame({ shift = 0 }: ProblemOptions): Definition {
  const xy = (point: Point) => {
    const { x, y } = tensorsOf(point)
    return [x[0] - shift, y[0] - shift]
  }
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [
        { name: 'x', shape: [], dtype: 'f64' },
        { name: 'y', shape: [], dtype: 'f64' },
      ],
      initial: { x: Float64Array.of(1 + shift), y: Float64Array.of(1 + shift) },
    }),
    optimum: 0,
    offers: ['gradient'],
    objective(point) {
      const [x, y] = xy(point)
      return x * y
    },
    judge: (point) => Math.hypot(...xy(point)),
    gradient(point) {
      const [x, y] = xy(point)
      return { x: Float64Array.of(y), y: Float64Array.of(-x) }
    },
  }
}

/** sum (x_i - s_i)^2 over tensor x:[8], f64, from zero, of which only rankings are told. 0 at the solution. */
export function rankSphere({ shift = 0 }: ProblemOptions): Definition {
  const solution = [0.5, -0.3, 0.8, -0.6, 0.2, 0.9, -0.4, 0.7].map((x) => x + shift)
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'x', shape: [8], dtype: 'f64' }],
      initial: { x: new Float64Array(8).fill(shift) },
    }),
    optimum: 0,
    offers: ['ranking'],
    objective: (point) => {
      const { x } = tensorsOf(point)
      return solution.reduce((sum, s, i) => sum + (x[i] - s) ** 2, 0)
    },
  }
}
