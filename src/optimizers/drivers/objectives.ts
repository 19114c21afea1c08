/**
 * Jacobian descent: P. Quinton, V. Rey, "Jacobian Descent for Multi-Objective Optimization", 2024 (arXiv:2406.16232). The
 * rule gets J'w, of the gradients of all objectives as rows of J. With an objective per example it minimizes the risks of
 * the instances (section 4); by the Gramian JJ' alone J need not be told (section 6).
 */
import { z } from 'zod'
import type { Quantity } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import { AGGREGATORS, gramianOf, weightsOf } from '../aggregators/gramian.js'
import { accumulate, dot, flatOfSpace } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  aggregator: field(
    z.enum(AGGREGATORS).default('upgrad'),
    'How the gradients become one. upgrad: the sum of the projections of each into the cone of what is worse for none. ' +
      'dualproj: the projection of their mean into it. mgda: the shortest convex combination. pcgrad: their mean, without ' +
      'what points against others. imtl-g: equal parts along all. cagrad: best for the worst, near the mean.',
    { source: 'Quinton, Rey 2024' },
  ),
  objectives: field(
    z.int().min(1).max(4096).optional(),
    'How many there are; without it, as many as the client tells, an example of the minibatch each.',
  ),
  told: field(
    z.enum(['jacobian', 'gramian']).default('jacobian'),
    'jacobian: the gradients. gramian: their inner products, `gramian`; then `gradient`, their sum with the weights that a ' +
      'note gives as a JSON array, `weights`.',
    { source: 'Quinton, Rey 2024, section 6' },
  ),
  preference: field(
    z.array(z.number().positive()).optional(),
    'upgrad, dualproj: a weight for each objective; without it, one over their number.',
    { source: 'Quinton, Rey 2024, section 3' },
  ),
  normEps: real('Gradients whose squared lengths sum to less than this are only weighed by the preference.', {
    default: 0,
    min: 0,
    source: 'ours; torchjd: 1e-4',
  }),
  regEps: real('Added to the diagonal of the Gramian, whose trace is 1. 0 is exact.', {
    default: 0,
    min: 0,
    source: 'ours; torchjd: 1e-4',
  }),
  c: real('cagrad: how far from the mean, in its lengths.', { default: 0.5, min: 0, source: 'Liu et al. 2021' }),
  order: field(
    z.enum(['random', 'fixed']).default('random'),
    'pcgrad: the order in which a gradient meets the others, drawn anew each time or that of the objectives.',
    { source: 'Yu et al. 2020' },
  ),
  shown: field(
    z.int().min(0).max(100).default(10),
    'Objectives whose weight and conflict are reported, from the first.',
    {
      source: 'ours',
    },
  ),
}
type Config = PartConfig<typeof fields>

const quantity = (wanted: Quantity): Ask['wants'] => [{ kind: 'quantities', quantities: [wanted] }]

function begin({ told, objectives = -1 }: Config, { space }: Drive): Ask {
  const d = totalElements(space.tensors)
  return {
    point: 'x',
    purpose: told,
    wants: quantity(
      told === 'jacobian'
        ? { name: 'gradients', shape: [objectives, d], description: 'gradient of each objective, a row each' }
        : {
            name: 'gramian',
            shape: [objectives, objectives],
            description: 'inner products of the gradients of the objectives',
          },
    ),
  }
}

/** Reports the weights, and what they do: `worse` counts objectives that the update makes worse. */
function report({ shown }: Config, { state }: Drive, G: Float64Array, w: Float64Array) {
  const m = w.length
  const row = (i: number) => G.subarray(i * m, (i + 1) * m)
  const reports: { [name: string]: number } = { objectives: m, conflicts: 0, worse: 0 }
  for (let i = 0; i < m; i++) {
    const conflicts = row(i).some((product) => product < 0)
    if (conflicts) reports.conflicts++
    if (dot(row(i), w) < -1e-12 * Math.sqrt(G[i * m + i] * dotted(G, w))) reports.worse++
    if (i < shown) {
      reports[`weight${i + 1}`] = w[i]
      reports[`conflict${i + 1}`] = Number(conflicts)
    }
  }
  state.reports = reports
}

