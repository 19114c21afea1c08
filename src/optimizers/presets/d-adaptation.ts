/**
 * Defazio, Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML 2023: algorithms 1 (da), 2 (adagrad),
 * 4 (sgd), 5 (adam); lion as in facebookresearch/dadaptation.
 *
 * All keep an estimate d of the distance to the solution, which only grows: a lower bound that follows from the gradients.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Factor on the step size that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'section 6',
  }),
  variant: field(z.enum(['da', 'sgd', 'adam', 'adagrad', 'lion']).default('adam'), 'The rule that gets its rate.', {
    source: 'sections 3 to 5',
  }),
  option: field(z.enum(['I', 'II']).default('II'), 'The bound that da uses.', { source: 'algorithm 1' }),
  d0: real('First estimate of the distance; too small is safe.', { default: 1e-6, above: 0, source: 'section 6' }),
  growthRate: field(z.number().gt(1).optional(), 'Largest growth of the estimate per step; without it, any.', {
    source: 'section 6',
  }),
  momentum: real('Weight of the iterate, of sgd and adagrad.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'facebookresearch/dadaptation',
  }),
  beta1: real('Decay of the momentum, of adam and lion.', { default: 0.9, min: 0, below: 1, source: 'algorithm 5' }),
  beta2: field(
    z.number().min(0).lt(1).optional(),
    'Decay of the second moment of adam, 0.999 where absent, or of the momentum of lion, 0.99.',
    { source: 'algorithm 5; facebookresearch/dadaptation' },
  ),
  eps: real('Added to the root of the second moment.', { default: 1e-8, min: 0, source: 'algorithm 5' }),
  biasCorrection: field(z.boolean().default(false), 'Corrects the moments of adam for their start.', {
    source: 'facebookresearch/dadaptation',
  }),
  weightDecay: real('Strength of the weight decay.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'facebookresearch/dadaptation',
  }),
  decay: field(
    z.enum(['coupled', 'decoupled']).default('decoupled'),
    'coupled: times x, added to the gradient. decoupled: times the step size and x, subtracted from x, of adam and lion.',
    { source: 'facebookresearch/dadaptation' },
  ),
}
type Config = PresetConfig<typeof fields>

const tensor = { kind: 'tensor' as const }
const global = { kind: 'global' as const }

/** Lines that raise the estimate where the bound says so; `step` is the rate of this step, made from the old one. */
const raise = ({ growthRate }: Config, bound: string, length: string) => [
  `length = ${length}`,
  `bound = length > 0 ? (${bound})/length : 0`,
  `d = max(d, ${growthRate === undefined ? 'bound' : 'min(bound, d*growthRate)'})`,
]

function averaged(config: Config): { text: string[]; slots: object; answer?: string } {
  const { option } = config
  return {
    text: [
      'e = d*lr',
      'x0 = t == 1 ? x : x0',
      'W = W + e',
      'answer = W > 0 ? answer + e/W*(x - answer) : x',
      'n = norm(g, all)',
      // The first rate is 1/|g_0|; from then on 1/sqrt(sum |g|^2).
      'rate = G > 0 ? 1/sqrt(G) : (n > 0 ? 1/n : 0)',
      `total = total + ${option === 'I' ? 'rate*e^2*n^2' : 'e*rate*dot(g, s, all)'}`,
      's = s + e*g',
      'G = G + n^2',
      'rate = G > 0 ? 1/sqrt(G) : 0',
      ...raise(config, option === 'I' ? '(rate*length^2 - total)/2' : 'total', 'norm(s, all)'),
      'x = x0 - rate*s',
    ],
    slots: { x0: tensor, s: tensor, answer: tensor, d: global, W: global, G: global, total: global },
    answer: 'answer',
  }
}

function sgd(config: Config) {
  return {
    text: [
      'x0 = t == 1 ? x : x0',
      'first = first > 0 ? first : norm(g, all)',
      'e = first > 0 ? d*lr/first : 0',
      'total = total + e*dot(g, s, all)',
      's = s + e*g',
      ...raise(config, '2*total', 'norm(s, all)'),
      'x = momentum*x + (1 - momentum)*(x0 - s)',
    ],
    slots: { x0: tensor, s: tensor, d: global, first: global, total: global },
  }
}

