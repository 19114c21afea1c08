/** Chen, Zhou, Liang, Lu, "Generalized-Smooth Nonconvex Optimization is As Efficient As Smooth Nonconvex Optimization", ICML 2023, algorithms 1 and 2. */
import type { At } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size, gamma.', { default: 0.1, min: 0, mutable: true, log: true, source: 'ours' }),
  beta: real('Power of the gradient norm that is divided by: 0 is gradient descent, 1 has steps of one length.', {
    default: 2 / 3,
    min: 0,
    max: 1,
    source: 'section 4: that of x^4',
  }),
}

function rule({ beta, driver }: PresetConfig<typeof fields>) {
  const spider = driver.id === 'previous'
  const { period } = driver as { period?: number }
  return {
    text: [
      ...(spider ? ['v = anchor ? g : v + (g - past)'] : []),
      `n = norm(${spider ? 'v' : 'g'}, all)`,
      `x = x - (n > 0 ? lr/n^beta : 0)*${spider ? 'v' : 'g'}`,
    ].join('\n'),
    ...(spider ? { slots: { v: { kind: 'tensor' as const } }, inputs: ['past'] } : {}),
    scalars: ({ t }: At) => ({ beta, anchor: Number(t === 1 || (period !== undefined && (t - 1) % period === 0)) }),
  }
}

export const betaGngd = {
  id: 'beta-gngd',
  title: 'Normalized gradient descent',
  summary:
    'Gradient descent divided by a power of the gradient norm: for polynomials and exponentials, where plain descent ' +
    'diverges. With the driver `previous` the gradient is the estimate of SPIDER.',
  references: [
    {
      authors: 'Z. Chen, Y. Zhou, Y. Liang, Z. Lu',
      title: 'Generalized-Smooth Nonconvex Optimization is As Efficient As Smooth Nonconvex Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2303.02854',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { beta: 0.5 }, maxEvaluations: 500, target: 1e-3 }],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(betaGngd)
