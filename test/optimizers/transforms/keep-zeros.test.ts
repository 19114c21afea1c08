import { expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { method as adamw } from '../../../src/optimizers/presets/adamw.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

const start = { w: [0.5, 0, -1, 0], bias: [0, 0] }
const gradient = { w: [1, 2, 3, -4], bias: [1, -1] }

test.each([
  ['sgd', sgd],
  ['adamw', adamw],
] as const)('[es-lottery] a ticket is trained by gradients: zeros stay, the rest moves as ever (%s)', (_, method) => {
  const run = (m: AnyMethod, transforms: object[]) =>
    new Session(m, vectors(start), { config: { learningRate: 0.1, transforms } })
  const [masked, plain] = [run(method, [{ id: 'keep-zeros' }]), run(method, [])]
  for (let t = 0; t < 5; t++) {
    if (t === 3) masked.restart()
    masked.tell(gradient)
    plain.tell(gradient)
  }
  const [x, free] = [masked.state.x, plain.state.x]
  expect([...x.w].map((v, i) => (i % 2 === 1 ? v : v - free.w[i]))).toEqual([0, 0, 0, 0])
  expect([...x.bias]).toEqual([...free.bias])
})

test('keep-zeros: tensors that are listed are not masked', () => {
  const session = new Session(sgd, vectors(start), {
    config: { learningRate: 0.1, transforms: [{ id: 'keep-zeros', dense: ['w'] }] },
  })
  session.tell(gradient)
  expect([...session.state.x.w]).toEqual([0.4, -0.2, -1.3, 0.4].map((v) => expect.closeTo(v, 12)))
  expect([...session.state.x.bias]).toEqual([0, 0])
  const wrong = { config: { transforms: [{ id: 'keep-zeros', dense: ['v'] }] } }
  expect(() => new Session(sgd, vectors(start), wrong)).toThrow('transforms[0].dense[0]: the space has no tensor "v"')
})
