/** The linear flow between the events of DADAO, and what the events do to it. */

/** Of a worker: x, xt, y, yt, z, zt, up to time `at`. */
export type Worker = { v: Float64Array[]; at: number }
export type Constants = { mu: number; smoothness: number; chi: number }

const SIZE = 6
const TERMS = 18
const rates = ({ mu, smoothness }: Constants) => ({ nu: mu / 2, s: Math.sqrt(mu / 2 / smoothness) })

/** M of d/dt (x, xt, y, yt, z, zt) = M*(x, xt, y, yt, z, zt), row-major. */
export function flowMatrix(constants: Constants): Float64Array {
  const { nu, s } = rates(constants)
  const [eta, alpha, theta] = [s / 8, s / 4, 1 / (2 * s)]
  const tilde = s / 8
  return Float64Array.from(
    [
      [-eta, eta, 0, 0, 0, 0],
      [eta, -eta, 0, 0, 0, 0],
      [0, 0, -alpha, alpha, 0, 0],
      [0, -theta * nu, -theta, 0, -theta, 0],
      [0, 0, 0, 0, -alpha, alpha],
      [0, 0, 0, 0, tilde, -tilde],
    ].flat(),
  )
}

function product(a: Float64Array, b: Float64Array): Float64Array {
  const c = new Float64Array(SIZE * SIZE)
  for (let i = 0; i < SIZE; i++)
    for (let k = 0; k < SIZE; k++) for (let j = 0; j < SIZE; j++) c[i * SIZE + j] += a[i * SIZE + k] * b[k * SIZE + j]
  return c
}

/** exp(M*time): a Taylor series of a power-of-two fraction, squared as often. */
export function exponential(M: Float64Array, time: number): Float64Array {
  const size = M.reduce((most, value) => Math.max(most, Math.abs(value)), 0) * time * SIZE
  const squarings = Math.max(0, Math.ceil(Math.log2(Math.max(size, 1e-300))))
  const A = M.map((value) => (value * time) / 2 ** squarings)
  let term: Float64Array = A.map((_, at) => Number(at % (SIZE + 1) === 0))
  let sum: Float64Array = term.slice()
  for (let k = 1; k <= TERMS; k++) {
    term = product(term, A).map((value) => value / k)
    sum = sum.map((value, at) => value + term[at])
  }
  for (let k = 0; k < squarings; k++) sum = product(sum, sum)
  return sum
}

/** Moves a worker on to a time. */
export function flow(worker: Worker, M: Float64Array, time: number): void {
  const E = exponential(M, time - worker.at)
  const { v } = worker
  worker.v = v.map((_, i) => v[0].map((_, k) => v.reduce((sum, vj, j) => sum + E[i * SIZE + j] * vj[k], 0)))
  worker.at = time
}

/** The gradient at its x came in. */
export function takeGradient({ v: [x, xt, , yt] }: Worker, constants: Constants, gradient: Float64Array): void {
  const { nu, s } = rates(constants)
  const { smoothness: L } = constants
  for (let k = 0; k < x.length; k++) {
    const q = gradient[k] - nu * x[k] - yt[k]
    x[k] -= q / (4 * L)
    xt[k] -= q / (4 * Math.sqrt(L * nu))
    yt[k] += (s / 4 + 1) * q
  }
}

/** Two workers at the same time exchange y + z. */
export function exchange({ v: a }: Worker, { v: b }: Worker, constants: Constants): void {
  const { s } = rates(constants)
  const strong = (2 * constants.chi) / s
  for (let k = 0; k < a[0].length; k++) {
    const p = a[2][k] + a[4][k] - (b[2][k] + b[4][k])
    a[4][k] -= p / 2
    b[4][k] += p / 2
    a[5][k] -= strong * p
    b[5][k] += strong * p
  }
}
