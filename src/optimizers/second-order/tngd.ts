/**
 * Natural gradient steps whose linear solve is left to a thermodynamic device, simulated here: K. Donatella, S. Duffield,
 * M. Aifer, D. Melanson, G. Crooks, P. Coles, "Thermodynamic Natural Gradient Descent", 2024 (arXiv:2405.13817).
 *
 * The device follows du = -(A u - b) dt + N(0, 2/beta dt) with A = F + damping*I and b the gradient, for a time t. Long times
 * give the natural gradient; short ones t*b, which is gradient descent.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import {
  beginLanczos,
  extendLanczos,
  type Lanczos,
  ritzValues,
  spectrum as spectrumBy,
} from '../diagnostics/lanczos.js'
import { type Flat, norm, plus, spaceOf, sphere } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { curvatureField, matrixOfAnswer, matrixTurn, productsOf, productsTurn, signOf } from './curvature.js'
import { applied, drift, meanOfSquares, positive, relax, type Setting } from './device.js'
import { least, radius } from './spectrum.js'

const config = z.strictObject({
  learningRate: real('Step size along the state of the device.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'section 4',
  }),
  time: field(
    z.number().positive().optional(),
    'How long the device runs per step. Without it, 10 over the least eigenvalue of A: until it has settled.',
    { source: 'section 4.1' },
  ),
  delay: real('Time that the device goes on with the last A and b, while the new ones are computed.', {
    default: 0,
    min: 0,
    source: 'section 4.2',
  }),
  damping: real('Added to the diagonal of the curvature.', { default: 1e-3, min: 0, source: 'section 4', log: true }),
  inverseTemperature: field(z.number().positive().optional(), 'beta of the device; without it, no noise.', {
    source: 'section 4',
  }),
  momentum: real('Decay of the mean of directions.', { default: 0, min: 0, below: 1, source: 'ours' }),
  warmStart: field(z.boolean().default(false), 'The device begins where it ended, and not at 0.', {
    source: 'section 4.1',
  }),
  curvature: curvatureField('fisher'),
  source: field(
    z.enum(['matrix', 'axes', 'rows', 'products']).default('axes'),
    'How the curvature is known: as a matrix; by its products with all axes; by rows whose outer products have it as their ' +
      'mean, such as per-example gradients of the outputs; or by one product per time step of the device.',
    { source: 'section 4' },
  ),
  curvatureEvery: field(z.int().min(1).default(10), 'Steps from one curvature to the next.', { source: 'ours' }),
  timeStep: field(
    z.number().positive().optional(),
    'Time step of a simulation by Euler and Maruyama. Without it the simulation is exact, but for products: half of the ' +
      'inverse of the largest eigenvalue.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

/** Time steps of this length with one setting. */
type Stretch = { old: boolean; steps: number; length: number }

type State = {
  x: Float64Array
  /** The device. */
  u: Float64Array
  m: Float64Array
  phase: 'gradient' | 'curvature' | 'largest' | 'device'
  setting: Setting
  /** That of the step before. */
  old: Setting | null
  /** The search for the largest eigenvalue, and what it found. */
  lanczos: Lanczos | null
  largest: number
  /** What the device has still to run, by told products. */
  plan: Stretch[]
  residual: number
  deviceTime: number
  rng: RngState
  t: number
}

/** Parameters up to which a spectrum is computed. */
const LARGEST = 2000
/** Products in the search for the largest eigenvalue, and how far it may lie above what they find. */
const SEARCH = 12
const MARGIN = 1.1

