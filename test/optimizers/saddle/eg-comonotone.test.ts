import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/saddle/eg-comonotone.js'
import { Game, type Operator, players } from './game.js'

const RHO = 0.3
/** F = R z, a rotation by more than a right angle: exactly 0.3-negative comonotone, Lipschitz constant 1. */
const rotation: Operator = ({ z }) => {
  const c = -RHO
  const s = Math.sqrt(1 - c * c)
  return { z: [c * z[0] + s * z[1], -s * z[0] + c * z[1]] }
}
const start = (config: object, z = [1, 0.5]) => new Game(method, players({ z }), config)
const length = (x: readonly number[]) => Math.hypot(...x)

describe('[eg-comonotone] factors per step on a 0.3-negative comonotone rotation', () => {
  test.each([
    [{ variant: 'prox-point', learningRate: 0.5 }, 1.025978],
    [{ variant: 'prox-point', learningRate: 0.6 }, 1],
    [{ variant: 'prox-point', learningRate: 1 }, 0.845154],
    [{ extrapolation: 1, learningRate: 0.2 }, 0.946573],
    [{ extrapolation: 0.5, learningRate: 0.5 }, 1.130265],
  ])('%j: %f', (config, factor) => {
    const game = start(config)
    for (let k = 0; k < 10; k++) {
      const before = length(game.x)
      game.steps(1, rotation)
      expect(Math.abs(length(game.x) / before - factor)).toBeLessThan(1e-5)
    }
  })
})

test('[eg-comonotone] 20 told points give rho and L; a monotone operator has rho 0', () => {
  const game = start({ variant: 'og' })
  for (let k = 0; k < 20; k++) game.tell(rotation)
  expect(Math.abs(game.metrics.rho - RHO)).toBeLessThan(1e-9)
  expect(Math.abs(game.metrics.lipschitz - 1)).toBeLessThan(1e-9)
  const monotone = start({})
  for (let k = 0; k < 20; k++) monotone.tell(({ z }) => ({ z: [z[0] + z[1], z[1] - z[0]] }))
  expect(monotone.metrics.rho).toBe(0)
})

test('eg-comonotone: the verdict on the steps, and the norms of F', () => {
  const verdict = (config: object) => {
    const game = start(config)
    for (let k = 0; k < 4; k++) game.tell(rotation)
    return game.metrics.guaranteed
  }
  expect(verdict({ extrapolation: 1, learningRate: 0.2 })).toBe(1)
  expect(verdict({ extrapolation: 0.5, learningRate: 0.5 })).toBe(0)
  expect(verdict({ variant: 'prox-point', learningRate: 0.7 })).toBe(1)
  expect(verdict({ variant: 'prox-point', learningRate: 0.5 })).toBe(0)
  const game = start({ extrapolation: 1, learningRate: 0.2 }).steps(30, rotation)
  expect(game.metrics.bestSquaredNorm).toBeLessThan(0.1 * length([1, 0.5]) ** 2)
  expect(game.metrics.bestSquaredNorm).toBeLessThanOrEqual(game.metrics.squaredNorm)
})

test('eg-comonotone: og is past extragradient with two steps', () => {
  const rng = new Rng(rngStream(1, 'start'))
  const z = [rng.normal(), rng.normal()]
  const game = start({ variant: 'og', extrapolation: 0.3, learningRate: 0.1 }, z)
  let x = z
  let ahead = z
  for (let k = 0; k < 20; k++) {
    const [p, q] = (rotation({ z: Float64Array.from(ahead) }, game.query) as { z: number[] }).z
    x = [x[0] - 0.1 * p, x[1] - 0.1 * q]
    ahead = [x[0] - 0.3 * p, x[1] - 0.3 * q]
    game.steps(1, rotation)
    expect(game.x[0]).toBeCloseTo(x[0], 12)
    expect(game.x[1]).toBeCloseTo(x[1], 12)
  }
  expect(() => new Game(method, players({ z: [1, 1] }, { low: 0 }))).toThrow('keeps to no bounds')
})
