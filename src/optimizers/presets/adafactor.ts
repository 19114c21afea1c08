/** Shazeer, Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, algorithms 4 and 5. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements, type TensorSpec } from '../../core/tensor.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size, where relativeStep is off.', {
    default: 0.01,
    min: 0,
    mutable: true,
    log: true,
    source: 'ours',
  }),
  factored: field(
    z.boolean().default(true),
    'Keeps row and column means of the squared gradients of tensors of rank 2 and more (over their last two axes).',
    { source: 'algorithm 4' },
  ),
  clip: field(
    z.union([z.literal('off'), z.number().positive()]).default(1),
    'Largest root mean square of the update of a tensor, d.',
    { source: 'algorithm 4' },
  ),
  decay: real('The second moments keep a share 1 - t^-decay.', { default: 0.8, above: 0, source: 'section 7.2' }),
  relativeStep: field(z.boolean().default(true), 'Step size min(0.01, 1/sqrt(t)) in place of the learning rate.', {
    source: 'section 9',
  }),
  warmup: field(z.boolean().default(false), 'Relative step size min(1e-6*t, 1/sqrt(t)).', { source: 'section 9' }),
  scaleParameter: field(
    z.boolean().default(true),
    'Multiplies the step of a tensor by the root mean square of its values, eps2 at least.',
    { source: 'algorithm 4' },
  ),
  beta1: real('Decay of the momentum; 0 keeps none.', { default: 0, min: 0, below: 1, source: 'section 9' }),
  eps1: real('Added to squared gradients.', { default: 1e-30, min: 0, source: 'section 9' }),
  eps2: real('Least root mean square of a tensor, for scaleParameter.', { default: 1e-3, min: 0, source: 'section 9' }),
  weightDecay: real('Times the step size and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.Adafactor',
  }),
}
type Config = PresetConfig<typeof fields>

const asMatrix = ({ shape }: TensorSpec) => (shape.length < 2 ? [elements(shape), 1] : shape)

function rule(config: Config, tensors: readonly TensorSpec[]) {
  const { factored, clip, relativeStep, warmup, scaleParameter, beta1, weightDecay, decay, eps1, eps2 } = config
  const rate = relativeStep ? (warmup ? 'min(1e-6*t, 1/sqrt(t))' : 'min(0.01, 1/sqrt(t))') : 'lr'
  // The mean of R is taken matrix by matrix, of which a tensor of higher rank holds many.
  const mean = tensors.some(({ shape }) => shape.length > 2) ? 'colMean(R + 0*g)' : 'mean(R)'
  return {
    text: [
      `alpha = ${scaleParameter ? `max(eps2, sqrt(mean(x^2)))*${rate}` : rate}`,
      'beta2 = 1 - t^(-decay)',
      // Squares of more, and their products, would overflow in f32.
      'h = clip(g, -1e17, 1e17)',
      'Q = h^2 + eps1',
      ...(factored
        ? [
            'R = beta2*R + (1 - beta2)*rowMean(Q)',
            'C = beta2*C + (1 - beta2)*colMean(Q)',
            // The root of V = R*C/mean(R), which is nothing in f32 where row and column are eps1.
            `U = h/(sqrt(R/${mean})*sqrt(C))`,
          ]
        : ['V = beta2*V + (1 - beta2)*Q', 'U = h/sqrt(V)']),
      ...(clip === 'off' ? [] : ['U = U/max(1, sqrt(mean(U^2))/d)']),
      ...(weightDecay > 0 ? ['x = x*(1 - alpha*weightDecay)'] : []),
      ...(beta1 > 0 ? ['M = beta1*M + (1 - beta1)*alpha*U', 'x = x - M'] : ['x = x - alpha*U']),
    ].join('\n'),
    slots: {
      ...(factored
        ? { R: { kind: 'row' as const }, C: { kind: 'column' as const } }
        : { V: { kind: 'tensor' as const } }),
      ...(beta1 > 0 ? { M: { kind: 'tensor' as const } } : {}),
    },
    scalars: () => ({ decay, eps1, eps2, weightDecay, beta1, ...(clip === 'off' ? {} : { d: clip }) }),
    // R of an n by 1 matrix is its second moment, and C the mean of R: a vector needs no second rule.
    ...(factored ? { shape: asMatrix } : {}),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'adafactor',
  title: 'Adafactor',
  summary:
    'Adam without momentum whose second moments of a matrix are a row and a column: memory of n + m, not n times m.',
  references: [
    {
      authors: 'N. Shazeer, M. Stern',
      title: 'Adafactor: Adaptive Learning Rates with Sublinear Memory Cost',
      year: 2018,
      url: 'https://arxiv.org/abs/1804.04235',
    },
  ],
  fields,
  rule,
  check: ({ relativeStep, schedule }) =>
    relativeStep && schedule.id !== 'constant'
      ? [{ path: 'config.schedule', message: 'has no effect while relativeStep is on; expected "constant"' }]
      : [],
  recipes: [
    {
      problem: 'quadratic',
      config: { relativeStep: false, scaleParameter: false, learningRate: 0.1, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-3,
    },
  ],
})
