import { expect, test } from 'vitest'
import { method as lion } from '../../../src/optimizers/presets/lion.js'
import { of, Session, vectors } from '../session.js'

test('[lion] the first step', () => {
  const config = { learningRate: 0.1, weightDecay: 0.1 }
  const session = new Session(lion, vectors([1, -2, 3]), { config }).tell([0.3, -1e-8, 0])
  const m = session.state.slots.m.x
  for (const [i, x] of [0.89, -1.88, 2.97].entries()) expect(Math.abs(session.x[i] - x)).toBeLessThan(1e-12)
  for (const [i, mi] of [0.003, -1e-10, 0].entries()) expect(Math.abs(m[i] - mi)).toBeLessThan(1e-12)
})

test('[lion] gradients times 1024 leave 200 steps bit-identical; the state is one tensor per parameter', () => {
  const run = (scale: number) =>
    new Session(lion, vectors([1, -2, 3]), { config: { learningRate: 0.01 } }).steps(
      200,
      of((x) => Array.from(x, (xi, i) => scale * (i + 1) * (xi - 0.3))),
    )
  const session = run(1)
  expect(run(1024).x).toEqual(session.x)
  expect(session.metrics.slotElements).toBe(3)
  expect(Object.keys(session.state.slots)).toEqual(['m'])
})
