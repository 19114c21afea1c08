/**
 * Functionals of a probability measure that particles carry, n of them in d dimensions, row by row. Gradients are those
 * of the first variation: n dF_n/dw_i at each particle.
 */

/** Adds weight*|w_i - y_j|^(power - 2) (w_i - y_j), averaged over j, to each particle's gradient; 0 where they meet. */
export function addPull(
  gradient: Float64Array,
  w: Float64Array,
  y: Float64Array,
  d: number,
  weight: number,
  power: number,
): void {
  const scale = (weight * d) / y.length
  for (let i = 0; i < w.length; i += d)
    for (let j = 0; j < y.length; j += d) {
      const distance = separation(w, i, y, j, d)
      if (distance === 0) continue
      const pull = scale * (power === 1 ? 1 / distance : distance ** (power - 2))
      for (let k = 0; k < d; k++) gradient[i + k] += pull * (w[i + k] - y[j + k])
    }
}

function separation(a: Float64Array, i: number, b: Float64Array, j: number, d: number): number {
  if (d === 1) return Math.abs(a[i] - b[j])
  let sum = 0
  for (let k = 0; k < d; k++) sum += (a[i + k] - b[j + k]) ** 2
  return Math.sqrt(sum)
}

/** E|X - Y|^power over all pairs. */
export function meanDistance(x: Float64Array, y: Float64Array, d: number, power = 1): number {
  let sum = 0
  for (let i = 0; i < x.length; i += d)
    for (let j = 0; j < y.length; j += d) {
      const distance = separation(x, i, y, j, d)
      sum += power === 1 ? distance : distance ** power
    }
  return (sum * d * d) / (x.length * y.length)
}

/** E|X - X'|: in one dimension from the order, sum over i < j of x_j - x_i. */
function selfDistance(x: Float64Array, d: number): number {
  if (d > 1) return meanDistance(x, x, d)
  const n = x.length
  const sum = x
    .slice()
    .sort()
    .reduce((total, value, i) => total + (2 * i - n + 1) * value, 0)
  return (2 * sum) / (n * n)
}

/** 2E|X - Y| - E|X - X'| - E|Y - Y'|: zero when the measures are the same. */
export const energyDistance = (w: Float64Array, y: Float64Array, d: number): number =>
  2 * meanDistance(w, y, d) - selfDistance(w, d) - selfDistance(y, d)

export function energyGradient(w: Float64Array, y: Float64Array, d: number): Float64Array {
  const gradient = new Float64Array(w.length)
  addPull(gradient, w, y, d, 2, 1)
  addPull(gradient, w, w, d, -2, 1)
  return gradient
}
