import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as egn } from '../../../src/optimizers/second-order/egn.js'
import {
  type Batch,
  crossEntropy,
  gradientOf,
  solveByOutputs,
  solveByParameters,
} from '../../../src/optimizers/second-order/gauss-newton.js'
import { Newton, type Smooth, type Vector } from './smooth.js'

const normals = (seed: number, n: number) => {
  const rng = new Rng(rngStream(seed, 'normals'))
  return Float64Array.from({ length: n }, () => rng.normal())
}

/** Mean of |A*x - y|^2/2 over rows of A: a linear model with one output. */
function leastSquares(
  rows: number,
  d: number,
  noise = 0,
): Smooth & { solution: Float64Array; residual(x: Vector): number } {
  const A = normals(1, rows * d)
  const solution = normals(2, d)
  const error = normals(3, rows)
  const predict = (x: Vector) =>
    Float64Array.from({ length: rows }, (_, i) =>
      A.subarray(i * d, (i + 1) * d).reduce((sum, a, j) => sum + a * x[j], 0),
    )
  const targets = predict(solution).map((y, i) => y + noise * error[i])
  const residual = (x: Vector) => predict(x).map((f, i) => f - targets[i])
  return {
    solution,
    residual: (x) => Math.hypot(...residual(x)),
    value: (x) => residual(x).reduce((sum, r) => sum + (r * r) / 2 / rows, 0),
    gradient: (x) => {
      const r = residual(x)
      return Float64Array.from({ length: d }, (_, j) => r.reduce((sum, ri, i) => sum + (ri * A[i * d + j]) / rows, 0))
    },
    hessian: () =>
      Float64Array.from({ length: d * d }, (_, at) => {
        const [i, j] = [Math.floor(at / d), at % d]
        let sum = 0
        for (let k = 0; k < rows; k++) sum += (A[k * d + i] * A[k * d + j]) / rows
        return sum
      }),
    quantities: { outputs: predict, targets: () => targets, jacobian: () => A },
  }
}

/** Softmax regression: three classes, weights [3, 2], of points around three centres. */
function classes(examples = 60): Smooth & { accuracy(x: Vector): number } {
  const rng = new Rng(rngStream(4, 'classes'))
  const points = Array.from({ length: examples }, (_, i) => {
    const angle = (2 * Math.PI * (i % 3)) / 3
    return { label: i % 3, a: [Math.cos(angle) + 0.6 * rng.normal(), Math.sin(angle) + 0.6 * rng.normal()] }
  })
  const logits = (x: Vector) =>
    Float64Array.from(points.flatMap(({ a }) => [0, 1, 2].map((k) => x[2 * k] * a[0] + x[2 * k + 1] * a[1])))
  const targets = Float64Array.from(points.flatMap(({ label }) => [0, 1, 2].map((k) => Number(k === label))))
  const jacobian = Float64Array.from(
    points.flatMap(({ a }) => [0, 1, 2].flatMap((k) => [0, 1, 2].flatMap((l) => (k === l ? a : [0, 0])))),
  )
  const batch = (x: Vector): Batch => ({ examples, outputs: 3, jacobian, ...crossEntropy(logits(x), targets, 3) })
  return {
    accuracy: (x) =>
      points.filter(({ label }, i) => {
        const row = logits(x).subarray(3 * i, 3 * i + 3)
        return row[label] === Math.max(...row)
      }).length / examples,
    value(x) {
      const f = logits(x)
      return points.reduce((sum, { label }, i) => {
        const row = f.subarray(3 * i, 3 * i + 3)
        return sum + (Math.log(row.reduce((s, z) => s + Math.exp(z), 0)) - row[label]) / examples
      }, 0)
    },
    gradient: (x) => gradientOf(batch(x)),
    // The model is linear in its parameters: Gauss-Newton is the Hessian.
    hessian(x) {
      const columns = Array.from({ length: 6 }, (_, j) => {
        const h = 1e-5
        const [above, below] = [h, -h].map((by) => gradientOf(batch(Array.from(x, (v, i) => v + (i === j ? by : 0)))))
        return above.map((g, i) => (g - below[i]) / (2 * h))
      })
      return columns.flatMap((column) => Array.from(column))
    },
    quantities: {
      outputs: logits,
      targets: () => targets,
      jacobian: () => jacobian,
      residual: (x) => batch(x).residual,
      blocks: (x) => batch(x).blocks!,
    },
  }
}

