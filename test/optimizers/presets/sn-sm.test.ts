import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { method as adagrad } from '../../../src/optimizers/presets/adagrad.js'
import { method as adagradNorm } from '../../../src/optimizers/presets/adagrad-norm.js'
import { method as adagradSn } from '../../../src/optimizers/presets/adagrad-sn.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adamsn } from '../../../src/optimizers/presets/adamsn.js'
import { method as adamsnsm } from '../../../src/optimizers/presets/adamsnsm.js'
import { Session } from '../session.js'

const matrix = (rows: number, columns: number): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'W', shape: [rows, columns], dtype: 'f64' }],
})
const start = (method: { id: string }, space: TensorsSpace, config: object) =>
  new Session(method as typeof adamsn, space, { config })
const normals = (count: number, seed: number) => {
  const rng = new Rng(rngStream(seed, 'gradients'))
  return Array.from({ length: count }, () => rng.normal())
}
const near = (found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) => {
  for (let i = 0; i < expected.length; i++) expect(Math.abs(found[i] - expected[i])).toBeLessThan(tolerance)
}
/** Momentum in a subspace and nothing else. */
const SM = { secondMoment: 'none', biasCorrection: false, learningRate: 0.1 }

test('[sn-sm] subset-norm: the first step is the gradient over the norm of its subset', () => {
  const config = { subsetSize: 2, learningRate: 0.1, eps: 0 }
  near(start(adamsn, matrix(2, 2), config).tell({ W: [3, 4, 0, 2] }).state.x.W, [-0.06, -0.08, 0, -0.1], 1e-9)
  const adams = start(adam, matrix(2, 2), { learningRate: 0.1, eps: 0 }).tell({ W: [3, 4, 0, 2] })
  near(adams.state.x.W, [-0.1, -0.1, 0, -0.1], 1e-9)
})

test('[sn-sm] subspace-momentum: plain gradient outside of the subspace', () => {
  const first = start(adamsn, matrix(2, 2), { ...SM, rank: 1 }).tell({ W: [3, 0, 0, 1] })
  near(first.state.x.W, [-0.03, 0, 0, -0.1], 1e-9)

  const run = (config: object) => {
    const session = start(adamsn, matrix(4, 3), { ...SM, ...config })
    return Array.from({ length: 20 }, (_, k) => Array.from(session.tell({ W: normals(12, k) }).state.x.W))
  }
  const [full, none] = [run({ rank: 3 }), run({ rank: 0 })]
  const [m, x, y] = [0, 1, 2].map(() => new Float64Array(12))
  for (let k = 0; k < 20; k++) {
    for (const [i, g] of normals(12, k).entries()) {
      m[i] = 0.9 * m[i] + 0.1 * g
      x[i] -= 0.1 * m[i]
      y[i] -= 0.1 * g
    }
    near(full[k], x, 1e-12)
    near(none[k], y, 1e-12)
  }
})

test('[sn-sm] state of a 64 by 64 tensor', () => {
  const count = (method: { id: string }, config: object) => {
    const session = start(method, matrix(64, 64), config)
    return session.tell({ W: normals(4096, 1) }).metrics.slotElements
  }
  expect(count(adam, {})).toBe(8192)
  expect(count(adamsn, { subsetSize: 64 })).toBeLessThanOrEqual(4160)
  expect(count(adamsnsm, { subsetSize: 64, rank: 8 })).toBeLessThanOrEqual(64 + 512 + 512)
})

test('[sn-sm] subsets of one element and of all are AdaGrad and AdaGrad-Norm; others in between', () => {
  const run = (method: { id: string }, config: object) => {
    const session = start(method, matrix(3, 4), { learningRate: 0.1, ...config })
    for (let k = 0; k < 10; k++) session.tell({ W: normals(12, k) })
    return session.state.x.W
  }
  near(run(adagradSn, { subsetSize: 1, eps: 1e-10 }), run(adagrad, {}), 1e-12)
  near(run(adagradSn, { subsetSize: 12, eps: 0 }), run(adagradNorm, { gamma: 0 }), 1e-12)
  // The largest divisor of 12 up to 5 is 4: the rows, as by the root of 12 (3), which has the divisor 3.
  expect(start(adagradSn, matrix(3, 4), { subsetSize: 5 }).state.slots.v.W.length).toBe(3)
  expect(start(adagradSn, matrix(3, 4), {}).state.slots.v.W.length).toBe(4)
  expect(start(adagradSn, matrix(3, 4), { subsetSize: -2 }).state.slots.v.W.length).toBe(12)
})

test('[sn-sm] heuristics: one number per row, or per column where there are more columns', () => {
  const step = (rows: number, columns: number, g: readonly number[]) => {
    const config = { secondMoment: 'sum', subsetSize: 'heuristics', beta1: 0, eps: 0, learningRate: 1 }
    return start(adamsn, matrix(rows, columns), config).tell({ W: g }).state.x.W
  }
  near(step(3, 2, [3, 4, 1, 0, 0, -2]), [-0.6, -0.8, -1, 0, 0, 1], 1e-12)
  near(step(2, 3, [3, 1, 0, 4, 0, -2]), [-0.6, -1, 0, -0.8, 0, 1], 1e-12)
})

test('[sn-sm] the subspace: singular vectors of either side, chosen rows, new ones every period', () => {
  // With beta1 0.5 and nothing else, half of the gradient in the subspace is held back in the first step.
  const held = (rows: number, columns: number, config: object, g: readonly number[]) => {
    const session = start(adamsn, matrix(rows, columns), { ...SM, learningRate: 1, beta1: 0.5, ...config })
    return Array.from(session.tell({ W: g }).state.x.W, (x, i) => 2 * (x + g[i]))
  }
  const wide = [5, 0, 0, 0, 1, 0]
  near(held(2, 3, { rank: 1 }, wide), [5, 0, 0, 0, 0, 0], 1e-9)
  near(held(3, 2, { rank: 1 }, [5, 0, 0, 1, 0, 0]), [5, 0, 0, 0, 0, 0], 1e-9)
  near(held(3, 2, { rank: 1, projection: 'topk' }, [1, 2, 4, 4, 0, 3]), [0, 0, 4, 4, 0, 0], 1e-12)
  const rows = held(3, 2, { rank: 2, projection: 'uniform' }, [1, 1, 2, 2, 3, 3])
  expect(rows.filter((v) => v !== 0).length).toBe(4)

  const drifting = (config: object) => {
    const session = start(adamsn, matrix(2, 2), { ...SM, rank: 1, projection: 'topk', updateEvery: 2, ...config })
    session
      .tell({ W: [3, 0, 0, 1] })
      .tell({ W: [3, 0, 0, 1] })
      .tell({ W: [0, 0, 0, 5] })
    return session.state.kept.momentum.W
  }
  near(drifting({}), [0, 0.5], 1e-12)
  near(drifting({ keepMomentum: true }), [0.9 * 0.57, 0.5], 1e-12)
  expect(() => start(adamsn, matrix(2, 2), { rank: 1, driver: { id: 'sam' } })).toThrow('config.driver')
})
