/** Korpelevich, "The extragradient method for finding saddle points and other problems", 1976. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'extragradient',
  title: 'Extragradient',
  summary: 'Steps by the gradient at a point ahead, for games; the driver `extragradient` does it for any rule.',
  references: [
    {
      authors: 'G. M. Korpelevich',
      title: 'The extragradient method for finding saddle points and other problems',
      year: 1976,
    },
    {
      authors: 'Y.-G. Hsieh, F. Iutzeler, J. Malick, P. Mertikopoulos',
      title: 'On the convergence of single-call stochastic extra-gradient methods',
      year: 2019,
      url: 'https://arxiv.org/abs/1908.08465',
    },
  ],
  defaults: { driver: { id: 'extragradient', variant: 'eg' } },
  recipes: [{ problem: 'bilinear-game', config: { learningRate: 0.3 }, maxEvaluations: 1000, target: 1e-6 }],
})
