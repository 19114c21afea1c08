/**
 * Terms beside a loss that clients differentiate and the session weighs: the gradient of the loss and those of the terms
 * are asked on one sample, and the rule gets their sum.
 */
import type { Tensors } from '../../core/tensor.js'
import type { Ask, Asked, Drive } from './driver.js'

/** A gradient to be asked by this purpose, and the factor of its term in the loss. */
export type Term = { purpose: string; weight: number }

const SAMPLE = '.0'
export const loss = (wants?: readonly Asked[]): Ask => ({ point: 'x', purpose: 'step', sample: SAMPLE, wants })

/** Adds what was told to the sum; asks the next term, or takes a step when there is none. */
export function sum(drive: Drive, told: Tensors, terms: readonly Term[], wants?: readonly Asked[]): Ask {
  const { state } = drive
  if (terms.length === 0) {
    drive.update(told)
    return loss(wants)
  }
  if (state.shard === 0) drive.copy(told, 'sum')
  else {
    const { weight } = terms[state.shard - 1]
    drive.run({ text: 'x = x + weight*g', scalars: () => ({ weight }) }, 'sum', { g: told })
  }
  if (state.shard < terms.length)
    return { point: 'x', purpose: terms[state.shard++].purpose, sample: SAMPLE, aside: true }
  state.shard = 0
  drive.update(state.points.sum)
  return loss(wants)
}
export const points = (terms: readonly Term[]) => (terms.length > 0 ? ['sum'] : [])
