/** Problems over named tensors. */
import type { Point } from '../../src/core/query.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import type { Definition, ProblemOptions } from './oracle.js'

const tensorsOf = (point: Point): Tensors => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}
/** A square matrix of its diagonal. */
const diagonal = (entries: readonly number[] | Float64Array): Float64Array =>
  Float64Array.from({ length: entries.length ** 2 }, (_, at) => {
    const [i, j] = [Math.floor(at / entries.length), at % entries.length]
    return i === j ? entries[i] : 0
  })
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
    offers: ['value', 'gradient', 'ranking', 'directional', 'hvp', 'quantities'],
    // A sum of squares: all three are one.
    curvature: {
      hessian: () => diagonal(curvature),
      'gauss-newton': () => diagonal(curvature),
      fisher: () => diagonal(curvature),
    },
    quantities: { third: () => new Float64Array(7 ** 3) },
    objective(point) {
      let sum = 0
      for (const { x, at } of parts(tensorsOf(point)))
        for (let i = 0; i < x.length; i++) sum += 0.5 * curvature[at + i] * (x[i] - solution[at + i]) ** 2
      return sum
    },
    gradient(point) {
      const gradients = parts(tensorsOf(point)).map(({ name, x, at }) => [
        name,
        x.map((value, i) => curvature[at + i] * (value - solution[at + i])),
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
    offers: ['value', 'gradient', 'ranking', 'hvp', 'quantities'],
    curvature: {
      hessian(point) {
        const [x, y] = xy(point)
        return Float64Array.of(2 - 400 * (y - 3 * x * x), -400 * x, -400 * x, 200)
      },
      // Of the residuals sqrt(2)*(1 - x) and sqrt(200)*(y - x^2).
      'gauss-newton'(point) {
        const [x] = xy(point)
        return Float64Array.of(2 + 800 * x * x, -400 * x, -400 * x, 200)
      },
    },
    // One example with two outputs, whose squared loss this is.
    quantities: {
      outputs(point) {
        const [x, y] = xy(point)
        return Float64Array.of(Math.SQRT2 * x, Math.sqrt(200) * (y - x * x))
      },
      targets: () => Float64Array.of(Math.SQRT2, 0),
      residual(point) {
        const [x, y] = xy(point)
        return Float64Array.of(Math.SQRT2 * (x - 1), Math.sqrt(200) * (y - x * x))
      },
      blocks: () => Float64Array.of(1, 0, 0, 1),
      jacobian(point) {
        const [x] = xy(point)
        return Float64Array.of(Math.SQRT2, 0, -2 * Math.sqrt(200) * x, Math.sqrt(200))
      },
    },
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

/**
 * Wrong rows of a truth table of 6 inputs that tensor theta:[64] holds as bits, f64, from zeros. The gradient is the
 * reverse derivative of all rows at once: the error bits.
 */
export function truthTable(): Definition {
  const table = Float64Array.from({ length: 64 }, (_, row) => ((row * 37) >> 2) & 1)
  return {
    problem: minimize({ kind: 'tensors', tensors: [{ name: 'theta', shape: [64], dtype: 'f64' }] }),
    optimum: 0,
    offers: ['value', 'gradient'],
    objective: (point) => table.filter((bit, i) => bit !== tensorsOf(point).theta[i]).length,
    gradient: (point) => ({ theta: tensorsOf(point).theta.map((bit, i) => Number(bit !== table[i])) }),
  }
}

/**
 * Logistic regression on 19 examples (1, 0) and one (-1, 0.3) of the same class, in tensor x:[2], f64, from zero. Judged
 * by the largest loss of an example: below log 2 all are classified.
 */
export function separable(): Definition {
  const rows = Array.from({ length: 20 }, (_, i) => (i === 0 ? [-1, 0.3] : [1, 0]))
  const margins = (point: Point) => {
    const { x } = tensorsOf(point)
    return rows.map(([a, b]) => a * x[0] + b * x[1])
  }
  const losses = (point: Point) => margins(point).map((z) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(-z, 0))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const hessian = (point: Point) => {
    const weights = margins(point).map((z) => 1 / (2 + Math.exp(z) + Math.exp(-z)))
    return Float64Array.from([0, 1, 2, 3], (at) => mean(weights.map((w, i) => w * rows[i][at >> 1] * rows[i][at & 1])))
  }
  return {
    problem: minimize({ kind: 'tensors', tensors: [{ name: 'x', shape: [2], dtype: 'f64' }] }),
    optimum: 0,
    offers: ['value', 'gradient', 'score', 'hvp', 'quantities'],
    curvature: { hessian, 'gauss-newton': hessian, fisher: hessian },
    objective: (point) => mean(losses(point)),
    judge: (point) => Math.max(...losses(point)),
    score: (point) => ({ score: mean(losses(point)), examples: losses(point) }),
    gradient: (point) => {
      const weights = margins(point).map((z) => 1 / (1 + Math.exp(z)))
      return { x: Float64Array.of(...[0, 1].map((j) => -mean(weights.map((p, i) => p * rows[i][j])))) }
    },
  }
}

/** The mean reward, to be maximized, of a softmax policy over three arms of rewards 1, 0.5 and 0: logits theta:[3], f64. */
export function bandit({ shift = 0 }: ProblemOptions): Definition {
  const rewards = [1, 0.5, 0]
  const policy = (point: Point) => {
    const weights = Array.from(tensorsOf(point).theta, (x) => Math.exp(x - shift))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    return weights.map((weight) => weight / total)
  }
  const reward = (point: Point) => policy(point).reduce((sum, p, i) => sum + p * rewards[i], 0)
  return {
    problem: {
      space: {
        kind: 'tensors',
        tensors: [{ name: 'theta', shape: [3], dtype: 'f64' }],
        initial: { theta: new Float64Array(3).fill(shift) },
      },
      objectives: [{ name: 'reward', direction: 'maximize' }],
    },
    optimum: 1,
    offers: ['value', 'gradient', 'hvp', 'quantities'],
    objective: reward,
    gradient(point) {
      const mean = reward(point)
      return { theta: Float64Array.from(policy(point), (p, i) => p * (rewards[i] - mean)) }
    },
    curvature: {
      fisher(point) {
        const p = policy(point)
        return Float64Array.from({ length: 9 }, (_, at) => {
          const [i, j] = [Math.floor(at / 3), at % 3]
          return (i === j ? p[i] : 0) - p[i] * p[j]
        })
      },
    },
    quantities: {
      // From the policy at the first point of the query.
      kl(point, _, { points: [first] }) {
        const to = policy(point)
        return Float64Array.of(policy(first).reduce((sum, p, i) => sum + p * Math.log(p / to[i]), 0))
      },
    },
  }
}

/** f = 1/4*|X*X' - M|^2 for X:[4, 3], f64, and M diagonal of rank 2 with eigenvalues 1 and 0.1. f = 0 at the solution. */
export function lowRank(): Definition {
  const [n, k] = [4, 3]
  const residual = (x: ArrayLike<number>) =>
    Array.from({ length: n * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n]
      let sum = i === j ? -[1, 0.1, 0, 0][i] : 0
      for (let p = 0; p < k; p++) sum += x[i * k + p] * x[j * k + p]
      return sum
    })
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'X', shape: [n, k], dtype: 'f64' }],
      initial: { X: Float64Array.from({ length: n * k }, (_, i) => 0.01 * Math.sin(1 + 3 * i)) },
    }),
    optimum: 0,
    offers: ['value', 'gradient', 'hvp', 'quantities'],
    curvature: {
      // Of f = <R, R>/4 with R = XX' - M: d2 f = <dX dX', R> + |dX X' + X dX'|^2/2.
      hessian(point) {
        const { X } = tensorsOf(point)
        const r = residual(X)
        return Float64Array.from({ length: (n * k) ** 2 }, (_, at) => {
          const [[i, p], [j, q]] = [Math.floor(at / (n * k)), at % (n * k)].map((e) => [Math.floor(e / k), e % k])
          let sum = (p === q ? r[i * n + j] : 0) + X[i * k + q] * X[j * k + p]
          if (i === j) for (let a = 0; a < n; a++) sum += X[a * k + p] * X[a * k + q]
          return sum
        })
      },
    },
    objective: (point) => residual(tensorsOf(point).X).reduce((sum, r) => sum + 0.25 * r * r, 0),
    gradient(point) {
      const { X } = tensorsOf(point)
      const r = residual(X)
      return {
        X: X.map((_, at) => {
          const [i, p] = [Math.floor(at / k), at % k]
          let sum = 0
          for (let j = 0; j < n; j++) sum += r[i * n + j] * X[j * k + p]
          return sum
        }),
      }
    },
  }
}

