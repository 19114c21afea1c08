/** The functions of generate_torch.py: where their trajectories start, and what is told on the way. */
import type { TensorsSpace } from '../../src/core/space.js'

type Point = { readonly [tensor: string]: ArrayLike<number> }
type Told = { [tensor: string]: number[] }
export type Problem = {
  start: { [tensor: string]: { shape: readonly number[]; values: readonly number[] } }
  value: (point: Point) => number
  gradient: (point: Point) => Told
  /** Of the Hessian. */
  diagonal: (point: Point) => Told
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i)
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const CURVATURE = [1, 3, 10]

const EXAMPLES = range(8)
const FEATURES = range(4)
const LABELS = range(3)
const feature = (example: number, j: number) => Math.sin(4 * example + j + 1)
const label = (example: number, k: number) => Number(example % 3 === k)

const logit = ({ weights, bias }: Point, example: number, k: number) =>
  bias[k] + sum(FEATURES.map((j) => feature(example, j) * weights[3 * j + k]))
const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))

/** A mean over the examples, for each weight and bias; the input of a bias is 1. */
function means(term: (input: number, example: number, k: number) => number): Told {
  const mean = (k: number, input: (example: number) => number) =>
    sum(EXAMPLES.map((i) => term(input(i), i, k))) / EXAMPLES.length
  return {
    weights: FEATURES.flatMap((j) => LABELS.map((k) => mean(k, (i) => feature(i, j)))),
    bias: LABELS.map((k) => mean(k, () => 1)),
  }
}

export const problems: Record<string, Problem> = {
  rosenbrock: {
    start: { x: { shape: [2], values: [-1.2, 1] } },
    value: ({ x }) => (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2,
    gradient: ({ x }) => ({
      x: [-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)],
    }),
    diagonal: ({ x }) => ({ x: [2 - 400 * x[1] + 1200 * x[0] ** 2, 200] }),
  },
  quadratic: {
    start: { x: { shape: [3], values: [2, -1, 1.5] } },
    value: ({ x }) => sum(CURVATURE.map((c, i) => 0.5 * c * (x[i] - 0.5) ** 2)),
    gradient: ({ x }) => ({ x: CURVATURE.map((c, i) => c * (x[i] - 0.5)) }),
    diagonal: () => ({ x: [...CURVATURE] }),
  },
  logistic: {
    start: {
      weights: { shape: [4, 3], values: [0.5, -1, 0.25, -0.75, 0.5, 1, 1.5, 0.75, -0.5, -0.25, 1.25, -1.5] },
      bias: { shape: [3], values: [0.5, -0.25, 1] },
    },
    value: (point) =>
      sum(
        EXAMPLES.flatMap((i) =>
          LABELS.map((k) => Math.log1p(Math.exp(logit(point, i, k))) - label(i, k) * logit(point, i, k)),
        ),
      ) / EXAMPLES.length,
    gradient: (point) => means((input, i, k) => input * (sigmoid(logit(point, i, k)) - label(i, k))),
    diagonal: (point) =>
      means((input, i, k) => input ** 2 * sigmoid(logit(point, i, k)) * sigmoid(-logit(point, i, k))),
  },
}

/** The space of a problem. */
export const spaceOf = ({ start }: Problem, dtype: 'f32' | 'f64' = 'f64'): TensorsSpace => ({
  kind: 'tensors',
  tensors: Object.entries(start).map(([name, { shape }]) => ({ name, shape: [...shape], dtype })),
  initial: Object.fromEntries(
    Object.entries(start).map(([name, { values }]) => [
      name,
      dtype === 'f64' ? Float64Array.from(values) : Float32Array.from(values),
    ]),
  ),
})

/** All elements of a point, tensor by tensor. */
export const elementsOf = (point: Point): number[] => Object.values(point).flatMap((values) => Array.from(values))

/** A problem whose vectors are columns. */
export const columns = ({ start, ...rest }: Problem): Problem => ({
  ...rest,
  start: Object.fromEntries(
    Object.entries(start).map(([name, { shape, values }]) => [
      name,
      { shape: shape.length === 1 ? [...shape, 1] : shape, values },
    ]),
  ),
})

/** A problem all of whose elements are one vector. */
export function vector({ start, value, gradient, diagonal }: Problem): Problem {
  const parts = ({ x }: Point): Point => {
    let at = 0
    return Object.fromEntries(
      Object.entries(start).map(([name, { values }]) => [name, Array.from(x).slice(at, (at += values.length))]),
    )
  }
  const values = Object.values(start).flatMap(({ values }) => values)
  return {
    start: { x: { shape: [values.length], values } },
    value: (point) => value(parts(point)),
    gradient: (point) => ({ x: elementsOf(gradient(parts(point))) }),
    diagonal: (point) => ({ x: elementsOf(diagonal(parts(point))) }),
  }
}