/** w'Gw */
const dotted = (G: Float64Array, w: Float64Array): number =>
  w.reduce((sum, value, i) => sum + value * dot(G.subarray(i * w.length, (i + 1) * w.length), w), 0)

export const objectives = defineDriver({
  id: 'objectives',
  summary:
    'Several objectives: their gradients are asked together and aggregated, for any rule. Reports the weight of each, ' +
    '`weight1` and on, whether its gradient points against another, `conflict1` and on, how many do, `conflicts`, and how ' +
    'many the update makes worse, `worse`.',
  fields,
  wants: () => ['quantities'],
  equations: ({ aggregator }: Config) => [
    String.raw`G = J J^\top,\quad g = J^\top w`,
    {
      upgrad: String.raw`w = \sum_i \arg\min_{v \ge p_i e_i} v^\top G v`,
      dualproj: String.raw`w = \arg\min_{v \ge p} v^\top G v`,
      mean: String.raw`w = \tfrac{1}{m} 1`,
      mgda: String.raw`w = \arg\min_{v \ge 0,\, 1^\top v = 1} v^\top G v`,
      pcgrad: String.raw`w = \tfrac1m \sum_i w_i,\quad w_i \leftarrow w_i - \frac{\min(0, e_j^\top G w_i)}{G_{jj}} e_j\ (j \ne i)`,
      'imtl-g': String.raw`w = \frac{G^+ \sqrt{\mathrm{diag}\, G}}{1^\top G^+ \sqrt{\mathrm{diag}\, G}}`,
      cagrad: String.raw`w = \tfrac1m 1 + \frac{c |g_0|}{|J^\top v|} v,\quad v = \arg\min_{v \ge 0,\, 1^\top v = 1} g_0^\top J^\top v + c |g_0| |J^\top v|`,
    }[aggregator],
  ],
  points: () => ['update'],
  begin,
  advance(config, drive, _, { quantities: [told] }) {
    const { space, state } = drive
    const flat = flatOfSpace(space)
    if (told.gramian) {
      const m = Math.sqrt(told.gramian.length)
      // Both halves say the same, up to rounding.
      const G = Float64Array.from(
        told.gramian,
        (value, at) => (value + told.gramian[(at % m) * m + Math.floor(at / m)]) / 2,
      )
      const w = weightsOf(G, config, drive.rng)
      report(config, drive, G, w)
      return {
        point: 'x',
        purpose: 'weighted',
        wants: quantity({
          name: 'gradient',
          shape: [flat.dimension],
          description: 'gradients times the weights, summed',
        }),
        note: { weights: JSON.stringify(Array.from(w)) },
      }
    }
    const update = new Float64Array(flat.dimension)
    if (told.gradient) update.set(told.gradient)
    else {
      const d = flat.dimension
      const rows = Array.from({ length: told.gradients.length / d }, (_, i) =>
        told.gradients.subarray(i * d, (i + 1) * d),
      )
      const G = gramianOf(rows)
      const w = weightsOf(G, config, drive.rng)
      report(config, drive, G, w)
      for (const [i, row] of rows.entries()) accumulate(update, w[i], row)
    }
    drive.copy(flat.tensors(update), 'update')
    drive.update(state.points.update)
    return begin(config, drive)
  },
  check({ told, objectives, preference }, problem) {
    const issues: { field: string; message: string }[] = []
    if (problem.objectives[0].direction === 'maximize')
      issues.push({ field: 'id', message: 'minimizes every objective; the objective is maximized' })
    if (told === 'gramian' && objectives === undefined)
      issues.push({ field: 'objectives', message: 'a Gramian needs the number of objectives' })
    if (preference && preference.length !== objectives)
      issues.push({
        field: 'preference',
        message: `expected a weight for each of ${objectives ?? 'the'} objectives; set both`,
      })
    return issues
  },
})
