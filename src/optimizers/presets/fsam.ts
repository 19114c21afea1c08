/** Zhong et al., "Improving Sharpness-Aware Minimization with Fisher Mask ...", Findings of EMNLP 2022. */
import { gradientMethod } from '../gradient.js'
import { adam, type adamFields } from './adam.js'

export const method = gradientMethod<typeof adamFields>({
  ...adam,
  id: 'fsam',
  title: 'SAM with a Fisher mask',
  summary:
    'Adam by the gradient at a point near the iterate that differs from it in the elements of the largest Fisher ' +
    'information; the driver `fsam` does it for any rule.',
  references: [
    {
      authors: 'Q. Zhong, L. Ding, L. Shen, P. Mi, J. Liu, B. Du, D. Tao',
      title: 'Improving Sharpness-Aware Minimization with Fisher Mask for Better Generalization on Language Models',
      year: 2022,
      url: 'https://arxiv.org/abs/2210.05497',
    },
  ],
  defaults: { driver: { id: 'fsam', rho: 0.05 }, beta2: 0.98, eps: 1e-6 },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.05 }, maxEvaluations: 600, target: 1e-2 }],
})
