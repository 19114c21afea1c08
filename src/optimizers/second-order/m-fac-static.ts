/**
 * Frantar, Kurtic, Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information", 2021, the static
 * algorithm: gradients are gathered at the start point, and the inverse of their Fisher matrix answers.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import { type Flat, spaceOf } from '../flat.js'
import { real } from '../parts.js'
import { mfacReference } from '../presets/m-fac.js'
import { type Turn, turnsMethod } from '../turns.js'
import {
  type Block,
  compress,
  diagonalOf,
  emptyBlocks,
  entryOf,
  productOf,
  prune,
  saliencies,
} from './static-fisher.js'

const config = z.strictObject({
  task: field(
    z.enum(['product', 'diagonal', 'entries', 'saliency', 'prune', 'order']).default('product'),
    'What is answered. product: F^-1 times a vector that is told after the gradients, again and again. diagonal: that of ' +
      'F^-1. entries: single ones, as metrics. saliency: what the removal of each weight alone costs. prune: the weights ' +
      'after the removal of the cheapest, those that stay moved to make up for it. order: for each weight the place in ' +
      'which it was removed, 0 for those that stay.',
    { source: 'sections 3.1 and 4.2' },
  ),
  ngrads: field(
    z.int().min(1).max(16384).default(1024),
    'Gradients that are gathered, m: each on a sample of its own.',
    {
      source: 'section 4.1',
    },
  ),
  perExample: field(
    z.boolean().default(false),
    'The gradients are asked at once, as the quantity "gradients" of one row per example; as many as are told.',
    { source: 'ours' },
  ),
  damp: real('Added to the diagonal of the Fisher matrix.', { default: 1e-5, above: 0, source: 'section 4.1' }),
  blockSize: field(
    z.int().min(0).default(0),
    'The Fisher matrix is taken as zero between blocks of so many elements; 0: no blocks. Pruning is much cheaper with them.',
    { source: 'section 4.2' },
  ),
  sparsity: real('Share of the weights that are removed.', { default: 0.5, min: 0, max: 1, source: 'ours' }),
  entries: field(
    z.array(z.tuple([z.int().min(0), z.int().min(0)])).default([]),
    'Row and column of the wanted entries, counted through the tensors in their order.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  w: Float64Array
  blocks: Block[]
  gathered: number
  /** What is answered, once it is known; until then the weights. */
  answer: Float64Array | null
  metrics: { [name: string]: number }
  products: number
}

/** Elements of all vectors h. */
const LARGEST = 2 ** 27

const complete = ({ ngrads, perExample }: Config, { gathered }: State) => gathered >= (perExample ? 1 : ngrads)

function ask({ config }: Run<Config>, { dimension }: Flat, state: State): Turn {
  const points = [state.w]
  const quantity = (name: string, shape: readonly number[], description: string): Turn => ({
    points,
    wants: [{ kind: 'quantities', quantities: [{ name, shape, description }] }],
    purpose: name,
  })
  if (complete(config, state)) return quantity('vector', [dimension], 'a vector to be multiplied by F^-1')
  if (config.perExample) return quantity('gradients', [-1, dimension], 'the gradient of each example, one a row')
  return { points, wants: [{ kind: 'gradient' }], purpose: 'gradient' }
}

/** All gradients are there: answers what needs nothing more. */
function answer({ task, damp, entries, sparsity }: Config, state: State) {
  const { blocks, w } = state
  if (task === 'diagonal') state.answer = diagonalOf(blocks, damp)
  if (task === 'saliency') state.answer = saliencies(blocks, damp, w)
  if (task === 'entries') {
    for (const [i, j] of entries) state.metrics[`inverse[${i},${j}]`] = entryOf(blocks, damp, i, j)
    state.answer = w
  }
  if (task !== 'prune' && task !== 'order') return
  const pruned = prune(blocks, damp, w, Math.floor(sparsity * w.length))
  state.metrics.removed = pruned.order.length
  state.metrics.predictedIncrease = pruned.costs.reduce((sum, cost) => sum + cost, 0)
  state.answer = task === 'prune' ? pruned.w : new Float64Array(w.length)
  if (task === 'order')
    pruned.order.forEach((q, k) => {
      state.answer![q] = k + 1
    })
}

