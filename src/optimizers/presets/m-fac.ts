/**
 * Frantar, Kurtic, Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information", 2021: natural
 * gradient steps by the Fisher matrix of the last gradients.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { spaceOf } from '../flat.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { divide, emptyWindow, type GradientWindow, push } from '../second-order/gradient-window.js'

const fields = {
  learningRate: real('Step size.', { default: 1e-3, min: 0, mutable: true, log: true, source: 'section 4.1' }),
  ngrads: field(z.int().min(1).max(4096).default(1024), 'Gradients in the window, m: the state holds m times x.', {
    source: 'section 4.1',
  }),
  damp: real('Added to the diagonal of the Fisher matrix.', { default: 1e-5, above: 0, source: 'section 4.1' }),
  momentum: real('Decay of the mean of directions.', { default: 0.9, min: 0, below: 1, source: 'section 4.1' }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'IST-DASLab/M-FAC',
  }),
}
type Config = PresetConfig<typeof fields>

/** Elements of a window. */
const LARGEST = 2 ** 28

export const mfacReference = {
  authors: 'E. Frantar, E. Kurtic, D. Alistarh',
  title: 'M-FAC: Efficient Matrix-Free Approximations of Second-Order Information',
  year: 2021,
  url: 'https://arxiv.org/abs/2107.03356',
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['natural'],
  begin: ({ ngrads, damp }, { tensors }) => emptyWindow(tensors, ngrads, damp),
  inputs({ ngrads, damp, weightDecay }, _, { gradient, point, kept }) {
    const window = kept as GradientWindow
    const g = Object.fromEntries(
      Object.entries(gradient).map(([name, values]) => [
        name,
        weightDecay > 0 ? values.map((value, i) => value + weightDecay * point[name][i]) : values,
      ]),
    )
    push(window, ngrads, damp, g)
    return { natural: divide(window, ngrads, damp, g) }
  },
}

export const method = gradientMethod<typeof fields>({
  id: 'm-fac',
  title: 'M-FAC',
  summary:
    'Natural gradient steps from a sliding window of gradients, in time and memory linear in the parameters. Products, ' +
    'entries and pruning by the same matrix: m-fac-static.',
  references: [mfacReference],
  fields,
  host,
  equations: () => [
    String.raw`F = \lambda I + \frac{1}{m} G^\top G,\quad F^{-1} g = \frac{g}{\lambda} - G^\top (\lambda m I + G G^\top)^{-1} \frac{G g}{\lambda}`,
  ],
  check({ ngrads }, problem) {
    const parameters = totalElements(spaceOf(problem).tensors)
    if (ngrads * parameters <= LARGEST) return []
    const message = `${ngrads} gradients of ${parameters} elements are too many; at most ${LARGEST} elements are kept`
    return [{ path: 'config.ngrads', message }]
  },
  rule: ({ momentum }: Config): Piece => ({
    text: momentum > 0 ? 'v = momentum*v + (1 - momentum)*natural\nx = x - lr*v' : 'x = x - lr*natural',
    slots: momentum > 0 ? { v: { kind: 'tensor' } } : {},
    inputs: ['natural'],
    scalars: () => ({ momentum }),
  }),
  heavy: true,
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 1, ngrads: 8, damp: 1, momentum: 0.5 },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
})
