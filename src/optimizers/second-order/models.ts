/** Regularized Taylor models of a convex objective around a point, solved: the step u, and what is left of the gradient there. */
import type { Lanczos } from '../diagnostics/lanczos.js'
import { accumulate, dot, norm, plus } from '../flat.js'
import { scaledIdentity, solve, times } from '../preconditioners/dense.js'
import { cubicStep } from './cubic.js'
import { tridiagonal } from './krylov.js'
import { spectrumOf } from './spectrum.js'

/** A solution, and the norm of the gradient of the model at it. */
export type Solved = { u: Float64Array; residual: number }

/** <g, u> + <H*u, u>/2 + damping*|u|^2/2 + M*|u|^3/6, by the eigenvalues of H. */
export function cubicModel(g: Float64Array, H: Float64Array, M: number, damping: number): Solved {
  const u = cubicStep(spectrumOf(H, g.length), g, M, damping)
  const shift = damping + (M * norm(u)) / 2
  return { u, residual: norm(times(H, u).map((product, i) => g[i] + product + shift * u[i])) }
}

/** The same for H = 0, where |u|*(damping + M*|u|/2) = |g|. */
export function gradientModel(g: Float64Array, M: number, damping: number): Solved {
  const length = norm(g)
  const shift = length === 0 ? 1 : (damping + Math.sqrt(damping * damping + 2 * M * length)) / 2
  return { u: g.map((value) => -value / shift), residual: 0 }
}

/** The same in the span of Lanczos steps from g. What is left of the gradient is along the vector behind the basis. */
export function krylovModel(lanczos: Lanczos, g: Float64Array, M: number, damping: number): Solved {
  const n = lanczos.diagonal.length
  const first = new Float64Array(n)
  first[0] = norm(g)
  const c = cubicStep(spectrumOf(tridiagonal(lanczos), n), first, M, damping)
  const u = new Float64Array(g.length)
  c.forEach((value, i) => {
    accumulate(u, value, lanczos.basis[i])
  })
  return { u, residual: Math.abs((lanczos.beside[n - 1] ?? 0) * c[n - 1]) }
}

/** Most Newton steps on a model, and halvings of one; both far beyond what a convex model takes. */
const [STEPS, HALVINGS] = [100, 60]

/**
 * <g, u> + <H*u, u>/2 + D[u, u, u]/6 + damping*|u|^2/2 + M*|u|^4/24 with third derivatives D, [d, d, d]: convex where M is
 * three times their Lipschitz constant or more (Y. Nesterov, "Implementable tensor methods", 2021, theorem 1). By damped
 * Newton steps until the gradient is at most `accuracy` times |g|.
 */
export function quarticModel(
  g: Float64Array,
  H: Float64Array,
  D: Float64Array,
  { M, damping, accuracy }: { M: number; damping: number; accuracy: number },
): Solved {
  const n = g.length
  const at = (u: Float64Array) => {
    // D[u], a matrix.
    const bent = new Float64Array(n * n)
    u.forEach((value, k) => {
      accumulate(bent, value, D.subarray(k * n * n, (k + 1) * n * n))
    })
    const [Hu, Bu, square] = [times(H, u), times(bent, u), dot(u, u)]
    const shift = damping + (M * square) / 6
    const gradient = g.map((value, i) => value + Hu[i] + Bu[i] / 2 + shift * u[i])
    const value = dot(g, u) + dot(Hu, u) / 2 + dot(Bu, u) / 6 + (damping * square) / 2 + (M * square ** 2) / 24
    const hessian = () =>
      scaledIdentity(n, shift).map(
        (entry, ij) => entry + H[ij] + bent[ij] + (M / 3) * u[Math.floor(ij / n)] * u[ij % n],
      )
    return { gradient, value, hessian }
  }
  let u: Float64Array = new Float64Array(n)
  let here = at(u)
  for (let step = 0; step < STEPS && norm(here.gradient) > accuracy * norm(g); step++) {
    const direction = solve(here.hessian(), here.gradient, n).map((value) => -value)
    const slope = dot(direction, here.gradient)
    let length = 1
    let next = plus(u, length, direction)
    for (let i = 0; i < HALVINGS && at(next).value > here.value + 0.25 * length * slope; i++)
      next = plus(u, (length /= 2), direction)
    const there = at(next)
    // No more than rounding is left.
    if (!(norm(there.gradient) < norm(here.gradient)) && !(there.value < here.value)) break
    ;[u, here] = [next, there]
  }
  return { u, residual: norm(here.gradient) }
}