export const method = turnsMethod<Config, State>({
  id: 'm-fac-static',
  family: 'gradient',
  title: 'M-FAC, static',
  summary:
    'Gathers gradients at one point and answers with the inverse of their Fisher matrix: products, entries, saliencies, and ' +
    'weights pruned by the optimal brain surgeon.',
  references: [
    mfacReference,
    {
      authors: 'B. Hassibi, D. Stork',
      title: 'Second Order Derivatives for Network Pruning: Optimal Brain Surgeon',
      year: 1992,
    },
  ],
  config,
  heavy: true,
  recipes: [
    // Without any weight f is 8.47; it is 52 at the start.
    { problem: 'quadratic', config: { task: 'prune', ngrads: 8, sparsity: 1 }, maxEvaluations: 8, target: 8.5 },
  ],
  equations: ({ task }) => [
    String.raw`F = \lambda I + \frac{1}{m} \sum_i g_i g_i^\top`,
    String.raw`F^{-1} x = \frac{x}{\lambda} - \sum_i \frac{h_i \langle h_i, x \rangle}{n_i},\quad h_i = F_{i-1}^{-1} g_i,\quad n_i = m + g_i^\top h_i`,
    ...(task === 'product' || task === 'diagonal' || task === 'entries'
      ? []
      : [
          String.raw`\rho_q = \frac{w_q^2}{2 [F^{-1}]_{qq}},\quad w \leftarrow w - \frac{w_q}{[F^{-1}]_{qq}} F^{-1} e_q`,
        ]),
  ],
  needs: ({ perExample, task }) => [
    ...(perExample ? [] : (['gradient'] as const)),
    ...(perExample || task === 'product' ? (['quantities'] as const) : []),
  ],
  check({ entries, task, ngrads, perExample }, problem) {
    const size = totalElements(spaceOf(problem).tensors)
    const issues = entries.flatMap((pair, k) =>
      pair.flatMap((i, side) =>
        i < size
          ? []
          : [
              {
                path: `config.entries[${k}][${side}]`,
                message: `expected less than ${size}, the parameters; got ${i}`,
              },
            ],
      ),
    )
    if (!perExample && ngrads * size > LARGEST) {
      const message = `${ngrads} gradients of ${size} elements are too many; at most ${LARGEST} elements are kept`
      issues.push({ path: 'config.ngrads', message })
    }
    if (task === 'entries' && entries.length === 0)
      issues.push({ path: 'config.entries', message: 'expected at least one pair' })
    return issues
  },
  init: ({ config }, flat) => ({
    w: flat.start(),
    blocks: emptyBlocks(flat.dimension, config.blockSize),
    gathered: 0,
    answer: null,
    metrics: {},
    products: 0,
  }),
  ask,
  learn({ config }, flat, state, { gradients, quantities }) {
    const { damp, ngrads } = config
    if (complete(config, state)) {
      state.answer = productOf(state.blocks, damp, Float64Array.from(quantities![0].vector))
      state.products++
      return
    }
    if (gradients) {
      compress(state.blocks, damp, ngrads, flat.vector(gradients[0]))
      state.gathered++
    } else {
      const rows = Float64Array.from(quantities![0].gradients)
      const m = rows.length / flat.dimension
      for (let i = 0; i < m; i++)
        compress(state.blocks, damp, m, rows.slice(i * flat.dimension, (i + 1) * flat.dimension))
      state.gathered = m
    }
    if (complete(config, state)) answer(config, state)
  },
  finished: ({ config }, state) =>
    config.task !== 'product' && state.answer
      ? `the ${config.task} of ${state.gathered} gradients is answered`
      : undefined,
  estimate: (_, { w, answer, gathered, products, metrics }) => ({
    x: answer ?? w,
    kind: 'iterate',
    step: gathered + products,
    metrics: { gathered, products, ...metrics },
  }),
})
