/**
 * Figures of the steps of all gradient sessions with `diagnostics`, by method. No label names a session: there is no bound on
 * how many there are, and an estimate or a watch has those of one (docs/decisions/0014-diagnostics.md).
 */
import { Counter, Histogram, type Registry } from 'prom-client'
import { AsktellError } from '../core/errors.js'
import { allFinite } from '../core/finite.js'
import type { Observation } from '../core/query.js'

/** Powers of ten, of two exponents and all between them. */
const decades = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => Number(`1e${from + i}`))

/** Name, help and buckets by figure. */
const HISTOGRAMS: { readonly [figure: string]: readonly [string, string, number[]] } = {
  gradientNorm: ['gradient_norm', 'Norm of the gradient of a step.', decades(-6, 6)],
  updateRatio: ['update_ratio', 'Length of a step over the norm of the parameters.', decades(-8, 1)],
  gradientCosine: [
    'gradient_cosine',
    'Cosine of the gradient to that of the step before.',
    [-0.9, -0.5, 0, 0.5, 0.9, 1],
  ],
  noiseScale: ['noise_scale', 'Simple noise scale, in batches of one gradient.', decades(-2, 5)],
  signalToNoise: ['signal_to_noise', 'Squared norm of the mean gradient over its variance in a step.', decades(-3, 4)],
  sharpness: ['sharpness', 'Length of the product of a unit vector with the curvature matrix.', decades(-4, 6)],
}

/** Sessions whose last step is remembered. */
const MAX_SESSIONS = 10_000

type Figures = Readonly<Record<string, number>>

export class StepMetrics {
  private readonly histograms: { readonly figure: string; readonly of: Histogram }[]
  private readonly notFinite: Counter
  private readonly tells: Counter
  /** The method of a session and its last step that was counted: a step may take several tells. */
  private readonly seen = new Map<string, { method: string; step: number }>()

  constructor(registry: Registry) {
    const registers = [registry]
    this.histograms = Object.entries(HISTOGRAMS).map(([figure, [name, help, buckets]]) => ({
      figure,
      of: new Histogram({ name: `asktell_step_${name}`, help, labelNames: ['method'], buckets, registers }),
    }))
    this.notFinite = new Counter({
      name: 'asktell_step_not_finite_total',
      help: 'Steps after which parameters are not finite.',
      labelNames: ['method'],
      registers,
    })
    this.tells = new Counter({
      name: 'asktell_tells_not_finite_total',
      help: 'Observations with a number that is not finite: gradients and products are refused, values are taken as failed.',
      labelNames: ['kind'],
      registers,
    })
  }

  /** Counts a step once, from the metrics that a tell was answered with. */
  async step(id: string, figures: Figures, methodOf: () => Promise<string>): Promise<void> {
    const { steps, nonFinite } = figures
    const seen = this.seen.get(id) ?? this.remember(id, await methodOf())
    if (seen.step === steps) return
    seen.step = steps
    const { method } = seen
    for (const { figure, of } of this.histograms)
      if (figures[figure] !== undefined) of.observe({ method }, figures[figure])
    if (nonFinite > 0) this.notFinite.inc({ method })
  }

  private remember(id: string, method: string) {
    if (this.seen.size >= MAX_SESSIONS) this.seen.delete(this.seen.keys().next().value as string)
    const seen = { method, step: 0 }
    this.seen.set(id, seen)
    return seen
  }

  /** The session is gone; its id may come back. */
  forget(id: string): void {
    this.seen.delete(id)
  }

  taken(observations: readonly Observation[]): void {
    for (const { values = [] } of observations)
      if (values.some((row) => !row.every(Number.isFinite))) this.tells.inc({ kind: 'value' })
  }

  refused(error: unknown, observations: readonly Observation[]): void {
    if (!(error instanceof AsktellError) || error.reason !== 'OBSERVATION_INVALID') return
    for (const { gradients = [], products = [] } of observations)
      for (const [kind, told] of [
        ['gradient', gradients],
        ['product', products],
      ] as const)
        if (told.some((tensors) => !Object.values(tensors).every(allFinite))) this.tells.inc({ kind })
  }
}