describe('[egn]', () => {
  test('the system of the outputs gives what that of the parameters gives', () => {
    const [b, c, d] = [8, 3, 50]
    const jacobian = normals(5, b * c * d)
    const targets = Float64Array.from({ length: b * c }, (_, i) => Number(i % c === 0))
    const batch = { examples: b, outputs: c, jacobian, ...crossEntropy(normals(6, b * c), targets, c) }
    const [p, q] = [solveByOutputs(batch, 0.3), solveByParameters(batch, 0.3)]
    p.forEach((value, i) => {
      expect(Math.abs(value - q[i])).toBeLessThan(1e-10)
    })
    expect(Math.hypot(...p)).toBeGreaterThan(0.1)
  })

  test.each([
    [20, 8],
    [8, 8],
    [6, 10],
  ])('linear least squares, %d outputs and %d parameters: one step', (rows, d) => {
    const problem = leastSquares(rows, d)
    const newton = new Newton(egn, new Float64Array(d), { lambda: 1e-12, learningRate: 1 }, problem).steps(1)
    expect(problem.residual(newton.x)).toBeLessThan(1e-6)
    if (rows >= d)
      newton.x.forEach((value, i) => {
        expect(Math.abs(value - problem.solution[i])).toBeLessThan(1e-6)
      })
  })

  test('a large lambda with as large a learning rate is gradient descent', () => {
    const problem = leastSquares(6, 10)
    const newton = new Newton(egn, new Float64Array(10), { lambda: 1e8, learningRate: 1e8 }, problem).steps(1)
    const g = problem.gradient(new Float64Array(10), null!)
    newton.x.forEach((value, i) => {
      expect(Math.abs(value + g[i])).toBeLessThan(1e-6 * Math.abs(g[i]))
    })
  })

  test.each(['cross-entropy', 'told'])('softmax regression, %s: rows and products take the same steps', (loss) => {
    const problem = classes()
    const start = new Float64Array(6)
    const config = { loss, outputs: 3, lambda: 0.01, learningRate: 0.8, momentum: 0.3 }
    const rows = new Newton(egn, start, config, problem).steps(6)
    const products = new Newton(egn, start, { ...config, jacobian: 'products' }, problem).steps(6)
    products.x.forEach((value, i) => {
      expect(value).toBeCloseTo(rows.x[i], 5)
    })
    expect(problem.accuracy(rows.x)).toBeGreaterThan(0.8)
    expect(products.told.quantities).toBeUndefined()
  })

  test('the search keeps the loss from rising, and begins where the last ended', () => {
    const problem = classes()
    const config = { loss: 'cross-entropy', outputs: 3, lambda: 1e-6, lineSearch: true, momentum: 0.9 }
    const newton = new Newton(egn, [30, -20, 10, 40, -30, 20], config, problem)
    let last = problem.value(newton.x, null!)
    for (let k = 0; k < 15; k++) {
      const value = problem.value(newton.steps(1).x, null!)
      expect(value).toBeLessThanOrEqual(last)
      last = value
      expect(Math.log2(newton.metrics.alpha)).toBe(Math.round(Math.log2(newton.metrics.alpha)))
    }
  })

  test('an adaptive lambda falls while the model holds, and rises where it does not', () => {
    const linear = leastSquares(20, 8, 0.1)
    const good = new Newton(egn, new Float64Array(8), { adaptive: true, learningRate: 1 }, linear).steps(4)
    expect(good.metrics.lambda).toBe(2 ** -4)
    expect(good.metrics.rho).toBeCloseTo(1, 6)
    // (x^2 - 1)^2/2 from the flat: the model overshoots.
    const bent: Smooth = {
      value: (x) => (x[0] ** 2 - 1) ** 2 / 2,
      gradient: (x) => [2 * x[0] * (x[0] ** 2 - 1)],
      hessian: (x) => [4 * x[0] ** 2],
      quantities: { outputs: (x) => [x[0] ** 2], targets: () => [1], jacobian: (x) => [2 * x[0]] },
    }
    const steep = new Newton(egn, [0.05], { adaptive: true, lambda: 1e-3, learningRate: 1 }, bent)
    expect(steep.steps(1).metrics.rho).toBeLessThan(0.25)
    expect(steep.metrics.lambda).toBe(2e-3)
    expect(Math.abs(steep.steps(60).x[0])).toBeCloseTo(1, 6)
  })

  test('single precision rounds, and what does not fit is said', () => {
    const problem = leastSquares(6, 10)
    const config = { lambda: 0.1, learningRate: 1 }
    const [double, single] = ['f64', 'f32'].map(
      (dtype) => new Newton(egn, new Float64Array(10), { ...config, dtype }, problem).steps(3).x,
    )
    const apart = Math.hypot(...double.map((value, i) => value - single[i]))
    expect(apart).toBeGreaterThan(0)
    expect(apart).toBeLessThan(1e-5)
    const uneven = { ...problem, quantities: { ...problem.quantities, targets: () => [1, 2] } }
    expect(new Newton(egn, new Float64Array(10), {}, uneven).steps(1).done).toContain('equally many examples')
    expect(() => new Newton(egn, [0], {}, problem, { direction: 'maximize' })).toThrow('objectives[0].direction')
    expect(() => new Newton(egn, [0], { jacobian: 'products', adaptive: true, momentum: 0.5 }, problem)).toThrow(
      'config.adaptive',
    )
  })
})
