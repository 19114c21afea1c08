/** Riedmiller, Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm", 1993; without backtracking. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('First step of every element.', {
    default: 0.01,
    above: 0,
    log: true,
    source: 'torch.optim.Rprop',
  }),
  shrink: real('Factor on the step of an element whose gradient changes its sign.', {
    default: 0.5,
    above: 0,
    below: 1,
    source: 'section III',
  }),
  grow: real('Factor on the step of an element whose gradient keeps its sign.', {
    default: 1.2,
    min: 1,
    source: 'section III',
  }),
  smallest: real('Least step.', { default: 1e-6, min: 0, source: 'section III' }),
  largest: real('Largest step.', { default: 50, above: 0, source: 'section III' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'rprop',
  title: 'Rprop',
  summary:
    'Steps by the sign of full gradients; the step of an element grows while the sign stays, and shrinks when not.',
  references: [
    {
      authors: 'M. Riedmiller, H. Braun',
      title: 'A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm',
      year: 1993,
    },
  ],
  fields,
  rule: ({ learningRate, shrink, grow, smallest, largest }: PresetConfig<typeof fields>) => ({
    text: `turned = g*past < 0
step = clip(step*(turned ? shrink : g*past > 0 ? grow : 1), smallest, largest)
past = turned ? 0 : g
x = x - sign(past)*step`,
    slots: { step: { kind: 'tensor', initial: learningRate }, past: { kind: 'tensor' } },
    scalars: () => ({ shrink, grow, smallest, largest }),
  }),
  check: ({ schedule }) =>
    schedule.id === 'constant' ? [] : [{ path: 'config.schedule', message: 'has no effect; expected "constant"' }],
  invariances: ['translation', 'gradient-scale'],
  recipes: [{ problem: 'quadratic', maxEvaluations: 300, target: 1e-6 }],
})
