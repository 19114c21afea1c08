/**
 * Figures of the steps of a gradient session, with `diagnostics` in its config. Most are `report` lines of the program of a
 * step, so that they are reductions in the passes that it makes anyway; the rest is arithmetic on a few norms.
 *
 * The noise scale and the signal-to-noise ratio are those of McCandlish, Kaplan, Amodei, "An Empirical Model of Large-Batch
 * Training", 2018, appendix A.1, with one gradient as the small batch and the K gradients of a step as the large one.
 */
import type { Tensors } from '../core/tensor.js'
import type { Piece } from './compose.js'
import { dot } from './flat.js'

/** Names of the figures among the metrics of a session; each is there once it is defined. */
export const FIGURES = [
  'gradientNorm',
  'updateRatio',
  'gradientCosine',
  'nonFinite',
  'noiseScale',
  'signalToNoise',
  'rayleigh',
  'sharpness',
] as const

/** Plain tree: it is part of the state. */
export type Diagnostics = {
  /** Gradients told for the next step, the sum of their squared norms, and the sum of their shares in its gradient. */
  parts: { count: number; square: number; share: number }
  /** Averages of the estimates of the trace of the noise covariance of one gradient, and of the squared norm of its mean. */
  noise: number
  signal: number
  /** The largest |Hv|/|v| of products that were told for the next step. */
  stretch: number
  /** Figures that are not reported by the program of the last step. */
  figures: { [name: string]: number }
}

const NO_PARTS: Diagnostics['parts'] = { count: 0, square: 0, share: 0 }

export const noDiagnostics = (): Diagnostics => ({
  parts: { ...NO_PARTS },
  noise: 0,
  signal: 0,
  stretch: 0,
  figures: {},
})

/** Decay of the averages: a hundred steps. Both begin at 0, which cancels in their ratio. */
const DECAY = 0.99

/** Names of the pieces below, reserved in all programs of a session. */
export const DIAGNOSTIC_NAMES = ['xBefore', 'gradientLength', 'lastGradient', 'lastLength']

/** Ahead of all that rewrites the gradient or x. */
export const TOLD: Piece = {
  text: [
    'xBefore = x',
    'gradientLength = norm(g, all)',
    'report gradientNorm = gradientLength',
    'report gradientCosine = dot(g, lastGradient, all)/(gradientLength*lastLength)',
    'lastGradient = g',
    'lastLength = gradientLength',
  ].join('\n'),
  slots: { lastGradient: { kind: 'tensor' }, lastLength: { kind: 'global' } },
  verbatim: true,
}

/** Behind all that moves x. */
export const MOVED: Piece = {
  text: 'report updateRatio = norm(x - xBefore, all)/norm(xBefore, all)',
  verbatim: true,
}

type Figures = { readonly [name: string]: number }

/** What a program reported of a step to x, without ratios to nothing: the cosine of a first step, the update ratio from zero. */
export function defined(reports: Figures, x: Tensors): Figures {
  const kept = Object.entries(reports).filter(
    ([name, value]) => Number.isFinite(value) || !['gradientCosine', 'updateRatio'].includes(name),
  )
  // The ratio is finite only where all of x is.
  const nonFinite = Number.isFinite(reports.updateRatio) ? 0 : countNonFinite(x)
  return { ...Object.fromEntries(kept), nonFinite }
}

function countNonFinite(x: Tensors): number {
  let count = 0
  for (const array of Object.values(x)) for (const value of array) if (!Number.isFinite(value)) count++
  return count
}

/**
 * Takes K gradients of batches of one size in. The noise scale that it keeps is in batches of that size.
 *
 * @param count K; with less than 2 nothing changes
 * @param square the mean of their squared norms
 * @param meanSquare the squared norm of their mean
 */
export function takeNoise(to: Diagnostics, count: number, square: number, meanSquare: number): void {
  // Each is unbiased, their ratio is not: they are averaged before it is taken.
  const signal = (count * meanSquare - square) / (count - 1)
  const noise = (square - meanSquare) / (1 - 1 / count)
  if (count < 2 || !Number.isFinite(signal + noise)) return
  to.signal = DECAY * to.signal + (1 - DECAY) * signal
  to.noise = DECAY * to.noise + (1 - DECAY) * noise
  delete to.figures.noiseScale
  delete to.figures.signalToNoise
  if (to.signal > 0) to.figures.noiseScale = to.noise / to.signal
  if (to.noise > 0) to.figures.signalToNoise = (count * Math.max(to.signal, 0)) / to.noise
}

/** Remembers a gradient of which the next step takes this share, from the square of its norm. */
export function takePart({ parts }: Diagnostics, square: number, share: number): void {
  parts.count++
  parts.square += square
  parts.share += share
}

/** Takes the parts of a step in, whose sum by their shares has this norm. */
export function takeStep(to: Diagnostics, norm: number): void {
  const { count, square, share } = to.parts
  takeNoise(to, count, square / count, (norm / share) ** 2)
  to.parts = { ...NO_PARTS }
  to.stretch = 0
}

/**
 * Takes the product of a curvature matrix H with a direction v in: the Rayleigh quotient v'Hv/v'v, and as the sharpness |Hv|/|v|,
 * the root of the quotient of H^2, which is at most the spectral norm of H (Golub, Van Loan, "Matrix Computations", section
 * 8.2). Of the products of a step those stay whose direction is stretched most.
 */
export function takeCurvature(to: Diagnostics, direction: Tensors, product: Tensors): void {
  let [vv, vh, hh] = [0, 0, 0]
  for (const [name, v] of Object.entries(direction)) {
    vv += dot(v, v)
    vh += dot(v, product[name])
    hh += dot(product[name], product[name])
  }
  const stretch = Math.sqrt(hh / vv)
  if (!(stretch >= to.stretch)) return
  to.stretch = stretch
  to.figures.rayleigh = vh / vv
  to.figures.sharpness = stretch
}
