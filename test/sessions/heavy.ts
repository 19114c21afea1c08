/** A method for the worker pool: `dice` that takes its time. Loaded by the threads from the build. */
import { defineMethod } from '../../src/core/method.js'
import { dice } from './fakes.js'

export const heavy = defineMethod({
  ...dice,
  id: 'heavy',
  facts: { ...dice.facts, heavy: true },
  step(run, state, events) {
    if (state.told === 3) throw new Error('three is too much')
    if (state.told === 4) process.exit(7)
    let busy = 0
    for (let i = 0; i < 3e7; i++) busy += i % 3
    return busy < 0 ? { state, queries: [], status: { phase: 'running' } } : dice.step(run, state, events)
  },
})
export const methods = [heavy]
