/** Problems over search spaces. */
import type { Point } from '../../src/core/query.js'
import type { Parameter, Params, Problem } from '../../src/core/space.js'
import type { Definition, ProblemOptions } from './oracle.js'

const paramsOf = (point: Point): Params => {
  if (point.kind !== 'params') throw new Error(`expected params, got a ${point.kind} point`)
  return point.params
}
const minimize = (parameters: readonly Parameter[]): Problem => ({
  space: { kind: 'search', parameters },
  objectives: [{ name: 'loss', direction: 'minimize' }],
})

/** Branin's function: three global minima of 0.397887 in [-5, 10] x [0, 15]. */
export function branin({ shift = 0 }: ProblemOptions): Definition {
  return {
    problem: minimize([
      { name: 'x1', type: 'float', low: -5 + shift, high: 10 + shift },
      { name: 'x2', type: 'float', low: shift, high: 15 + shift },
    ]),
    optimum: 10 / (8 * Math.PI),
    offers: ['value', 'ranking'],
    objective(point) {
      const params = paramsOf(point)
      const x1 = (params.x1 as number) - shift
      const x2 = (params.x2 as number) - shift
      const quadratic = x2 - (5.1 / (4 * Math.PI ** 2)) * x1 ** 2 + (5 / Math.PI) * x1 - 6
      return quadratic ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x1) + 10
    },
  }
}

/** sum (x_i - s_i)^2 in [-5, 5]^5, the solution away from the centre. 0 at the solution. */
export function sphere5d({ shift = 0 }: ProblemOptions): Definition {
  const solution = [1.3, -2.1, 0.7, 2.9, -0.4]
  return {
    problem: minimize(
      solution.map((_, i) => ({ name: `x${i}`, type: 'float', low: -5 + shift, high: 5 + shift }) as const),
    ),
    optimum: 0,
    offers: ['value', 'ranking'],
    objective(point) {
      const params = paramsOf(point)
      return solution.reduce((sum, s, i) => sum + ((params[`x${i}`] as number) - shift - s) ** 2, 0)
    },
  }
}

/**
 * A smooth stand-in for a training run with every kind of parameter: a learning rate and a width on log scales, a choice
 * of optimizer, and a momentum that exists only for sgd. Best (0) at sgd, momentum 0.9, rate 10^-2.5, width 64; the
 * best of adam is 0.05.
 */
export function mixed(_: ProblemOptions): Definition {
  return {
    problem: minimize([
      { name: 'learningRate', type: 'float', low: 1e-5, high: 1e-1, log: true },
      { name: 'width', type: 'int', low: 8, high: 256, log: true },
      { name: 'optimizer', type: 'categorical', choices: ['sgd', 'adam'] },
      {
        name: 'momentum',
        type: 'float',
        low: 0,
        high: 0.99,
        condition: { parent: 'optimizer', values: ['sgd'] },
      },
    ]),
    optimum: 0,
    offers: ['value', 'ranking'],
    objective(point) {
      const params = paramsOf(point)
      const rate = Math.log10(params.learningRate as number) + 2.5
      const width = Math.log2(params.width as number) - 6
      const choice = params.optimizer === 'sgd' ? ((params.momentum as number) - 0.9) ** 2 : 0.05
      return 0.25 * rate ** 2 + 0.05 * width ** 2 + choice
    },
  }
}

/**
 * ZDT1 in three parameters: f1 = x0 and f2 = g (1 - sqrt(f1/g)), g = 1 + 9 (x1 + x2)/2. Judged by what the front lacks of the
 * hypervolume 2/3 below (1, 1).
 */
export function twoObjectives(): Definition {
  const objectives = (point: Point) => {
    const { x0, x1, x2 } = paramsOf(point) as Record<string, number>
    const g = 1 + (9 * (x1 + x2)) / 2
    return [x0, g * (1 - Math.sqrt(x0 / g))]
  }
  const parameters = [0, 1, 2].map((i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }) as const)
  return {
    problem: {
      space: { kind: 'search', parameters },
      objectives: ['f1', 'f2'].map((name) => ({ name, direction: 'minimize' })),
    },
    optimum: 0,
    offers: ['value'],
    objective: (point) => objectives(point)[0],
    objectives,
    assess({ points }) {
      const front = points.map(({ values = [] }) => values).filter(([a, b]) => a < 1 && b < 1)
      let [volume, ceiling] = [0, 1]
      for (const [a, b] of [...front].sort((p, q) => p[0] - q[0])) {
        if (b >= ceiling) continue
        volume += (1 - a) * (ceiling - b)
        ceiling = b
      }
      return 2 / 3 - volume
    },
  }
}

/**
 * The toy problem of R. B. Gramacy et al., "Modeling an Augmented Lagrangian for Blackbox Constrained Optimization", 2016:
 * x0 + x1 in [0, 1]^2 under two constraints. Best, with the first of them tight: 0.5998 at (0.1954, 0.4044).
 */
export function twoConstraints(): Definition {
  const constraints = (point: Point) => {
    const { x0, x1 } = paramsOf(point) as Record<string, number>
    return [1.5 - x0 - 2 * x1 - 0.5 * Math.sin(2 * Math.PI * (x0 * x0 - 2 * x1)), x0 * x0 + x1 * x1 - 1.5]
  }
  const objective = (point: Point) => (paramsOf(point).x0 as number) + (paramsOf(point).x1 as number)
  const { space, objectives } = minimize(
    ['x0', 'x1'].map((name) => ({ name, type: 'float', low: 0, high: 1 }) as const),
  )
  return {
    problem: { space, objectives, constraints: ['first', 'second'] },
    optimum: 0.59979,
    offers: ['value'],
    objective,
    constraints,
    judge: (point) => (constraints(point).some((c) => c > 0) ? Number.POSITIVE_INFINITY : objective(point)),
  }
}
