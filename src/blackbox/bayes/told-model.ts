/**
 * A parametric model that lives with the client: f_w(x) and its gradient in w are asked at tensors x and w. The fit is least
 * squares by the method of K. Levenberg and D. W. Marquardt, one query an iteration; then points are screened at w0, in
 * a linearization of the model there.
 */
import type { Observation, Point, Want } from '../../core/query.js'
import type { Problem, Scalar } from '../../core/space.js'
import { dot, solveSymmetric } from '../linalg/dense.js'
import type { Encoding } from '../space/encoding.js'
import { signOf } from '../space/progress.js'
import type { Trial } from './beliefs.js'
import { ellipsoidOf, widthIn } from './ellipsoid.js'

/** What was told of a point at w0. */
type Answer = { prediction: number; gradient: Float64Array }

export type ToldModel = {
  /** The best parameters so far (w0 once fitted), and those that are being tried. */
  w: Float64Array
  next: Float64Array
  fitted: boolean
  /** Trials that the fit is of. */
  trials: number
  damping: number
  loss: number
  iterations: number
  /** J'J and J'r at w, while it is fitted. */
  step: { matrix: Float64Array; slope: Float64Array } | null
  /** Mean squared residual of the fit. */
  variance: number
  /** Answers at the later trials, in their order. */
  known: Answer[]
  candidates: Float64Array[]
  /** Answers at the candidates. */
  offers: Answer[] | null
}

const MAX_ITERATIONS = 30
/** An iteration that lowers the loss by less than this part of it is the last. */
const PROGRESS = 1e-4
const MAX_DAMPING = 1e8

export const startTold = (w: Float64Array, trials: number): ToldModel => ({
  w,
  next: w,
  fitted: false,
  trials,
  damping: 1e-2,
  loss: Number.POSITIVE_INFINITY,
  iterations: 0,
  step: null,
  variance: 0,
  known: [],
  candidates: [],
  offers: null,
})

/** `parameters` numbers of gradient, -1 where their number is left open. */
export const toldWant = (parameters: number): Want => ({
  kind: 'quantities',
  quantities: [
    { name: 'prediction', shape: [], description: 'The model at parameters w and the point x.' },
    { name: 'gradient', shape: [parameters], description: 'Its gradient in w.' },
  ],
})

/** A point in numbers, in the order of the space: values of numeric parameters, places of ordinal ones. */
function pointAt(encoding: Encoding, u: Float64Array, w: Float64Array): Point {
  const params = encoding.decode(u)
  const x = Float64Array.from(encoding.axes, ({ parameter: p }) => {
    const value = params[p.name]
    return p.type === 'ordinal' || p.type === 'categorical' ? p.choices.indexOf(value as Scalar) : (value as number)
  })
  return { kind: 'tensors', tensors: { x, w } }
}

const feasible = (trials: readonly Trial[]) => trials.filter(({ value }) => !Number.isNaN(value))
const fitTrials = (model: ToldModel, trials: readonly Trial[]) => feasible(trials.slice(0, model.trials))
const laterTrials = (model: ToldModel, trials: readonly Trial[]) => feasible(trials.slice(model.trials))

export const fitPoints = (model: ToldModel, trials: readonly Trial[], encoding: Encoding): Point[] =>
  fitTrials(model, trials).map(({ u }) => pointAt(encoding, u, model.next))

/** Later trials whose answers are missing, then the candidates. */
export const screenPoints = (model: ToldModel, trials: readonly Trial[], encoding: Encoding): Point[] =>
  [
    ...laterTrials(model, trials)
      .slice(model.known.length)
      .map(({ u }) => u),
    ...model.candidates,
  ].map((u) => pointAt(encoding, u, model.w))

/** Takes the answer to the last query: an iteration of the fit, or a screening. */
export function hear(
  model: ToldModel,
  trials: readonly Trial[],
  problem: Problem,
  { quantities = [] }: Observation,
): void {
  const answers = quantities.map(
    ({ prediction, gradient }): Answer => ({
      prediction: prediction[0],
      gradient: Float64Array.from(gradient),
    }),
  )
  if (model.fitted) {
    const missing = answers.length - model.candidates.length
    model.known.push(...answers.slice(0, missing))
    model.offers = answers.slice(missing)
    return
  }
  const values = fitTrials(model, trials).map(({ value }) => signOf(problem) * value)
  const residuals = Float64Array.from(answers, ({ prediction }, i) => prediction - values[i])
  const loss = dot(residuals, residuals)
  const before = model.loss
  model.iterations++
  const better = loss < before
  if (better) {
    model.w = model.next
    model.loss = loss
    model.variance = loss / residuals.length
    model.damping = Math.max(model.damping / 5, 1e-9)
    model.step = normalEquations(answers, residuals)
  } else model.damping *= 4
  const stalled = better
    ? before < Number.POSITIVE_INFINITY && before - loss <= PROGRESS * before
    : model.damping > MAX_DAMPING
  if (stalled || model.iterations >= MAX_ITERATIONS || !model.step) {
    model.fitted = true
    model.step = null
    return
  }
  const p = model.w.length
  const damped = model.step.matrix.slice()
  for (let i = 0; i < p; i++) damped[i * (p + 1)] += model.damping
  const move = solveSymmetric(damped, p, model.step.slope)
  model.next = model.w.map((v, i) => v - move[i])
}

/** J'J and J'r at the best parameters. */
function normalEquations(answers: readonly Answer[], residuals: Float64Array) {
  const p = answers[0].gradient.length
  const matrix = new Float64Array(p * p)
  const slope = new Float64Array(p)
  answers.forEach(({ gradient: g }, k) => {
    for (let i = 0; i < p; i++) {
      slope[i] += g[i] * residuals[k]
      for (let j = 0; j < p; j++) matrix[i * p + j] += g[i] * g[j]
    }
  })
  return { matrix, slope }
}

/** The best that the linearized model can be at each candidate, with the sign that makes it to be maximized. */
export function toldHeights(
  model: ToldModel,
  trials: readonly Trial[],
  problem: Problem,
  lambda: number,
  beta: number,
  sign: 1 | -1,
) {
  const later = laterTrials(model, trials).slice(0, model.known.length)
  const ellipsoid = ellipsoidOf(
    model.w,
    lambda,
    model.known.map(({ gradient }) => gradient),
    model.known.map(({ prediction }) => prediction),
    later.map(({ value }) => signOf(problem) * value),
  )
  const shift = ellipsoid.center.map((v, i) => v - model.w[i])
  const predictions = (model.offers ?? []).map(({ prediction, gradient }) => prediction + dot(gradient, shift))
  const heights = predictions.map(
    (value, i) => sign * value + Math.sqrt(beta) * widthIn(ellipsoid, (model.offers as Answer[])[i].gradient),
  )
  return { ellipsoid, heights, predictions }
}
