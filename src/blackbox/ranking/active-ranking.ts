/**
 * The order of all experts: each is inserted by binary search into the order of those before.
 * E. M. Saad, N. Verzelen, A. Carpentier, "Active Ranking of Experts Based on their Performances in Many Tasks", ICML 2023
 * (arXiv:2306.02628), active ranking. An undecided comparison counts as lost: the newcomer is placed behind its equal.
 */
import { expertsMethod } from './experts.js'

const middle = (low: number, high: number) => Math.floor((low + high) / 2)

export const method = expertsMethod({
  id: 'active-ranking',
  title: 'Active ranking of experts',
  summary:
    'Puts experts in order by noisy scores on tasks that it chooses, where of any two one is better on all tasks. The points ' +
    'of the estimate are the order, best first. A query names two experts; a note gives the `tasks`, a JSON array of their ' +
    'numbers, and `repeats`.',
  recipes: [{ problem: 'experts', config: { tasks: 8, noise: 0.1 }, maxEvaluations: 150, target: 3 }],
  equations: [String.raw`\delta' = \delta / n^2`],
  share: (n) => 1 / n ** 2,
  rival: ({ low, high }) => middle(low, high),
  settle(standing, verdict) {
    const { low, high } = standing
    if (verdict > 0) standing.high = middle(low, high)
    else standing.low = middle(low, high) + 1
    if (standing.low < standing.high) return
    standing.order.splice(standing.low, 0, standing.newcomer)
    standing.newcomer++
    standing.low = 0
    standing.high = standing.order.length
  },
  points: ({ order }) => order,
})
