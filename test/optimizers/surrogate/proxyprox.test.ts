import { expect, test } from 'vitest'
import { method } from '../../../src/optimizers/surrogate/proxyprox.js'
import { Game, type Operator, players } from '../saddle/game.js'

/** f = 50 x1^2 + x2^2/2 and its proxy h = 49.5 x1^2 + x2^2/4. */
const oracle: Operator = ({ x }, { purpose }) =>
  purpose === 'target' ? { x: [100 * x[0], x[1]] } : { x: [99 * x[0], x[1] / 2] }

test('[proxyprox] one target gradient per proximal step: x2 falls threefold, where gradient descent hardly moves', () => {
  const exact = { eta: 1, innerTolerance: 1e-9, innerMax: 5000 }
  for (const config of [{ smoothness: 99 }, { smoothness: 99, inner: 'agd' }, { innerStep: 0.01 }, {}]) {
    const game = new Game(method, players({ x: [1, 1] }), { ...exact, ...config })
    for (let k = 1; k <= 5; k++) {
      const [x1, x2] = game.steps(1, oracle).x
      expect(Math.abs(x1)).toBeLessThan(1e-6)
      expect(Math.abs(x2 - 3 ** -k)).toBeLessThan(1e-6)
      expect(game.metrics.targetGradients).toBe(k)
    }
  }
  const descent = new Game(method, players({ x: [1, 1] }), { innerStep: 0.01, innerMax: 1 }).steps(5, oracle)
  expect(descent.x[1]).toBeGreaterThan(0.95)
})

test('[proxyprox] one inner step is a gradient step on f; without a proxy, a step of eta', () => {
  const single = new Game(method, players({ x: [1, 1] }), { innerStep: 0.003, innerMax: 1, eta: 7 })
  let x = [1, 1]
  for (let k = 0; k < 20; k++) {
    x = [x[0] - 0.003 * 100 * x[0], x[1] - 0.003 * x[1]]
    const got = single.steps(1, oracle).x
    for (const i of [0, 1]) expect(Math.abs(got[i] - x[i])).toBeLessThan(1e-12)
  }
  expect(single.metrics).toMatchObject({ targetGradients: 20, proxyGradients: 20 })

  const none: Operator = (at, query) => (query.purpose === 'target' ? oracle(at, query) : { x: [0, 0] })
  const free = new Game(method, players({ x: [1, 1] }), { eta: 0.004, smoothness: 0, innerTolerance: 1e-14 })
  x = [1, 1]
  for (let k = 0; k < 20; k++) {
    x = [x[0] - 0.004 * 100 * x[0], x[1] - 0.004 * x[1]]
    const got = free.steps(1, none).x
    for (const i of [0, 1]) expect(Math.abs(got[i] - x[i])).toBeLessThan(1e-12)
  }
})

test('proxyprox: names the function, shares the sample of an outer step, draws its output, refuses agd without a step', () => {
  const game = new Game(method, players({ x: [1, 1] }), { smoothness: 99, output: 'random' })
  const keys = new Set<string>()
  expect(game.query.purpose).toBe('target')
  game.tell(oracle)
  while (game.query.purpose === 'proxy') {
    keys.add(game.query.sampleKey!)
    game.tell(oracle)
  }
  expect(keys.size).toBe(1)
  const seen = [game.x[1]]
  for (let k = 0; k < 30; k++) {
    game.restart()
    seen.push(game.steps(1, oracle).x[1])
  }
  expect(new Set(seen).size).toBeLessThan(seen.length)
  expect(() => new Game(method, players({ x: [1] }), { inner: 'agd' })).toThrow('config.inner')
})
