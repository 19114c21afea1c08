/**
 * Models that know their density up to a factor, p0(x; theta), on the line, with samples x of the data and y of a noise law:
 * the toy problems of Jiang et al. 2023, section 6, and of noise-contrastive estimation.
 */
type Vector = ArrayLike<number> & Iterable<number>
export type Model = {
  logDensity(x: number, theta: Vector): number
  /** By theta. */
  score(x: number, theta: Vector): number[]
}

/** exp(-(x - theta)^2/2). */
export const gaussianMean: Model = {
  logDensity: (x, [mean]) => -((x - mean) ** 2) / 2,
  score: (x, [mean]) => [x - mean],
}

/** Two bells at theta_1 and theta_2, the second exp(theta_3) as heavy. */
export const mixture: Model = {
  logDensity: (x, [a, b, c]) => Math.log(Math.exp(-((x - a) ** 2) / 2) + Math.exp(c - (x - b) ** 2 / 2)),
  score(x, [a, b, c]) {
    const [p, q] = [Math.exp(-((x - a) ** 2) / 2), Math.exp(c - (x - b) ** 2 / 2)]
    return [(p * (x - a)) / (p + q), (q * (x - b)) / (p + q), q / (p + q)]
  },
}

/** Log density of a normal law of mean 0. */
export const normal = (deviation: number) => (x: number) =>
  -((x / deviation) ** 2) / 2 - Math.log(deviation * Math.sqrt(2 * Math.PI))

/** Points with weights that sum to 1: a batch, or the nodes of a quadrature. */
export type Sample = { points: readonly number[]; weights: readonly number[] }
export const batch = (points: readonly number[]): Sample => ({ points, weights: points.map(() => 1 / points.length) })

const weighted = (weights: readonly number[], rows: readonly (readonly number[])[]): number[] =>
  rows[0].map((_, k) => rows.reduce((sum, row, i) => sum + weights[i] * row[k], 0))

/** The gradient of -E log p0. */
export const dataGradient = (model: Model, { points, weights }: Sample, theta: Vector): number[] =>
  weighted(
    weights,
    points.map((x) => model.score(x, theta).map((s) => -s)),
  )

/** log E[p0/q] under the noise of log density `logq`, and its gradient. */
export function noiseTerm(model: Model, noise: Sample, logq: (y: number) => number, theta: Vector) {
  const { points, weights } = noise
  const logs = points.map((y) => model.logDensity(y, theta) - logq(y))
  const top = Math.max(...logs)
  const mean = logs.reduce((sum, log, i) => sum + weights[i] * Math.exp(log - top), 0)
  const shares = logs.map((log, i) => (weights[i] * Math.exp(log - top)) / mean)
  const scores = points.map((y) => model.score(y, theta))
  return { value: top + Math.log(mean), gradient: weighted(shares, scores) }
}

/** The gradient of the loss of noise-contrastive estimation, for a model of the given log normalizer. */
export function contrastiveGradient(
  model: Model,
  logZ: number,
  data: Sample,
  noise: Sample,
  logq: (y: number) => number,
  theta: Vector,
): number[] {
  const real = (x: number) => 1 / (1 + Math.exp(-(model.logDensity(x, theta) - logZ - logq(x))))
  const rows = (points: readonly number[], factor: (x: number) => number) =>
    points.map((x) => model.score(x, theta).map((s) => factor(x) * s))
  const [a, b] = [
    weighted(
      data.weights,
      rows(data.points, (x) => real(x) - 1),
    ),
    weighted(noise.weights, rows(noise.points, real)),
  ]
  return a.map((value, k) => value + b[k])
}
