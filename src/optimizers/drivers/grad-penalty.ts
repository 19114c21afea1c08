/**
 * Geiping, Goldblum, Pope, Moeller, Goldstein, "Stochastic Training is Not Necessary for Generalization", ICLR 2022,
 * section 3.3: full-batch descent with the implicit regularization of SGD made explicit. The loss of each fixed block of the
 * data gets the penalty (lr/8)*s*|grad L_b|^2, whose gradient (lr/4)*s*H_b*g_b is a difference of two gradients of the block.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  blocks: field(
    z.int().min(1),
    'Blocks that the data is split into, once and for all. The sample key of block k is "e" and k, from 0.',
  ),
  sizes: field(
    z.array(z.number().positive()).default([]),
    'Examples of each block, for their weights in the mean; without them, all are alike.',
  ),
  blockStrength: real('Strength s of the penalty on the gradient of each block.', {
    default: 0.5,
    min: 0,
    source: 'JonasGeiping/fullbatchtraining, gradreg',
  }),
  fullStrength: real('Strength of the same term for the full gradient, that of the pass before.', {
    default: 0,
    min: 0,
    source: 'JonasGeiping/fullbatchtraining: acc_strength',
  }),
  difference: field(
    z.enum(['forward', 'central', 'hvp']).default('forward'),
    'How the curvature is had: one gradient ahead, one on each side, or a product with the Hessian.',
    { source: 'section 3.3' },
  ),
  eps: real('Length of a difference.', { default: 1e-2, above: 0, source: 'JonasGeiping/fullbatchtraining' }),
}
type Config = PartConfig<typeof fields>

function square(tensors: Tensors): number {
  let sum = 0
  for (const values of Object.values(tensors)) for (let i = 0; i < values.length; i++) sum += values[i] * values[i]
  return sum
}

const ask = ({ state }: Drive, phase: string, more: Partial<Ask> = {}): Ask => {
  state.phase = phase
  return { point: 'x', purpose: phase, example: state.shard, ...more }
}

/** Adds the share of the block at hand to a mean over the blocks. */
function gather({ blocks, sizes }: Config, drive: Drive, g: Tensors, mean: string) {
  const { shard } = drive.state
  const share = sizes.length > 0 ? sizes[shard] / sizes.reduce((sum, size) => sum + size, 0) : 1 / blocks
  const scalars = () => ({ first: Number(shard === 0), share })
  drive.run({ text: 'x = (first ? 0 : x) + share*g', scalars }, mean, { g })
}

/** Asks the gradient of the block at w + side*eps*v/|v|, or at w itself where v is 0. */
function beside(drive: Drive, eps: number, phase: 'ahead' | 'behind'): Ask {
  const piece: Piece = {
    text: 'n = norm(v, all)\nx = w + (n > 0 ? reach/n : 0)*v',
    scalars: () => ({ reach: phase === 'ahead' ? eps : -eps }),
    inputs: ['w', 'v'],
  }
  drive.run(piece, 'beside', { w: drive.x, v: drive.state.points.direction })
  return ask(drive, phase, { point: 'beside', aside: true })
}

/** Takes the gradient of a block: asks for the curvature along it, where it is penalized. */
function open(config: Config, drive: Drive, g: Tensors): Ask {
  const { state } = drive
  const { blocks, blockStrength, fullStrength, difference, eps } = config
  const length = Math.sqrt(square(g))
  const { blockNorm = 0, penalty = 0 } = (state.shard > 0 && state.reports) || {}
  state.reports = {
    blockNorm: blockNorm + length / blocks,
    penalty: penalty + ((drive.learningRate / 8) * blockStrength * length ** 2) / blocks,
  }
  drive.copy(g, 'block')
  if (blockStrength === 0 && fullStrength === 0) return close(config, drive)
  const { past } = state.points
  const direction: Piece = {
    text: past ? 'x = own*g + whole*past' : 'x = own*g',
    scalars: () => ({ own: blockStrength, whole: fullStrength }),
    inputs: past ? ['past'] : [],
  }
  drive.run(direction, 'direction', past ? { g, past } : { g })
  if (past) gather(config, drive, g, 'full')
  if (difference !== 'hvp') return beside(drive, eps, 'ahead')
  return ask(drive, 'curvature', { others: ['direction'], wants: [{ kind: 'hvp', curvature: 'hessian' }] })
}

/** Adds (lr/4)*H*v to the gradient of the block: `change` is H*v, or a difference of gradients over `eps` along v. */
function bend(drive: Drive, change: Tensors, base: Tensors | undefined, eps: number): void {
  const piece: Piece = base
    ? { text: 'x = x + lr/4*(norm(v, all)/eps)*(g - base)', scalars: () => ({ eps }), inputs: ['v', 'base'] }
    : { text: 'x = x + lr/4*g' }
  drive.run(piece, 'block', base ? { g: change, v: drive.state.points.direction, base } : { g: change })
}

/** Adds the block to the mean; asks the next, or takes a step after the last. */
function close(config: Config, drive: Drive): Ask {
  const { state } = drive
  const { block, mean, full } = state.points
  gather(config, drive, block, 'mean')
  state.shard = (state.shard + 1) % config.blocks
  if (state.shard === 0) {
    if (full) drive.copy(full, 'past')
    drive.update(mean)
  }
  return ask(drive, 'block')
}

export const gradPenalty = defineDriver({
  id: 'grad-penalty',
  summary:
    'The gradients of all blocks of the data, each with that of a penalty on its norm: steps of full-batch descent that ' +
    'are regularized as those of small batches are.',
  fields,
  wants: ({ difference, blockStrength, fullStrength }) =>
    difference === 'hvp' && blockStrength + fullStrength > 0 ? ['gradient', 'hvp'] : ['gradient'],
  points: ({ difference, fullStrength }) => [
    ...['block', 'mean', 'direction'],
    ...(difference === 'hvp' ? [] : ['beside']),
    ...(difference === 'central' ? ['ahead'] : []),
    ...(fullStrength > 0 ? ['full', 'past'] : []),
  ],
  begin: (_, drive) => ask(drive, 'block'),
  advance(config, drive, told, { products }) {
    const { phase, points } = drive.state
    const { difference, eps } = config
    if (phase === 'block') return open(config, drive, told)
    if (phase === 'ahead' && difference === 'central') {
      drive.copy(told, 'ahead')
      return beside(drive, eps, 'behind')
    }
    if (phase === 'curvature') bend(drive, products[0], undefined, eps)
    else if (phase === 'behind') bend(drive, points.ahead, told, 2 * eps)
    else bend(drive, told, points.block, eps)
    return close(config, drive)
  },
  check: ({ blocks, sizes }) =>
    sizes.length === 0 || sizes.length === blocks
      ? []
      : [{ field: 'sizes', message: `expected a size for each of the ${blocks} blocks, got ${sizes.length}` }],
})
