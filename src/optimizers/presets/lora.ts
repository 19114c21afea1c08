/** Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. */
import { gradientMethod } from '../gradient.js'
import { adam } from './adam.js'

export const method = gradientMethod<typeof adam.fields>({
  ...adam,
  id: 'lora',
  title: 'LoRA',
  summary: 'Adam on the factors of a low-rank change of each matrix; other kinds of factors by `parametrization.kind`.',
  references: [
    {
      authors: 'E. J. Hu, Y. Shen, P. Wallis, Z. Allen-Zhu, Y. Li, S. Wang, L. Wang, W. Chen',
      title: 'LoRA: Low-Rank Adaptation of Large Language Models',
      year: 2021,
      url: 'https://arxiv.org/abs/2106.09685',
    },
    {
      authors: 'J. Lu',
      title: 'Low-Rank Approximation, Adaptation, and Other Tales',
      year: 2024,
      url: 'https://arxiv.org/abs/2408.05883',
    },
    ...adam.references,
  ],
  defaults: { parametrization: { id: 'adapter' } },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.05,
        schedule: { id: 'linear', steps: 600 },
        parametrization: { id: 'adapter', rank: 2, others: 'trained' },
      },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
})
