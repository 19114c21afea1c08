/**
 * Heavy ball whose learning rate and momentum come from the curvature of a batch: Granziol, Zohren, Roberts, "Learning Rates
 * as a Function of Batch Size ...", 2020. The rates are those of Polyak, "Some methods of speeding up the
 * convergence of iteration methods", 1964, for the largest and the smallest positive Ritz value; products with the
 * Hessian are differences of two gradients of the batch.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { beginLanczos, extendLanczos, type Lanczos, ritzValues } from '../diagnostics/lanczos.js'
import { accumulate, type Flat, norm, plus, sphere } from '../flat.js'
import { real } from '../parts.js'
import { turnsMethod } from '../turns.js'

const config = z.strictObject({
  products: field(z.int().min(1).default(20), 'Products with the Hessian per refresh, m: a gradient each.', {
    source: 'ours',
  }),
  every: field(z.int().min(1).default(100), 'Steps from one refresh to the next: those of an epoch.', {
    source: 'ours',
  }),
  difference: real('Length of the difference of two gradients, relative to the norm of x and at least to 1.', {
    default: 1e-3,
    above: 0,
    source: 'ours',
  }),
  factor: real('Times the learning rate.', { default: 1, min: 0, mutable: true, source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** The last step. */
  v: Float64Array
  /** The gradient of the step under way, while products of its batch are asked. */
  gradient: Float64Array | null
  lanczos: Lanczos | null
  rng: RngState
  learningRate: number
  momentum: number
  sharpness: number
  t: number
}

/** Ritz values below this share of the largest are rounding. */
const ROUNDING = 1e-6

/** Polyak's rates for eigenvalues between the smallest positive and the largest; undefined where none is positive. */
export function heavyBallRates(values: readonly number[]): { learningRate: number; momentum: number } | undefined {
  const top = Math.max(...values)
  if (!(top > 0)) return undefined
  const [high, low] = [top, Math.min(...values.filter((value) => value > ROUNDING * top))].map(Math.sqrt)
  return { learningRate: (2 / (high + low)) ** 2, momentum: ((high - low) / (high + low)) ** 2 }
}

const reach = ({ config }: Run<Config>, x: Float64Array) => config.difference * Math.max(1, norm(x))

function descend({ config }: Run<Config>, flat: Flat, own: State, gradient: Float64Array) {
  own.v = own.v.map((v, i) => own.momentum * v - config.factor * own.learningRate * gradient[i])
  accumulate(own.x, 1, own.v)
  flat.clamp(own.x)
  own.gradient = null
  own.t++
}

function learn(run: Run<Config>, flat: Flat, own: State, { gradients }: Observation) {
  const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
  const told = flat.vector(gradients![0]).map((value) => sign * value)
  if (!own.gradient || !own.lanczos) {
    if (own.t % run.config.every !== 0) return descend(run, flat, own, told)
    own.gradient = told
    own.lanczos = beginLanczos(sphere(new Rng(own.rng), flat.dimension))
    return
  }
  const h = reach(run, own.x)
  const { gradient, lanczos } = own
  const more = extendLanczos(
    lanczos,
    told.map((value, i) => (value - gradient[i]) / h),
  )
  if (more && lanczos.diagonal.length < run.config.products) return
  const values = ritzValues(lanczos)
  own.sharpness = values[0]
  Object.assign(own, heavyBallRates(values))
  own.lanczos = null
  descend(run, flat, own, gradient)
}

export const method = turnsMethod<Config, State>({
  id: 'lanczos-lr',
  family: 'gradient',
  title: 'Heavy ball at the rates of the spectrum',
  summary: 'Measures the curvature of a batch by Lanczos steps, and sets learning rate and momentum by its extremes.',
  references: [
    {
      authors: 'D. Granziol, S. Zohren, S. Roberts',
      title: 'Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural Network Training',
      year: 2020,
      url: 'https://arxiv.org/abs/2006.09092',
    },
  ],
  config,
  recipes: [{ problem: 'quadratic', config: { every: 1000 }, maxEvaluations: 300, target: 1e-4 }],
  equations: () => [
    String.raw`\eta = \left(\frac{2}{\sqrt{\lambda_1} + \sqrt{\lambda_m}}\right)^2,\quad \mu = \left(\frac{\sqrt{\lambda_1} - \sqrt{\lambda_m}}{\sqrt{\lambda_1} + \sqrt{\lambda_m}}\right)^2`,
    String.raw`v \leftarrow \mu v - \eta g,\quad x \leftarrow x + v`,
  ],
  invariances: [],
  needs: () => ['gradient'],
  init: (_, flat, seed) => ({
    x: flat.start(),
    v: new Float64Array(flat.dimension),
    gradient: null,
    lanczos: null,
    rng: rngStream(seed, 'lanczos'),
    learningRate: 0,
    momentum: 0,
    sharpness: 0,
    t: 0,
  }),
  ask: (run, _, { x, gradient, lanczos, t }) => ({
    points: [gradient && lanczos ? plus(x, reach(run, x), lanczos.basis[lanczos.basis.length - 1]) : x],
    wants: [{ kind: 'gradient' }],
    purpose: gradient ? 'curvature' : 'step',
    sampleKey: `s${t}`,
  }),
  learn,
  estimate: (_, { x, learningRate, momentum, sharpness, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { learningRate, momentum, sharpness },
  }),
})
