/**
 * Extragradient and its single-call variants, for games and variational inequalities:
 * Korpelevich 1976 (eg); Hsieh, Iutzeler, Malick, Mertikopoulos, "On the convergence of single-call stochastic
 * extra-gradient methods", NeurIPS 2019 (peg, rg, og: algorithms 1 to 3).
 *
 * Written with R(x, v), the point that the rule reaches from x with the gradient v; plain SGD makes R = x - lr*v and these
 * the methods of the paper. P is the set that iterates are kept in.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import type { PartConfig } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  variant: field(
    z.enum(['eg', 'peg', 'rg', 'og']).default('eg'),
    'eg: two gradients per step. One gradient per step: past (peg), reflected (rg), optimistic (og).',
    { source: 'Hsieh et al. 2019, section 3' },
  ),
  start: field(
    z.enum(['call', 'zero']).default('call'),
    'First memory of peg and og: the gradient at the start (one extra query), or zero.',
    { source: 'Hsieh et al. 2019, section 3' },
  ),
  sameSample: field(z.boolean().default(false), 'The two gradients of an eg step share their sample.', {
    source: 'Mishchenko et al. 2020, section 3',
  }),
}
type Config = PartConfig<typeof fields>

const ask = (drive: Drive, phase: 'extrapolation' | 'leading', point: string, sample = ''): Ask => {
  drive.state.phase = phase
  return { point, purpose: phase, sample }
}

/** Asks at the leading point Z = P(R(x, memory)). */
function lead(drive: Drive, memory: Tensors, sample = ''): Ask {
  drive.probe(memory, 'leading')
  return ask(drive, 'leading', 'leading', sample)
}

const reflect: Piece = { text: 'x = w - (past - w)', inputs: ['w', 'past'] }
const shift: Piece = { text: 'x = w + z - x', inputs: ['w', 'z'] }

export const extragradient = defineDriver({
  id: 'extragradient',
  summary: 'Steps with the gradient at a point ahead: convergent on games where plain descent is not.',
  fields,
  leading: true,
  points: ({ variant }: Config) =>
    variant === 'eg' ? ['leading'] : variant === 'og' ? ['leading', 'memory', 'free'] : ['leading', 'memory'],
  begin({ variant, start }, drive) {
    if (variant === 'rg') {
      drive.copy(drive.x, 'leading')
      return ask(drive, 'leading', 'leading')
    }
    if (variant !== 'eg' && start === 'zero') return lead(drive, drive.state.points.memory)
    return ask(drive, 'extrapolation', 'x')
  },
  advance({ variant, sameSample }, drive, gradient) {
    const { leading, memory, free } = drive.state.points
    if (drive.state.phase === 'extrapolation') {
      if (variant === 'eg') return lead(drive, gradient, sameSample ? '' : '.leading')
      drive.copy(gradient, 'memory')
      return lead(drive, memory)
    }
    switch (variant) {
      case 'rg':
        // Z = x - (past - x), which may lie outside the set.
        drive.copy(drive.x, 'memory')
        drive.update(gradient, { at: leading })
        drive.run(reflect, 'leading', { w: drive.x, past: memory })
        return ask(drive, 'leading', 'leading')
      case 'og':
        // x = Z + (R(x, v) - R(x, memory)) without a projection; where nothing is projected this is peg.
        if (drive.constrained) {
          drive.probe(memory, 'free', { project: false })
          drive.run(shift, 'free', { w: drive.x, z: leading })
          drive.copy(free, 'x')
        }
        drive.update(gradient, { at: leading, project: false })
        break
      default:
        drive.update(gradient, { at: leading })
    }
    if (variant === 'eg') return ask(drive, 'extrapolation', 'x')
    drive.copy(gradient, 'memory')
    return lead(drive, memory)
  },
})
