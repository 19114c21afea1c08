/** The options of gp-bo: its schema, what they mean for a point of the space, and what cannot go together. */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'
import { contains, type Problem } from '../../core/space.js'
import { MAX_DIMENSION } from '../sampling/sobol.js'
import { type Axis, encodingOf } from '../space/encoding.js'
import { KERNELS } from './covariance.js'
import { LENGTH_PRIORS } from './lengths.js'
import { OUTCOME_TRANSFORMS } from './outcome.js'
import type { Design } from './worth.js'

const value = z.union([z.string(), z.number(), z.boolean()])
export const config = z.strictObject({
  acquisition: field(
    z.enum(['ei', 'noisy-ei', 'kg', 'es', 'mes', 'ucb', 'pi']).optional(),
    'ei: expected improvement. noisy-ei: of the posterior mean. kg: knowledge gradient. es: entropy search. mes: max-value entropy search. ucb: confidence bound. pi: probability of improvement. When absent ei, or kg where a fidelity, an environment or a task is given.',
    { source: 'Frazier 2018, section 4; Wang and Jegelka 2017 for mes' },
  ),
  kernel: field(z.enum(KERNELS).default('matern52'), 'Matérn 5/2 or squared exponential, a length per parameter.', {
    source: 'Frazier 2018, section 3.1',
  }),
  nInitial: field(z.int().min(1).optional(), 'Space-filling trials before; 2 (parameters + 1) when absent.', {
    source: 'Frazier 2018',
  }),
  gradients: field(
    z.boolean().default(false),
    'Ask for the gradient beside the value: one derivative per parameter, in its units (0 for those without order).',
    { source: 'Frazier 2018, section 5.6' },
  ),
  noise: field(
    z.number().min(0).optional(),
    'Standard deviation of the noise in every value, beside what is told; learned when absent.',
    { source: 'ours' },
  ),
  outcomeTransform: field(
    z.enum(OUTCOME_TRANSFORMS).default('standardize'),
    'What becomes of values before the model sees them, standardized in the end; as of `gp`. Not with `noise`, `gradients` or an environment, which are in told units.',
    { source: 'ours' },
  ),
  lengthPrior: field(
    z.enum(LENGTH_PRIORS).default('optuna'),
    'Prior of the length scales, which are fitted by maximum a posteriori; as of `gp`.',
    { source: 'Optuna GPSampler; Hvarfner et al. 2024 for log-normal; Eriksson and Jankowiak 2021 for saas' },
  ),
  fidelity: field(
    z
      .strictObject({
        parameter: z.string().meta({ description: 'Number of the space; its upper end is what counts.' }),
        fixedCost: z.number().positive().default(0.1).meta({ description: 'Cost at the lower end.' }),
        cost: z.enum(['linear', 'told']).default('linear').meta({
          description: 'fixedCost + share of the range, or learned from a quantity `cost` told with each value.',
        }),
      })
      .optional(),
    'A parameter that makes evaluations cheaper and less true; worth is counted per cost.',
    { source: 'Frazier 2018, section 5.4' },
  ),
  environment: field(
    z
      .strictObject({
        parameter: z.string().meta({ description: 'Parameter of the space that is not chosen but happens.' }),
        weights: z
          .array(z.number().min(0))
          .optional()
          .meta({ description: 'Probability of each of its values in order; equal when absent.' }),
      })
      .optional(),
    'A random condition: what counts is the mean over its values.',
    { source: 'Frazier 2018, section 5.5' },
  ),
  task: field(
    z
      .strictObject({
        parameter: z.string().meta({ description: 'Categorical parameter that names the task.' }),
        target: value.meta({ description: 'The task that counts.' }),
      })
      .optional(),
    'Several related objectives, one of which counts; their correlation is learned.',
    { source: 'Frazier 2018, section 5.5' },
  ),
  recommendation: field(
    z.enum(['observed', 'mean', 'model']).optional(),
    'The estimate: the best told trial, the told design of best posterior mean, or the best posterior mean of the space. When absent observed, or model where a fidelity, an environment or a task is given.',
    { source: 'Frazier 2018, section 4.1' },
  ),
  beta: field(z.number().min(0).default(2), 'Deviations of ucb.', { source: 'ours', advanced: true }),
  gridSize: field(z.int().min(8).max(1024).default(64), 'Designs that kg and es look at.', {
    source: 'ours',
    advanced: true,
  }),
  samples: field(z.int().min(16).max(4096).default(256), 'Joint samples of es.', { source: 'ours', advanced: true }),
  fantasies: field(z.int().min(1).max(256).default(16), 'Draws of pending values.', { source: 'ours', advanced: true }),
  nCandidates: field(z.int().min(16).max(65536).default(512), 'Points of the acquisition screening.', {
    source: 'ours',
    advanced: true,
  }),
  nStarts: field(z.int().min(1).max(128).default(5), 'Local searches of the acquisition function.', {
    source: 'ours',
    advanced: true,
  }),
  refitGrowth: field(
    z.number().min(1).max(2).default(1.1),
    'Hyperparameters are fitted again when the trials have grown by this factor.',
    { source: 'ours', advanced: true },
  ),
  maxRows: field(z.int().min(20).max(1000).default(400), 'Trials in the model; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
export type Config = z.infer<typeof config>
/** Values of a continuous environment that its mean is taken over. */
const LEVELS = 9
export const hasTarget = ({ fidelity, environment, task }: Config) => !!(fidelity ?? environment ?? task)
export const acquisitionIn = (c: Config) => c.acquisition ?? (hasTarget(c) ? 'kg' : 'ei')

const levels = (axis: Axis): number[] =>
  axis.values
    ? Array.from({ length: axis.size }, (_, i) => axis.encode(axis.values!.at(i)))
    : Array.from({ length: LEVELS }, (_, i) => (i + 0.5) / LEVELS)

/** The design that a point belongs to: its points at the top fidelity, under all conditions, on the target task. */
export function designer({ fidelity, environment, task }: Config, axes: readonly Axis[]): (u: Float64Array) => Design {
  const axisOf = (name?: string) => axes.findIndex(({ parameter }) => parameter.name === name)
  const fixed: [number, number][] = []
  if (fidelity) {
    const axis = axisOf(fidelity.parameter)
    fixed.push([axis, axes[axis].encode((axes[axis].parameter as { high: number }).high)])
  }
  if (task) fixed.push([axisOf(task.parameter), axes[axisOf(task.parameter)].encode(task.target)])
  const free = axisOf(environment?.parameter)
  const values = free < 0 ? [] : levels(axes[free])
  const weights = environment?.weights ?? values.map(() => 1)
  const total = weights.reduce((sum, w) => sum + w, 0)
  return (u) => {
    const at = u.slice()
    for (const [axis, v] of fixed) at[axis] = v
    if (free < 0) return [{ u: at, weight: 1 }]
    return values.flatMap((v, k) => (weights[k] > 0 ? [{ u: at.with(free, v), weight: weights[k] / total }] : []))
  }
}

export function check(c: Config, { space, constraints }: Problem): Issue[] {
  if (space.kind !== 'search') return []
  const issues: Issue[] = []
  const bad = (path: string, message: string) => issues.push({ path: `config.${path}`, message })
  const parameter = (path: string, name: string) => {
    const found = space.parameters.find((p) => p.name === name)
    if (!found) bad(`${path}.parameter`, `"${name}" is not a parameter of the space`)
    else if (found.condition) bad(`${path}.parameter`, `"${name}" is conditional`)
    return found?.condition ? undefined : found
  }
  if (c.fidelity) {
    const p = parameter('fidelity', c.fidelity.parameter)
    if (p && p.type !== 'float' && p.type !== 'int')
      bad('fidelity.parameter', `expected a number, "${p.name}" is ${p.type}`)
  }
  if (c.task) {
    const p = parameter('task', c.task.parameter)
    if (p && p.type !== 'categorical')
      bad('task.parameter', `expected a categorical parameter, "${p.name}" is ${p.type}`)
    else if (p && !contains(p, c.task.target))
      bad('task.target', `${JSON.stringify(c.task.target)} is not a value of "${p.name}"`)
  }
  if (c.environment) {
    const p = parameter('environment', c.environment.parameter)
    const { weights } = c.environment
    const size = p ? levels(encodingOf({ kind: 'search', parameters: [p] }).axes[0]).length : 0
    if (p && size > 100) bad('environment.parameter', `expected at most 100 values, "${p.name}" has ${size}`)
    if (p && weights && weights.length !== size)
      bad('environment.weights', `expected ${size} weights, one per value of "${p.name}", got ${weights.length}`)
    if (weights && !weights.some((w) => w > 0)) bad('environment.weights', 'expected a positive weight')
  }
  const names = [c.fidelity, c.environment, c.task].flatMap((option) => (option ? [option.parameter] : []))
  if (new Set(names).size < names.length)
    bad('task.parameter', 'fidelity, environment and task need parameters of their own')
  if (c.acquisition && !['kg', 'noisy-ei'].includes(c.acquisition) && hasTarget(c))
    bad(
      'acquisition',
      `${c.acquisition} counts every point for itself; with a fidelity, an environment or a task use kg`,
    )
  const linear = (
    [
      ['noise', c.noise !== undefined],
      ['gradients', c.gradients],
      ['environment', c.environment],
    ] as const
  ).filter(([, on]) => on)
  if (c.outcomeTransform !== 'standardize' && linear.length)
    bad(
      'outcomeTransform',
      `${c.outcomeTransform} bends told units: it cannot be combined with ${linear.map(([name]) => name).join(', ')}`,
    )
  if (space.parameters.length > MAX_DIMENSION)
    issues.push({ path: 'space.parameters', message: `gp-bo takes at most ${MAX_DIMENSION}` })
  if (c.acquisition === 'es' && constraints?.length) bad('acquisition', 'es takes no constraints')
  return issues
}
