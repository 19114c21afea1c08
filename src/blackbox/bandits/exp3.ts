/**
 * EXP3: exponential weights for rewards that an adversary may choose.
 * P. Auer, N. Cesa-Bianchi, Y. Freund, R. E. Schapire, "The Nonstochastic Multiarmed Bandit Problem", SIAM J. Comput. 32,
 * 2002, figure 1. Rewards are mapped from [low, high] to [0, 1].
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { banditMethod, bestField } from './anatomy.js'

const config = z.strictObject({
  gamma: field(z.number().positive().max(1).default(0.1), 'Part of uniform exploration, and the step of the weights.', {
    source: 'paper, figure 1',
    mutable: true,
  }),
  low: field(z.number().default(0), 'Least value told.', { source: 'paper' }),
  high: field(z.number().default(1), 'Largest value told.', { source: 'paper' }),
  bestReward: bestField,
})
type Config = z.infer<typeof config>
type State = { logWeights: Float64Array }

export const method = banditMethod<Config, State>({
  id: 'exp3',
  title: 'EXP3',
  summary: 'Exponential weights with importance-weighted rewards: a guarantee whatever the rewards are, if in a range.',
  references: [
    {
      authors: 'P. Auer, N. Cesa-Bianchi, Y. Freund, R. E. Schapire',
      title: 'The Nonstochastic Multiarmed Bandit Problem',
      year: 2002,
      url: 'https://doi.org/10.1137/S0097539701398375',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', config: { low: -1, high: 1 }, maxEvaluations: 100, target: -0.99 }],
  equations: () => [
    String.raw`p_a = (1 - \gamma) \frac{w_a}{\sum_b w_b} + \frac{\gamma}{K}`,
    String.raw`w_a \leftarrow w_a \exp(\gamma\, r / (p_a K))`,
  ],
  best: ({ bestReward }) => bestReward,
  check: ({ low, high }) =>
    low < high ? [] : [{ path: 'config.low', message: `expected less than high, got ${low}` }],
  init: (_, arms) => ({ logWeights: new Float64Array(arms) }),
  choose({ config: { gamma } }, { logWeights }, { arms, rng }) {
    const top = arms.reduce((most, a) => Math.max(most, logWeights[a]), Number.NEGATIVE_INFINITY)
    const total = arms.reduce((sum, a) => sum + Math.exp(logWeights[a] - top), 0)
    const probability = (a: number) => ((1 - gamma) * Math.exp(logWeights[a] - top)) / total + gamma / arms.length
    let u = rng.uniform()
    const arm = arms.find((a) => (u -= probability(a)) < 0) ?? arms[arms.length - 1]
    return { arm, purpose: 'sample', note: { probability: probability(arm) } }
  },
  learn({ config: { gamma, low, high }, problem }, { logWeights }, { arm, reward, note }) {
    // A reward that was not asked for has no probability to be weighted by.
    if (note.probability === undefined) return
    const value = problem.objectives[0].direction === 'maximize' ? reward - low : high + reward
    const share = Math.min(1, Math.max(0, value / (high - low)))
    logWeights[arm] += (gamma * share) / (note.probability * logWeights.length)
  },
})
