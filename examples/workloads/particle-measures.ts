/** Functionals of a measure that n particles carry, each a number: a value, and its derivative by every particle. */

export type MeasureLoss = { value: number; gradient: Float64Array }

const clamp = (x: number) => Math.min(Math.max(x, 0), 1)

/**
 * Transport in one dimension: the energy distance of the particles to U[0, 1], in closed form. The least, 1/(6 n^2), is at
 * the quantiles (2i - 1)/(2n).
 */
export function uniformTransport(w: ArrayLike<number>): MeasureLoss {
  const x = Array.from(w)
  const n = x.length
  const gradient = Float64Array.from(x, (a) => {
    const signs = x.reduce((sum, b) => sum + Math.sign(a - b), 0)
    return (2 * (2 * clamp(a) - 1) - (2 / n) * signs) / n
  })
  // E|x - Y| is x^2 - x + 1/2 within [0, 1], and grows by the distance beyond.
  const toTarget = x.reduce((sum, a) => sum + (clamp(a) ** 2 - clamp(a) + 0.5 + Math.abs(a - clamp(a))) / n, 0)
  const within = x.reduce((sum, a) => sum + x.reduce((s, b) => s + Math.abs(a - b), 0), 0) / (n * n)
  return { value: 2 * toTarget - within - 1 / 3, gradient }
}

/** The angle from b to a, in [-pi, pi). */
const turn = (a: number, b: number) => {
  const full = 2 * Math.PI
  return ((((a - b + Math.PI) % full) + full) % full) - Math.PI
}

/** The network of sign units with weights at these angles, at an input of this angle: mean_i 1[<x, w_i> >= 0]. */
export const signNetwork = (angles: ArrayLike<number>, input: number): number =>
  Array.from(angles).filter((a) => Math.cos(input - a) >= 0).length / angles.length

/**
 * Fits a sign network to another one: E_x (f(x) - f*(x))^2 over inputs x on the unit circle. Two units agree on all but the
 * angle between them, so that this is the energy distance of the two measures in that angle, over 2 pi.
 */
export function signNetworkLoss(angles: ArrayLike<number>, target: ArrayLike<number>): MeasureLoss {
  const [a, b] = [Array.from(angles), Array.from(target)]
  const mean = (x: number[], y: number[]) =>
    x.reduce((sum, p) => sum + y.reduce((s, q) => s + Math.abs(turn(p, q)), 0), 0) / (x.length * y.length)
  const gradient = Float64Array.from(a, (p) => {
    const pull = b.reduce((sum, q) => sum + Math.sign(turn(p, q)), 0) / b.length
    const push = a.reduce((sum, q) => sum + Math.sign(turn(p, q)), 0) / a.length
    return (pull - push) / (Math.PI * a.length)
  })
  return { value: (2 * mean(a, b) - mean(a, a) - mean(b, b)) / (2 * Math.PI), gradient }
}
