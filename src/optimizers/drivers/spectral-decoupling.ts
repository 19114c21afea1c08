/**
 * Pezeshki, Kaba, Bengio, Courville, Precup, Lajoie, "Gradient Starvation: A Learning Proclivity in Neural Networks",
 * NeurIPS 2021, equation 17.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import { responses, starvationIndex, tangentFeatures } from '../diagnostics/gradient-starvation.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Asked, type Drive, defineDriver } from './driver.js'
import { loss, points, sum, type Term } from './terms.js'

const fields = {
  coefficient: real('Weight of the output energy, lambda; 0 asks for the gradient of the loss alone.', {
    default: 0.03,
    min: 0,
    source: 'section 4: 0.003 to 0.1',
  }),
  gamma: field(
    z.array(z.number()).default([]),
    'Outputs to be drawn to, by class from the first; 0 where none is given. Each that is not 0 needs a gradient more.',
    { source: 'section 4.3' },
  ),
  examples: field(
    z.int().min(1).max(1000).optional(),
    'Examples whose responses to the features of the tangent kernel are to be reported. With it, their labels (-1 and 1) ' +
      'and the gradients of their outputs are asked once, and their outputs every so many steps.',
    { source: 'section 3' },
  ),
  every: field(z.int().min(1).default(100), 'Steps from one report of the features to the next.', { source: 'ours' }),
  shown: field(z.int().min(1).max(20).default(5), 'Features to be reported, strongest first.', { source: 'ours' }),
}
type Config = PartConfig<typeof fields>

/** grad 1/2*mean (f - gamma)^2 = grad 1/2*mean f^2 - sum over classes c of gamma_c*grad (1/n)*sum of f over class c. */
const terms = ({ coefficient, gamma }: Config): Term[] => {
  if (coefficient === 0) return []
  const targets = gamma.map((target, c) => ({ purpose: `outputs.${c}`, weight: -coefficient * target }))
  return [{ purpose: 'energy', weight: coefficient }, ...targets.filter(({ weight }) => weight !== 0)]
}

const quantities = (purpose: string, wanted: Extract<Asked, { kind: 'quantities' }>['quantities']): Ask => ({
  point: 'x',
  purpose,
  sample: `.${purpose}`,
  wants: [{ kind: 'quantities', quantities: wanted }],
})
const outputsOf = (n: number) => ({ name: 'outputs', shape: [n], description: 'outputs of the examples' })

function askFeatures({ examples: n = 0 }: Config, { state }: Drive): Ask {
  state.phase = 'features'
  return quantities('features', [
    outputsOf(n),
    { name: 'labels', shape: [n], description: '-1 or 1 of each example' },
    { name: 'gradients', shape: [n, -1], description: 'gradient of each output by all parameters' },
  ])
}

/** Reports responses to the features, which the first answer brings. */
function respond({ shown }: Config, { state }: Drive, told: Tensors) {
  if (told.gradients) {
    const { directions, strengths } = tangentFeatures(told.gradients, told.labels)
    const labels = Float64Array.from(told.labels)
    state.arrays = { directions, strengths, labels, peaks: new Float64Array(labels.length) }
  }
  const { directions, strengths, labels, peaks } = state.arrays!
  const z = responses(directions, labels, told.outputs)
  for (let j = 0; j < z.length; j++) peaks[j] = Math.max(peaks[j], Math.abs(z[j]))
  const named = Array.from(z.subarray(0, shown), (value, j) => [
    [`response${j + 1}`, value],
    [`strength${j + 1}`, strengths[j]],
  ])
  state.reports = { starvation: starvationIndex(peaks, z), ...Object.fromEntries(named.flat()) }
}

export const spectralDecoupling = defineDriver({
  id: 'spectral-decoupling',
  summary:
    'Adds a penalty on the outputs, in place of weight decay, that keeps weak features learnable. On the sample of the ' +
    'step, the purpose `energy` asks the gradient of half the mean over examples of the squared outputs (summed over the ' +
    'outputs of one), and `outputs.c` that of the outputs of the examples of class c, summed and over the size of the sample.',
  fields,
  wants: ({ examples }) => (examples === undefined ? ['gradient'] : ['gradient', 'quantities']),
  points: (config) => points(terms(config)),
  begin: (config, drive) => (config.examples === undefined ? loss() : askFeatures(config, drive)),
  advance(config, drive, told, { quantities: [record] }) {
    const { state } = drive
    if (record) {
      respond(config, drive, record)
      state.phase = 'step'
      return loss()
    }
    const next = sum(drive, told, terms(config))
    if (config.examples === undefined || next.purpose !== 'step') return next
    state.arrays!.steps = Float64Array.of((state.arrays!.steps?.[0] ?? 0) + 1)
    return state.arrays!.steps[0] % config.every === 0 ? quantities('outputs', [outputsOf(config.examples)]) : next
  },
})
