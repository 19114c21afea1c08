/**
 * The best of the experts: every newcomer meets the champion.
 * E. M. Saad, N. Verzelen, A. Carpentier, "Active Ranking of Experts Based on their Performances in Many Tasks", ICML 2023
 * (arXiv:2306.02628), best expert identification. An undecided comparison leaves the champion.
 */
import { expertsMethod } from './experts.js'

export const method = expertsMethod({
  id: 'best-expert',
  title: 'Best expert identification',
  summary:
    'Finds the best expert by noisy scores on tasks that it chooses, where of any two one is better on all tasks. A query ' +
    'names two experts; a note gives the `tasks`, a JSON array of their numbers, and `repeats`.',
  recipes: [
    { problem: 'experts', config: { tasks: 8, noise: 0.1 }, maxEvaluations: 100, target: 3 },
    {
      problem: 'experts',
      config: { tasks: 8, noise: 0.1, sampling: 'uniform' },
      maxEvaluations: 100,
      target: 3,
    },
  ],
  equations: [String.raw`\delta' = \delta / n`],
  share: (n) => 1 / n,
  rival: () => 0,
  settle(standing, verdict) {
    if (verdict > 0) standing.order = [standing.newcomer]
    standing.newcomer++
  },
  points: ({ order }) => order,
})
