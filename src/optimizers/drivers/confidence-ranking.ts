/** Zhu, Liu, Wang, Zhao, Lin, Shao, "Confidence Ranking for CTR Prediction", WWW 2023 (arXiv:2307.01206). */
import { z } from 'zod'
import type { Quantity } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { flatOfSpace } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { CONFIDENCE_METRICS, confidenceLoss, SURROGATES } from '../ranking/confidence.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  metric: field(
    z.enum(CONFIDENCE_METRICS).default('accuracy'),
    'What the new model is to be better at: accuracy compares it with the old one example by example, auc by pairs of a ' +
      'positive and a negative example of the batch.',
    { source: 'Zhu et al. 2023' },
  ),
  lambda: real('Weight of the ranking loss; 0 is the cross-entropy alone.', { default: 1, min: 0, source: 'ours' }),
  surrogate: field(
    z.enum(SURROGATES).default('logistic'),
    'phi of a margin t: log(1 + e^-t), max(0, 1 - t), or e^-t.',
    {
      source: 'Zhu et al. 2023',
    },
  ),
  window: field(
    z.int().min(1).optional(),
    'Steps after which the model is deployed and the next window of data begins. With it, the session keeps the deployed ' +
      'model, and asks logits of both on the same batch; before the first deployment there is the cross-entropy alone. ' +
      'Without it, `old` logits are told.',
    { source: 'Zhu et al. 2023' },
  ),
}
type Config = PartConfig<typeof fields>

const LOGITS: Quantity = {
  name: 'logits',
  shape: [-1],
  description: 'of the model at this point, by example of the batch',
}
const LABELS: Quantity = { name: 'labels', shape: [-1], description: '0 or 1 of each example' }
const OLD: Quantity = {
  name: 'old',
  shape: [-1],
  description: 'logit of the deployed model of each example; 0 where it has none',
}

/** The number of windows that are over; the session holds a deployed model from 1. */
const deployments = ({ window }: Config, { state }: Drive): number => (window ? Math.floor(state.shard / window) : 0)

function begin(config: Config, drive: Drive): Ask {
  const quantities = config.window ? [LOGITS, LABELS] : [LOGITS, LABELS, OLD]
  const others = deployments(config, drive) > 0 ? { others: ['deployed'] } : {}
  return { point: 'x', ...others, purpose: 'logits', sample: '.0', wants: [{ kind: 'quantities', quantities }] }
}

export const confidenceRanking = defineDriver({
  id: 'confidence-ranking',
  summary:
    'For a classifier that is trained again as data come: minimizes the cross-entropy and a ranking loss that makes it more ' +
    'confident in the truth than the deployed model. Asks the logits on a batch; then, on the same, `gradient`: that of the ' +
    'sum of the logits with the weights that a note gives as a JSON array, `weights`. Reports both losses and `outranks`, ' +
    'the share of examples on which the new model is the better.',
  fields,
  wants: () => ['quantities'],
  equations: ({ metric, surrogate }: Config) => [
    String.raw`L = \frac{1}{n} \sum_i \log(1 + e^{-s_i u_i}) + \lambda L_{cr}`,
    metric === 'accuracy'
      ? String.raw`L_{cr} = \frac{1}{n} \sum_i \varphi(s_i (u_i - o_i))`
      : String.raw`L_{cr} = \frac{1}{n_+ n_-} \sum_{y_i = 1, y_j = 0} \varphi((u_i - u_j) - (o_i - o_j))`,
    {
      logistic: String.raw`\varphi(t) = \log(1 + e^{-t})`,
      hinge: String.raw`\varphi(t) = \max(0, 1 - t)`,
      exponential: String.raw`\varphi(t) = e^{-t}`,
    }[surrogate],
  ],
  points: ({ window }) => (window ? ['update', 'deployed'] : ['update']),
  begin,
  advance(config, drive, _, { quantities: [told, atDeployed] }) {
    const { state } = drive
    const flat = flatOfSpace(drive.space)
    if (!told.gradient) {
      const { logits, labels } = told
      const old = config.window ? (atDeployed?.logits ?? null) : told.old
      // Arrays that belong to different batches are asked again.
      if (labels.length !== logits.length || (old && old.length !== logits.length)) return begin(config, drive)
      const { crossEntropy, ranking, outranks, gradient } = confidenceLoss(logits, labels, old, config)
      state.reports = { crossEntropy, rankingLoss: ranking, outranks, deployments: deployments(config, drive) }
      const quantity = { name: 'gradient', shape: [flat.dimension], description: 'of the weighted sum of the logits' }
      return {
        point: 'x',
        purpose: 'weighted',
        sample: '.0',
        wants: [{ kind: 'quantities', quantities: [quantity] }],
        note: { weights: JSON.stringify(Array.from(gradient)) },
      }
    }
    drive.copy(flat.tensors(Float64Array.from(told.gradient)), 'update')
    drive.update(state.points.update)
    state.shard++
    if (config.window && state.shard % config.window === 0) drive.copy(drive.x, 'deployed')
    return begin(config, drive)
  },
  check: (_, problem) =>
    problem.objectives[0].direction === 'maximize'
      ? [{ field: 'id', message: 'minimizes a loss; the objective is maximized' }]
      : [],
})
