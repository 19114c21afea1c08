/**
 * Epsilon-greedy: the arm of the best mean, or with a small probability any.
 * R. S. Sutton, A. G. Barto, "Reinforcement Learning", 2nd ed., MIT Press 2018, 2.2; the decaying epsilon_t =
 * min(1, c K / (d^2 t)) of P. Auer, N. Cesa-Bianchi, P. Fischer, Machine Learning 47, 2002, figure 3, with c/d^2 in one.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { banditMethod, bestField } from './anatomy.js'
import { largest } from './arms.js'

const config = z.strictObject({
  epsilon: field(z.number().min(0).max(1).default(0.1), 'Probability of a random arm.', {
    source: 'Sutton and Barto, 2.3',
    mutable: true,
  }),
  decay: field(
    z.number().positive().optional(),
    'epsilon_t = min(1, decay K / t) in round t of K arms, in place of a constant one.',
    { source: 'Auer et al., figure 3' },
  ),
  bestReward: bestField,
})
type Config = z.infer<typeof config>
type State = { rounds: number; plays: Float64Array; means: Float64Array }

export const method = banditMethod<Config, State>({
  id: 'epsilon-greedy',
  title: 'Epsilon-greedy',
  summary: 'Plays the arm of the best mean reward and, with probability epsilon, a random one.',
  references: [
    {
      authors: 'P. Auer, N. Cesa-Bianchi, P. Fischer',
      title: 'Finite-time Analysis of the Multiarmed Bandit Problem',
      year: 2002,
      url: 'https://doi.org/10.1023/A:1013689704352',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', maxEvaluations: 60, target: -0.99 }],
  equations: ({ decay }) => [
    decay === undefined ? String.raw`\epsilon_t = \epsilon` : String.raw`\epsilon_t = \min(1, cK/t)`,
    String.raw`a_t = \arg\max_a \hat\mu_a \text{ with probability } 1 - \epsilon_t, \text{ else uniform}`,
  ],
  best: ({ bestReward }) => bestReward,
  init: (_, arms) => ({ rounds: 0, plays: new Float64Array(arms), means: new Float64Array(arms) }),
  choose({ config: { epsilon, decay } }, own, { arms, rng }) {
    own.rounds++
    const rate = decay === undefined ? epsilon : Math.min(1, (decay * arms.length) / own.rounds)
    const { means } = own
    if (rng.uniform() < rate) return { arm: arms[rng.integer(arms.length)], purpose: 'explore', means }
    // An arm that was never played comes first.
    const arm = largest(arms, (a) => (own.plays[a] > 0 ? means[a] : Number.POSITIVE_INFINITY), rng)
    return { arm, purpose: 'exploit', means, metrics: { epsilon: rate } }
  },
  learn(_, { plays, means }, { arm, reward }) {
    plays[arm]++
    means[arm] += (reward - means[arm]) / plays[arm]
  },
})
