/**
 * Minimization in a box by projected L-BFGS: D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale
 * optimization", Math. Program. 45, 1989, with the two-metric projection of D. P. Bertsekas, SIAM J. Control Optim. 20,
 * 1982: coordinates held at a bound by their gradient take no part in the quasi-Newton step.
 *
 * A generator: it yields a point and is sent the value and gradient there, so that many runs can share one batch.
 */
export type Sample = { value: number; gradient: Float64Array }
export type Minimum = { x: Float64Array; value: number; evaluations: number }

const MEMORY = 10
const ARMIJO = 1e-4
const MAX_BACKTRACKS = 20

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0)

type Options = {
  maxEvaluations: number
  /** Stops when no projected gradient coordinate is larger. */
  tolerance: number
  /** Stops when a step lowers the value by less than this times max(1, |value|). */
  progress: number
  /** Length of the first step at most (largest coordinate). */
  firstStep: number
}

export function* lbfgs(
  start: Float64Array,
  low: Float64Array,
  high: Float64Array,
  { maxEvaluations, tolerance, progress, firstStep }: Options,
): Generator<Float64Array, Minimum, Sample> {
  const project = (v: Float64Array) => v.map((value, i) => Math.min(Math.max(value, low[i]), high[i]))
  const pairs: { s: Float64Array; y: Float64Array; rho: number }[] = []
  let x: Float64Array = project(start)
  let { value, gradient } = yield x
  let evaluations = 1
  while (evaluations < maxEvaluations && Number.isFinite(value)) {
    const free = x.map((v, i) => ((v <= low[i] && gradient[i] >= 0) || (v >= high[i] && gradient[i] <= 0) ? 0 : 1))
    const steepest = gradient.map((g, i) => g * free[i])
    const largest = steepest.reduce((most, g) => Math.max(most, Math.abs(g)), 0)
    if (!(largest > tolerance)) break
    let direction = twoLoop(steepest, free, pairs)
    if (!(dot(direction, steepest) < 0)) {
      pairs.length = 0
      direction = steepest.map((g) => -g)
    }
    let t = pairs.length ? 1 : Math.min(1, firstStep / largest)
    let next: { x: Float64Array; value: number; gradient: Float64Array } | undefined
    for (let k = 0; k < MAX_BACKTRACKS && evaluations < maxEvaluations; k++) {
      const trial = project(x.map((v, i) => v + t * direction[i]))
      const slope = trial.reduce((sum, v, i) => sum + gradient[i] * (v - x[i]), 0)
      const sample = yield trial
      evaluations++
      if (sample.value <= value + ARMIJO * slope) {
        next = { x: trial, ...sample }
        break
      }
      // The minimum of the parabola through both values and the slope, kept within [0.1, 0.5] of the step.
      const curvature = sample.value - value - slope
      t *= Number.isFinite(curvature) && curvature > 0 ? Math.min(0.5, Math.max(0.1, -slope / (2 * curvature))) : 0.1
    }
    if (!next) break
    const s = next.x.map((v, i) => v - x[i])
    const y = next.gradient.map((g, i) => g - gradient[i])
    const sy = dot(s, y)
    if (sy > 1e-10 * dot(y, y)) {
      pairs.push({ s, y, rho: 1 / sy })
      if (pairs.length > MEMORY) pairs.shift()
    }
    const gain = value - next.value
    ;({ x, value, gradient } = next)
    if (gain <= progress * Math.max(1, Math.abs(value))) break
  }
  return { x, value, evaluations }
}

/** -H g over the free coordinates (Nocedal and Wright, "Numerical Optimization", algorithm 7.4). */
function twoLoop(
  g: Float64Array,
  free: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; rho: number }[],
) {
  const q = g.slice()
  const alphas = new Float64Array(pairs.length)
  for (let k = pairs.length - 1; k >= 0; k--) {
    const { s, y, rho } = pairs[k]
    alphas[k] = rho * dot(s, q)
    for (let i = 0; i < q.length; i++) q[i] -= alphas[k] * y[i] * free[i]
  }
  const last = pairs.at(-1)
  const scale = last ? 1 / (last.rho * dot(last.y, last.y)) : 1
  for (let i = 0; i < q.length; i++) q[i] *= scale
  pairs.forEach(({ s, y, rho }, k) => {
    const beta = rho * dot(y, q)
    for (let i = 0; i < q.length; i++) q[i] += (alphas[k] - beta) * s[i] * free[i]
  })
  return q.map((v) => -v)
}

/** Runs several minimizations in step: each round evaluates the points of all that still run as one batch. */
export function minimizeTogether(
  runs: readonly Generator<Float64Array, Minimum, Sample>[],
  evaluate: (points: readonly Float64Array[]) => readonly Sample[],
): Minimum[] {
  const minima: Minimum[] = []
  let open = runs.map((run, index) => ({ run, index, result: run.next() }))
  while (true) {
    for (const { index, result } of open) if (result.done) minima[index] = result.value
    open = open.filter(({ result }) => !result.done)
    if (open.length === 0) return minima
    const samples = evaluate(open.map(({ result }) => result.value as Float64Array))
    open = open.map(({ run, index }, i) => ({ run, index, result: run.next(samples[i]) }))
  }
}