/**
 * The potential |x|^2/2 of a standard normal, at each of 20 particles in the line: tensor x:[20, 1], f64, from mean 3 and
 * standard deviation 2. Estimates are judged by the KL divergence of a normal with the particles' mean and variance.
 */
export function particles({ shift = 0 }: ProblemOptions): Definition {
  const start = Float64Array.from({ length: 20 }, (_, i) => 3 + shift + 2 * Math.sqrt(3) * ((2 * i + 1) / 20 - 1))
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'x', shape: [20, 1], dtype: 'f64' }],
      initial: { x: start },
    }),
    optimum: 0,
    offers: ['gradient'],
    objective: (point) => Array.from(tensorsOf(point).x).reduce((sum, x) => sum + 0.5 * (x - shift) ** 2, 0),
    judge(point) {
      const x = Array.from(tensorsOf(point).x)
      const mean = x.reduce((sum, v) => sum + v, 0) / x.length
      const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length
      return 0.5 * ((mean - shift) ** 2 + variance - 1 - Math.log(variance))
    },
    gradient: (point) => ({ x: tensorsOf(point).x.map((x) => x - shift) }),
  }
}

/** The mean over 8 terms of (x_i - s_i)^2, each made of one element of x:[8], f64, from zero. 0 at the solution. */
export function sumOfTerms({ shift = 0 }: ProblemOptions): Definition {
  const solution = [0.5, -0.3, 0.8, -0.6, 0.2, 0.9, -0.4, 0.7].map((x) => x + shift)
  const losses = (point: Point) => solution.map((s, i) => (tensorsOf(point).x[i] - s) ** 2)
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'x', shape: [8], dtype: 'f64' }],
      initial: { x: new Float64Array(8).fill(shift) },
    }),
    optimum: 0,
    offers: ['value', 'terms'],
    objective: (point) => losses(point).reduce((sum, loss) => sum + loss, 0) / 8,
    terms: (point) => ({ losses: losses(point), contributors: solution.map((_, i) => [i]) }),
  }
}
