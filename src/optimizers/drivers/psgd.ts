/**
 * Gradients behind a preconditioner that is fitted to the curvature as the session goes: X.-L. Li, "Preconditioned Stochastic
 * Gradient Descent", 2018; O. Pooladzandi, X.-L. Li, "Curvature-Informed SGD via General Purpose Lie-Group
 * Preconditioners", 2024 (arXiv:2402.04553); the ways to fit it: preconditioners/fitting.ts.
 */
import { z } from 'zod'
import { CURVATURES } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { elements, type Tensors } from '../../core/tensor.js'
import { dot, flatOfSpace, gaussian, norm, plus, spaceOf } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Fit, type Layout, scaleOf } from '../preconditioners/fitting.js'
import { FITTINGS, fittings } from '../preconditioners/index.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  group: field(
    z.enum(FITTINGS).default('kron'),
    'Where the preconditioner is sought. Of n parameters, gl, triangular, spd, closed-form, bfgs and euclidean keep n^2 ' +
      'numbers; diagonal n, xmat (diagonal and anti-diagonal) 2n, low-rank (2*rank + 1)*n; kron two triangles per tensor.',
    { source: 'lixilinx/psgd_torch' },
  ),
  pairs: field(
    z.enum(['hvp', 'difference', 'whitening']).default('hvp'),
    'What it is fitted to: Hessian-vector products; differences of two gradients on a sample; or gradients alone, which ' +
      "gives (E gg')^-1/2.",
    { source: 'Pooladzandi, Li 2024, section 3' },
  ),
  curvature: field(z.enum(CURVATURES).default('hessian'), 'The matrix of the products.', { source: 'ours' }),
  rate: real('Step size of the fit: at most 1 where pairs are exact, less where they are noisy.', {
    default: 0.1,
    above: 0,
    max: 1,
    source: 'lixilinx/psgd_torch',
  }),
  rank: field(z.int().min(1).default(10), 'Columns of the low-rank part.', { source: 'lixilinx/psgd_torch' }),
  maxSide: field(
    z.int().min(0).default(1024),
    'Longer sides of a tensor have a diagonal in place of a triangle in kron.',
    {
      source: 'ours',
    },
  ),
  probability: real('Of a fit at a step; the first step always has one.', {
    default: 1,
    above: 0,
    max: 1,
    source: 'lixilinx/psgd_torch',
  }),
  scale: field(
    z.number().positive().optional(),
    "Start scale*I of the factor Q of P = Q'Q. Without it, the scale of the first pair.",
    { source: 'lixilinx/psgd_torch' },
  ),
  clip: field(z.number().positive().optional(), 'Greatest norm of a preconditioned gradient.', {
    source: 'lixilinx/psgd_torch',
  }),
  difference: real('Length of the difference, relative to the norm of x and at least to 1.', {
    default: 1e-3,
    above: 0,
    source: 'ours',
  }),
  diagnose: field(
    z.boolean().default(false),
    "Reports for each pair, ahead of the fit to it, the criterion h'Ph + v'P^-1 v and the error |Ph - v|/|v|, which is 0 " +
      'for the inverse of a positive Hessian.',
    { source: 'ours' },
  ),
}
type Config = PartConfig<typeof fields>

/** Numbers of a preconditioner: 512 MiB of them. */
const LARGEST = 2 ** 26
/** Share of the mean size of a gradient that keeps whitening from dividing by zero. */
const FLOOR = 2 ** -13

const layoutOf = ({ rank, maxSide }: Config, { tensors }: Drive['space']): Layout => ({
  dimension: tensors.reduce((sum, { shape }) => sum + elements(shape), 0),
  sides: tensors.map(({ shape: [rows = 1, ...rest] }) => [rows, elements(rest)]),
  rank,
  maxSide,
})

/** Takes a pair. The fit is made at the first one. */
function learn(config: Config, { space, state, rng }: Drive, v: Float64Array, h: Float64Array) {
  const { group, rate, scale = scaleOf(v, h), diagnose } = config
  const layout = layoutOf(config, space)
  const fitting = fittings[group]
  state.arrays ??= fitting.begin(layout, scale, rng)
  const fit: Fit = state.arrays
  if (diagnose) {
    const Ph = fitting.apply(fit, layout, h)
    const criterion = dot(h, Ph) + dot(v, fitting.invert(fit, layout, v))
    state.reports = { criterion, fittingError: norm(plus(Ph, -1, v)) / norm(v) }
  }
  fitting.learn(fit, layout, { v, h }, rate, rng)
}