function adagrad(config: Config) {
  const scaled = (of: string) => ratio(of, 'sqrt(A)', config.eps)
  return {
    text: [
      'x0 = t == 1 ? x : x0',
      'e = d*lr',
      'A = A + g^2',
      `total = total + e^2*sum(${scaled('g^2')}, all)`,
      's = s + e*g',
      ...raise(config, `sum(${scaled('s^2')}, all) - total`, 'sum(abs(s), all)'),
      `x = momentum*x + (1 - momentum)*(x0 - ${scaled('s')})`,
    ],
    slots: { x0: tensor, s: tensor, A: { kind: 'tensor' as const, initial: 1e-6 }, d: global, total: global },
  }
}

/** The sums of adam and lion forget at the rate q = sqrt(beta2). */
const FORGET = 'total = q*total + (1 - q)*a'

function adam(config: Config) {
  const { eps, biasCorrection, weightDecay, decay } = config
  return {
    text: [
      `e = d*lr${biasCorrection ? '*sqrt(1 - beta2^t)/(1 - beta1^t)' : ''}`,
      ...(weightDecay > 0 && decay === 'decoupled' ? ['x = x - weightDecay*e*x'] : []),
      `a = e*dot(g, ${ratio('s', 'sqrt(v)', eps)}, all)`,
      'm = beta1*m + e*(1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      's = q*s + e*(1 - q)*g',
      FORGET,
      ...raise(config, 'total/(1 - q)', 'sum(abs(s), all)'),
      `x = x - ${ratio('m', 'sqrt(v)', eps)}`,
    ],
    slots: { m: tensor, v: tensor, s: tensor, d: global, total: global },
  }
}

function lion(config: Config) {
  const { weightDecay, decay } = config
  return {
    text: [
      'e = d*lr',
      ...(weightDecay > 0 && decay === 'decoupled' ? ['x = x - weightDecay*e*x'] : []),
      'u = sign(beta1*m + (1 - beta1)*g)',
      'x = x - e*u',
      'm = beta2*m + (1 - beta2)*e*g',
      'a = e*dot(u, s, all)',
      's = q*s + e*(1 - q)*u',
      FORGET,
      ...raise(config, 'total/(1 - q)', 'sum(abs(s), all)'),
    ],
    slots: { m: tensor, s: tensor, d: global, total: global },
  }
}

const RULES = { da: averaged, sgd, adam, adagrad, lion }

function rule(config: Config) {
  const { variant, d0, growthRate, momentum, beta1, weightDecay, decay } = config
  const { text, slots, answer } = RULES[variant](config) as ReturnType<typeof averaged>
  const beta2 = config.beta2 ?? (variant === 'lion' ? 0.99 : 0.999)
  return {
    text: [...(weightDecay > 0 && decay === 'coupled' ? ['g = g + weightDecay*x'] : []), ...text, 'report d = d'].join(
      '\n',
    ),
    slots: { ...slots, d: { kind: 'global' as const, initial: d0 } },
    answer,
    scalars: () => ({
      ...{ momentum, beta1, beta2, q: Math.sqrt(beta2), eps: config.eps, weightDecay },
      ...(growthRate === undefined ? {} : { growthRate }),
    }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'd-adaptation',
  title: 'D-Adaptation',
  summary:
    'Dual averaging, SGD, Adam, AdaGrad or Lion without a learning rate: it follows from a bound on the distance to the ' +
    'solution, which is reported as d.',
  references: [
    {
      authors: 'A. Defazio, K. Mishchenko',
      title: 'Learning-Rate-Free Learning by D-Adaptation',
      year: 2023,
      url: 'https://arxiv.org/abs/2301.07733',
    },
  ],
  fields,
  rule,
  check: ({ variant, weightDecay, decay }) =>
    weightDecay > 0 && decay === 'decoupled' && variant !== 'adam' && variant !== 'lion'
      ? [{ path: 'config.decay', message: `the decay of ${variant} is "coupled"` }]
      : [],
  recipes: [
    { problem: 'quadratic', config: { variant: 'sgd' }, maxEvaluations: 500, target: 1e-6 },
    { problem: 'quadratic', config: { variant: 'da', option: 'I', d0: 1e-3 }, maxEvaluations: 1000, target: 0.1 },
    {
      problem: 'quadratic',
      config: { variant: 'adam', schedule: { id: 'linear', steps: 600 } },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
})
