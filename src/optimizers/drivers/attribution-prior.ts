/**
 * Erion, Janizek, Sturmfels, Lundberg, Lee, "Improving
 * performance of deep learning models with axiomatic attribution priors and expected gradients", 2021, equation 1.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { graphPrior, pixelPrior, sparsePrior } from '../diagnostics/attribution.js'
import { type PartConfig, real } from '../parts.js'
import { type Asked, defineDriver } from './driver.js'
import { loss, points, sum, type Term } from './terms.js'

const grid = z.strictObject({
  rows: field(z.int().min(1), 'Rows of an image.'),
  columns: field(z.int().min(1), 'Columns of an image.'),
})
const edge = z.strictObject({
  from: field(z.int().min(0), 'Number of a feature, from 0.'),
  to: field(z.int().min(0), 'Number of another.'),
  weight: field(z.number().min(0).default(1), 'How alike the two should be.'),
})
const priorFields = {
  prior: field(
    z.enum(['pixel', 'graph', 'sparse']).default('sparse'),
    'What attributions should be: smooth over an image, smooth over a graph of features, or of few features.',
    { source: 'section 2.2' },
  ),
  lambda: real('Weight of the prior in the loss.', { default: 0.1, min: 0, source: 'ours' }),
  grid: field(grid.optional(), 'The image, for `pixel`: features are its pixels, row by row.'),
  edges: field(z.array(edge).default([]), 'The graph, for `graph`.'),
  features: field(
    z.int().min(1).optional(),
    'Features of an example. With it, the attributions of the batch are asked too, and the value of the prior is reported.',
  ),
}
type Prior = PartConfig<typeof priorFields>

const priorTerms = ({ prior, lambda }: Prior): Term[] =>
  lambda === 0 ? [] : [{ purpose: `prior.${prior}`, weight: lambda }]

const priorWants = ({ features }: Prior): readonly Asked[] | undefined =>
  features === undefined
    ? undefined
    : [
        { kind: 'gradient' },
        {
          kind: 'quantities',
          quantities: [{ name: 'attributions', shape: [-1, features], description: 'of each example of the batch' }],
        },
      ]

function priorOf({ prior, features = 1, grid, edges }: Prior, phi: ArrayLike<number>): number {
  if (prior === 'pixel') return pixelPrior(phi, grid!)
  return prior === 'graph' ? graphPrior(phi, features, edges) : sparsePrior(phi, features)
}

export const attributionPrior = defineDriver({
  id: 'attribution-prior',
  summary:
    'Adds a prior on what a model makes its outputs of. On the sample of the step, the purpose `prior.pixel`, ' +
    '`prior.graph` or `prior.sparse` asks the gradient of the prior of the attributions, through them.',
  fields: priorFields,
  wants: ({ features }) => (features === undefined ? ['gradient'] : ['gradient', 'quantities']),
  points: (config) => points(priorTerms(config)),
  begin: (config) => loss(priorWants(config)),
  advance(config, drive, told, { quantities: [record] }) {
    if (record) drive.state.reports = { prior: priorOf(config, record.attributions) }
    return sum(drive, told, priorTerms(config), priorWants(config))
  },
  check({ prior, grid, edges, features }) {
    const issues: { field: string; message: string }[] = []
    if (prior === 'pixel' && !grid)
      issues.push({ field: 'grid', message: 'the prior "pixel" needs the size of images' })
    if (grid && features !== undefined && grid.rows * grid.columns !== features)
      issues.push({
        field: 'features',
        message: `an image of ${grid.rows} by ${grid.columns} has others than ${features}`,
      })
    edges.forEach(({ from, to }, i) => {
      const past = Math.max(from, to)
      if (features !== undefined && past >= features)
        issues.push({ field: `edges[${i}]`, message: `there is no feature ${past}; they are 0 to ${features - 1}` })
    })
    if (prior === 'graph' && edges.length === 0)
      issues.push({ field: 'edges', message: 'the prior "graph" needs edges' })
    return issues
  },
})