function ask({ config }: Run<Config>, { dimension }: Flat, state: State): Turn {
  const { source, curvature } = config
  const { x, t, phase, lanczos, setting, old, plan, u } = state
  const about = { purpose: phase, sampleKey: `s${t}` }
  if (phase === 'gradient') return { points: [x], wants: [{ kind: 'gradient' }], ...about }
  if (phase === 'largest') return { ...productsTurn(x, [lanczos!.basis.at(-1)!], curvature), ...about }
  if (phase === 'device') {
    const now = plan[0]?.old ? old! : setting
    return { ...productsTurn(now.x, [u], curvature), ...about, sampleKey: `s${now.sample}` }
  }
  if (source !== 'rows') return { ...matrixTurn(x, source === 'matrix' ? 'matrix' : 'axes', curvature), ...about }
  const description = `vectors, one a row, whose outer products have the ${curvature} matrix as their mean`
  const quantities = [{ name: 'rows', shape: [-1, dimension], description }]
  return { points: [x], wants: [{ kind: 'quantities', quantities }], ...about }
}

const timeOf = ({ time, damping }: Config, { spectrum }: Setting) =>
  time ?? 10 / ((spectrum ? least(spectrum) : 0) + damping)
const temperatureOf = ({ inverseTemperature }: Config) => (inverseTemperature ? 1 / inverseTemperature : 0)

/** Time steps for a time, none longer than the one that is set or stable. */
function stepsOf({ timeStep, damping }: Config, largest: number, time: number, old: boolean): Stretch {
  const steps = Math.ceil(time / (timeStep ?? 0.5 / (largest + damping)))
  return { old, steps, length: time / steps }
}

/** Runs the device with a setting that is kept here. */
function simulate(config: Config, state: State, setting: Setting, time: number) {
  const rng = new Rng(state.rng)
  const temperature = temperatureOf(config)
  if (setting.spectrum && config.timeStep === undefined) {
    state.u = relax(setting.spectrum, config.damping, state.u, setting.b, time, temperature, rng)
    return
  }
  const { steps, length } = stepsOf(config, state.largest, time, false)
  for (let k = 0; k < steps; k++)
    drift(state.u, applied(setting, config.damping, state.u), setting.b, length, temperature, rng)
}

/** All is known: runs the device, or plans the products that it takes. */
function start(config: Config, state: State) {
  const { delay, warmStart, source } = config
  const { setting } = state
  const before = delay > 0 ? state.old : null
  const time = timeOf(config, setting)
  state.u = warmStart ? state.u.slice() : new Float64Array(state.x.length)
  state.deviceTime += (before ? delay : 0) + time
  if (source === 'products') {
    state.plan = [
      ...(before ? [stepsOf(config, state.largest, delay, true)] : []),
      stepsOf(config, state.largest, time, false),
    ]
    state.phase = 'device'
    return
  }
  if (before) simulate(config, state, before, delay)
  simulate(config, state, setting, time)
  finish(config, state, applied(setting, config.damping, state.u))
}

/** A told product moves the device by one time step; that behind the last is for the residual. */
function driven(config: Config, state: State, product: Float64Array) {
  const Au = plus(product, config.damping, state.u)
  const [run] = state.plan
  if (!run) return finish(config, state, Au)
  const { b } = run.old ? state.old! : state.setting
  state.u = state.u.slice()
  drift(state.u, Au, b, run.length, temperatureOf(config), new Rng(state.rng))
  if (--run.steps === 0) state.plan.shift()
}

/** The step along the device, which has run. */
function finish({ learningRate, momentum }: Config, state: State, Au: Float64Array) {
  const { u, setting } = state
  state.m = state.m.map((m, i) => momentum * m + (1 - momentum) * u[i])
  state.x = plus(state.x, -learningRate, state.m)
  const size = norm(setting.b)
  state.residual = size > 0 ? norm(plus(Au, -1, setting.b)) / size : 0
  state.old = setting
  state.phase = 'gradient'
  state.t++
}