/** A step of the rule along the preconditioned gradient. */
function finish(config: Config, drive: Drive): Ask {
  const { space, state } = drive
  const flat = flatOfSpace(space)
  const direction = fittings[config.group].apply(
    state.arrays!,
    layoutOf(config, space),
    flat.vector(state.points.gradient),
  )
  const shrink = Math.min(1, (config.clip ?? Infinity) / norm(direction))
  drive.copy(flat.tensors(direction.map((value) => shrink * value)), 'preconditioned')
  drive.update(state.points.preconditioned)
  return begin(drive)
}
function begin({ state }: Drive): Ask {
  state.phase = 'step'
  return { point: 'x', purpose: 'step' }
}

function step(config: Config, drive: Drive, gradient: Tensors): Ask {
  const { space, state, rng } = drive
  const flat = flatOfSpace(space)
  drive.copy(gradient, 'gradient')
  const skip = config.probability < 1 && rng.uniform() >= config.probability
  if (skip && state.arrays) return finish(config, drive)
  drive.copy(flat.tensors(gaussian(rng, flat.dimension)), 'probe')
  const v = flat.vector(state.points.probe)
  if (config.pairs === 'whitening') {
    const g = flat.vector(state.points.gradient)
    const mean = g.reduce((sum, value) => sum + Math.abs(value), 0) / g.length
    learn(config, drive, v, plus(g, FLOOR * mean, v))
    return finish(config, drive)
  }
  state.phase = 'curvature'
  if (config.pairs === 'hvp')
    return {
      point: 'x',
      others: ['probe'],
      wants: [{ kind: 'hvp', curvature: config.curvature }],
      purpose: 'curvature',
    }
  const x = flat.vector(drive.x)
  const length = config.difference * Math.max(1, norm(x))
  drive.copy(flat.tensors(flat.clamp(plus(x, length / norm(v), v))), 'ahead')
  return { point: 'ahead', purpose: 'curvature', aside: true }
}

/** The pair of which the second half was told. */
function pairOf(config: Config, { space, x, state }: Drive, told: Tensors): readonly [Float64Array, Float64Array] {
  const flat = flatOfSpace(space)
  const { probe, ahead, gradient } = state.points
  if (config.pairs === 'hvp') return [flat.vector(probe), flat.vector(told)]
  // The point asked is a rounded one: v is what was really walked, to the length of the probe.
  const walked = plus(flat.vector(ahead), -1, flat.vector(x))
  const scale = norm(flat.vector(probe)) / norm(walked)
  const turned = plus(flat.vector(told), -1, flat.vector(gradient))
  return [walked.map((value) => scale * value), turned.map((value) => scale * value)]
}

export const psgd = defineDriver({
  id: 'psgd',
  summary:
    'The gradient times a preconditioner near |H|^-1, which is fitted to one product with the Hessian per step, to a second ' +
    'gradient, or to the gradients themselves.',
  fields,
  wants: ({ pairs }) => (pairs === 'hvp' ? ['gradient', 'hvp'] : ['gradient']),
  points: ({ pairs }) => ['gradient', 'probe', 'preconditioned', ...(pairs === 'difference' ? ['ahead'] : [])],
  equations: ({ group, pairs }: Config) => [
    pairs === 'whitening'
      ? String.raw`v \sim \mathcal{N}(0, I),\quad h = g + 2^{-13}\, \overline{|g|}\, v`
      : String.raw`v \sim \mathcal{N}(0, I),\quad h = H v`,
    ...fittings[group].equations,
    String.raw`g \leftarrow P g`,
  ],
  begin: (_, drive) => begin(drive),
  advance(config: Config, drive, gradient, { products }) {
    if (drive.state.phase === 'step') return step(config, drive, gradient)
    const [v, h] = pairOf(config, drive, config.pairs === 'hvp' ? products[0] : gradient)
    learn(config, drive, v, h)
    return finish(config, drive)
  },
  check(config: Config, problem) {
    const size = fittings[config.group].size(layoutOf(config, spaceOf(problem)))
    const issues = []
    if (size > LARGEST)
      issues.push({
        field: 'group',
        message: `${config.group} would keep ${size} numbers; at most ${LARGEST} are kept`,
      })
    if (config.group === 'low-rank' && config.rate === 1)
      issues.push({ field: 'rate', message: 'low-rank may become singular at 1; expected less' })
    return issues
  },
})
