/**
 * How gradients flow through an unrolled system, and the constraint that keeps them from vanishing:
 * Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, sections 2.1 and 3.3.
 *
 * The system is x_t = W*s(x_{t-1}) + input; dE/dx_k = diag(s'(x_k)) * W' * dE/dx_{k+1}.
 */
type Vector = ArrayLike<number>

const norm = (vector: Vector): number => Math.hypot(...Array.from(vector))

export type GradientFlow = {
  /** |dE/dx_k| / |dE/dx_{k+1}| of each pair of successive states. */
  ratios: number[]
  /** Geometric mean of the ratios: the factor per step. */
  factor: number
  flow: 'vanishing' | 'steady' | 'exploding'
}

/**
 * Norm ratios along time of told gradients by successive states (vectors, or their norms), first state first.
 * The whole gain over the told steps decides: below 1/`gain` it vanishes, above `gain` it explodes.
 */
export function gradientFlow(gradients: readonly (Vector | number)[], gain = 100): GradientFlow {
  const norms = gradients.map((g) => (typeof g === 'number' ? g : norm(g)))
  const ratios = norms.slice(0, -1).map((n, k) => n / norms[k + 1])
  const whole = norms[0] / norms[norms.length - 1]
  return {
    ratios,
    factor: whole ** (1 / ratios.length),
    flow: whole < 1 / gain ? 'vanishing' : whole > gain ? 'exploding' : 'steady',
  }
}

export type Omega = {
  /** Sum of the terms. */
  omega: number
  /** (|diag(s'(x_k)) W' d_{k+1}| / |d_{k+1}| - 1)^2 of each k. */
  terms: number[]
  /** Gradient of omega by W, row-major, with the told d held constant. */
  gradient: Float64Array
}

/**
 * The soft constraint against vanishing gradients.
 *
 * @param W recurrent matrix, n by n, row-major
 * @param gradients d_{k+1} = dE/dx_{k+1} for each k, n numbers each; a zero vector has no term
 * @param slopes s'(x_k) for each k, n numbers each
 */
export function omega(W: Vector, gradients: readonly Vector[], slopes: readonly Vector[]): Omega {
  const n = Math.sqrt(W.length)
  const gradient = new Float64Array(n * n)
  const terms = gradients.map((d, k) => {
    const size = norm(d)
    if (size === 0) return 0
    const u = new Float64Array(n)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) u[j] += W[i * n + j] * d[i] * slopes[k][j]
    const length = norm(u)
    const off = length / size - 1
    if (length > 0)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) gradient[i * n + j] += ((2 * off) / size) * d[i] * slopes[k][j] * (u[j] / length)
    return off * off
  })
  return { omega: terms.reduce((sum, term) => sum + term, 0), terms, gradient }
}