function learn({ config, problem }: Run<Config>, flat: Flat, state: State, told: Observation) {
  const { curvature, source, curvatureEvery } = config
  const { dimension } = flat
  const { setting, rng } = state
  if (state.phase === 'gradient') {
    const sign = signOf(problem)
    const b = flat.vector(told.gradients![0]).map((g) => sign * g)
    const products = source === 'products'
    state.setting = { ...setting, b, x: products ? state.x : setting.x, sample: state.t }
    if (state.t % curvatureEvery !== 0) return start(config, state)
    state.phase = products ? 'largest' : 'curvature'
    if (products) state.lanczos = beginLanczos(sphere(new Rng(rng), dimension))
    return
  }
  if (state.phase === 'device') return driven(config, state, productsOf(told, curvature, flat, problem)[0])
  if (state.phase === 'largest') {
    const lanczos = state.lanczos!
    const more = extendLanczos(lanczos, productsOf(told, curvature, flat, problem)[0])
    if (more && lanczos.diagonal.length < SEARCH) return
    state.largest = MARGIN * Math.max(...ritzValues(lanczos))
    state.lanczos = null
    return start(config, state)
  }
  const rows = source === 'rows' ? Float64Array.from(told.quantities![0].rows) : null
  const kept = rows !== null && dimension > LARGEST ? rows : null
  const matrix = kept ? null : rows ? meanOfSquares(rows, dimension) : matrixOfAnswer(told, curvature, flat, problem)
  const spectrum = matrix && positive(matrix, dimension)
  state.setting = { ...setting, spectrum, rows: kept }
  const product = (v: Float64Array) => applied(state.setting, 0, v)
  state.largest = spectrum ? radius(spectrum) : MARGIN * spectrumBy(product, dimension, new Rng(rng), SEARCH)[0]
  start(config, state)
}

export const method = turnsMethod<Config, State>({
  id: 'tngd',
  family: 'gradient',
  title: 'Thermodynamic natural gradient descent',
  summary:
    'Natural gradient steps by a simulated thermodynamic device that settles at the solution; from gradient descent to the ' +
    'natural gradient, by the time that it is given.',
  references: [
    {
      authors: 'K. Donatella, S. Duffield, M. Aifer, D. Melanson, G. Crooks, P. J. Coles',
      title: 'Thermodynamic Natural Gradient Descent',
      year: 2024,
      url: 'https://arxiv.org/abs/2405.13817',
    },
  ],
  config,
  heavy: true,
  recipes: [
    { problem: 'quadratic', maxEvaluations: 30, target: 1e-6 },
    {
      problem: 'quadratic',
      config: { source: 'matrix', curvature: 'hessian', time: 0.5 },
      maxEvaluations: 60,
      target: 1e-4,
    },
    {
      problem: 'quadratic',
      config: { source: 'products', time: 2, curvatureEvery: 100, warmStart: true },
      maxEvaluations: 1000,
      target: 1e-4,
    },
  ],
  equations: () => [
    String.raw`A = F + \lambda I,\quad \mathrm{d}u = -(A u - g)\, \mathrm{d}t + \mathcal{N}(0, \tfrac{2}{\beta} \mathrm{d}t)`,
    String.raw`x \leftarrow x - \eta\, u(t)`,
  ],
  needs: ({ source }) => ['gradient', source === 'matrix' || source === 'rows' ? 'quantities' : 'hvp'],
  check({ source, time, damping }, problem) {
    const issues = checkUnbounded('tngd', problem)
    const size = totalElements(spaceOf(problem).tensors)
    if ((source === 'matrix' || source === 'axes') && size > LARGEST)
      issues.push({ path: 'config.source', message: `${source} takes at most ${LARGEST} parameters, got ${size}` })
    if (time === undefined && damping === 0)
      issues.push({ path: 'config.time', message: 'without damping the device may never settle; expected a time' })
    return issues
  },
  init(_, flat, seed) {
    const x = flat.start()
    const zero = new Float64Array(flat.dimension)
    return {
      x,
      u: zero,
      m: zero,
      phase: 'gradient',
      setting: { x, sample: 0, b: zero, spectrum: null, rows: null },
      old: null,
      lanczos: null,
      largest: 0,
      plan: [],
      residual: 0,
      deviceTime: 0,
      rng: rngStream(seed, 'device'),
      t: 0,
    }
  },
  ask,
  learn,
  estimate: (_, { x, u, t, residual, deviceTime, largest }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { deviceNorm: norm(u), residual, deviceTime, largestEigenvalue: largest },
  }),
})
