/**
 * Zhong, Ding, Shen, Mi, Liu, Du, Tao, "Improving Sharpness-Aware Minimization with Fisher Mask for Better Generalization on
 * Language Models", Findings of EMNLP 2022, algorithm 1. The diagonal of the Fisher matrix is the squared gradient of the
 * batch at hand, as in the authors' code.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import { spaceOf } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, type DriverState, defineDriver } from './driver.js'

const fields = {
  rho: real('Radius of the neighbourhood, before the mask.', { default: 0.05, min: 0, source: 'section 4.1' }),
  keepRatio: real('Share of the elements that are perturbed, those of the largest Fisher information.', {
    default: 0.1,
    min: 0,
    max: 1,
    source: 'section 4.1: sparse ratio 0.9',
  }),
  maskEvery: field(z.int().min(1).default(100), 'Steps from one mask to the next.', { source: 'section 4.1' }),
  exclude: field(
    z.array(z.string()).default([]),
    'Tensors that have no mask (biases, embeddings, norms): all their elements are perturbed, and none is counted.',
    { source: 'WHU-ZQH/FSAM4PLM' },
  ),
  eps: real('Added to the norm of the gradient.', { default: 1e-7, min: 0, source: 'WHU-ZQH/FSAM4PLM' }),
}
type Config = PartConfig<typeof fields>

/** Over all elements: of a gradient that is zero, nothing is perturbed even with eps 0. */
const ASCENT = 'n = norm(g, all) + eps\nx = n > 0 ? w + rho*g/n*mask : w'

/** Marks the share of largest elements of g^2 with 1 and the others with 0; of equal ones, the first. */
function mark({ keepRatio, exclude }: Config, mask: DriverState['points'][string], gradient: Tensors) {
  const ranked = Object.keys(mask).filter((name) => !exclude.includes(name))
  for (const name of exclude) mask[name].fill(1)
  const sizes = new Float64Array(ranked.reduce((sum, name) => sum + gradient[name].length, 0))
  let end = 0
  for (const name of ranked) for (const g of gradient[name]) sizes[end++] = Math.abs(g)
  sizes.sort()
  const keep = Math.floor(keepRatio * sizes.length)
  const least = keep > 0 ? sizes[sizes.length - keep] : Infinity
  let equal = keep - sizes.filter((size) => size > least).length
  const marked = (size: number) => size > least || (size === least && equal-- > 0)
  for (const name of ranked) mask[name].set(gradient[name].map((g) => Number(marked(Math.abs(g)))))
}

const ask = ({ state }: Drive, phase: 'ascent' | 'descent'): Ask => {
  state.phase = phase
  return phase === 'ascent' ? { point: 'x', purpose: phase, aside: true } : { point: 'perturbed', purpose: phase }
}

export const fsam = defineDriver({
  id: 'fsam',
  summary: 'SAM that perturbs only the elements of the largest Fisher information: two gradients on the same sample.',
  fields,
  points: () => ['perturbed', 'mask'],
  begin: (_, drive) => ask(drive, 'ascent'),
  advance(config, drive, gradient) {
    const { state } = drive
    if (state.phase === 'descent') {
      drive.update(gradient)
      return ask(drive, 'ascent')
    }
    const { mask } = state.points
    if (state.shard++ % config.maskEvery === 0) mark(config, mask, gradient)
    const { rho, eps } = config
    const piece = { text: ASCENT, inputs: ['w', 'mask'], scalars: () => ({ rho, eps }) }
    drive.run(piece, 'perturbed', { g: gradient, w: drive.x, mask }, { project: true })
    return ask(drive, 'descent')
  },
  check({ exclude }, problem) {
    const names = spaceOf(problem).tensors.map(({ name }) => name)
    return exclude.flatMap((name, i) =>
      names.includes(name) ? [] : [{ field: `exclude[${i}]`, message: `"${name}" is not a tensor of the space` }],
    )
  },
})
