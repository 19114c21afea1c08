/**
 * The inverse of F = damp*I + (1/m) sum g_i g_i' over the last m gradients, zeros until there are so many, in O(d m) per
 * gradient: E. Frantar, E. Kurtic, D. Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information",
 * NeurIPS 2021 (arXiv:2107.03356), section 3.2. With the gradients as rows of G and S = G G',
 * F^-1 x = x/damp - G'y, y = (damp*m*I + S)^-1 G x/damp.
 */
import { elements, type FloatArray, type TensorSpec, type Tensors } from '../../core/tensor.js'
import { correct, inverse, times } from '../preconditioners/dense.js'

/** Plain data. `kernel` is damp*m*I + S, kept with its inverse. */
export type GradientWindow = {
  rows: { [tensor: string]: FloatArray }
  kernel: { all: Float64Array }
  inverse: { all: Float64Array }
  count: { all: Float64Array }
}

/** Residual, relative to the right side, above which the inverse has gathered too much rounding. */
const ROUNDING = 1e-9

export function emptyWindow(tensors: readonly TensorSpec[], m: number, damp: number): GradientWindow {
  const rows = tensors.map(({ name, shape, dtype }) => {
    const size = m * elements(shape)
    return [name, dtype === 'f64' ? new Float64Array(size) : new Float32Array(size)] as const
  })
  const diagonal = (value: number) => Float64Array.from({ length: m * m }, (_, at) => (at % (m + 1) === 0 ? value : 0))
  return {
    rows: Object.fromEntries(rows),
    kernel: { all: diagonal(damp * m) },
    inverse: { all: diagonal(1 / (damp * m)) },
    count: { all: new Float64Array(1) },
  }
}

/** G*x */
function alongRows({ rows }: GradientWindow, m: number, x: Tensors): Float64Array {
  const products = new Float64Array(m)
  for (const [name, values] of Object.entries(x)) {
    const row = rows[name]
    for (let i = 0; i < m; i++)
      for (let j = 0, at = i * values.length; j < values.length; j++, at++) products[i] += row[at] * values[j]
  }
  return products
}

/** Puts a gradient in the place of the oldest; the window has its elements in the precision of its rows. */
export function push(window: GradientWindow, m: number, damp: number, g: Tensors): void {
  const r = window.count.all[0]++ % m
  const stored = Object.fromEntries(
    Object.entries(g).map(([name, values]) => {
      window.rows[name].set(values, r * values.length)
      return [name, window.rows[name].subarray(r * values.length, (r + 1) * values.length)]
    }),
  )
  const kernel = window.kernel.all
  // Row and column r change by e_r c' + c e_r', of which the diagonal counts twice.
  const c = alongRows(window, m, stored)
  for (let i = 0; i < m; i++) c[i] -= kernel[r * m + i]
  c[r] = (c[r] + damp * m) / 2
  const axis = new Float64Array(m)
  axis[r] = 1
  correct(kernel, window.inverse.all, { W: [axis, c], C: [0, 1, 1, 0], Z: [axis, c] })
}

/** F^-1 x. */
export function divide(window: GradientWindow, m: number, damp: number, x: Tensors): Tensors {
  const right = alongRows(window, m, x).map((value) => value / damp)
  const y = solved(window, m, right)
  return Object.fromEntries(
    Object.entries(x).map(([name, values]) => {
      const row = window.rows[name]
      const u = Float64Array.from(values, (value) => value / damp)
      for (let i = 0; i < m; i++) for (let j = 0, at = i * u.length; j < u.length; j++, at++) u[j] -= y[i] * row[at]
      return [name, u]
    }),
  )
}

/** Solves kernel*y = right with the kept inverse and one refinement, or with a fresh inverse where that is not enough. */
function solved(window: GradientWindow, m: number, right: Float64Array): Float64Array {
  const size = Math.hypot(...right)
  const refined = () => {
    const y = times(window.inverse.all, right)
    const residual = times(window.kernel.all, y).map((value, i) => right[i] - value)
    const correction = times(window.inverse.all, residual)
    return { y: y.map((value, i) => value + correction[i]), off: Math.hypot(...residual) }
  }
  const first = refined()
  if (first.off <= ROUNDING * size) return first.y
  window.inverse.all.set(inverse(window.kernel.all, m))
  return refined().y
}
