import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { dot, gaussian, norm, plus } from '../../../src/optimizers/flat.js'
import { solve } from '../../../src/optimizers/preconditioners/dense.js'
import { method } from '../../../src/optimizers/presets/m-fac.js'
import { divide, emptyWindow, push } from '../../../src/optimizers/second-order/gradient-window.js'
import { method as mfacStatic } from '../../../src/optimizers/second-order/m-fac-static.js'
import {
  compress,
  diagonalOf,
  emptyBlocks,
  entryOf,
  productOf,
  prune,
  saliencies,
} from '../../../src/optimizers/second-order/static-fisher.js'
import { Session, vectors } from '../session.js'
import { Inquiry } from './inquiry.js'

const [D, M, DAMP] = [20, 8, 1e-2]

/** damp*I + (1/m) sum g g', dense; zero between blocks. */
const fisher = (gradients: readonly Float64Array[], m: number, damp: number, block = Infinity) => {
  const d = gradients[0].length
  return Float64Array.from({ length: d * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d]
    if (Math.floor(i / block) !== Math.floor(j / block)) return 0
    return gradients.reduce((sum, g) => sum + (g[i] * g[j]) / m, i === j ? damp : 0)
  })
}
const expectNear = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  const size = norm(b)
  for (let i = 0; i < b.length; i++) expect(Math.abs(a[i] - b[i])).toBeLessThanOrEqual(tolerance * Math.max(size, 1))
}

test('[m-fac] the static and the dynamic inverse are the dense one, and agree after 20 replacements', () => {
  const rng = new Rng(rngStream(1, 'gradients'))
  const specs = vectors({ a: Array(12).fill(0), b: Array(8).fill(0) }).tensors
  const window = emptyWindow(specs, M, DAMP)
  const cut = (g: Float64Array) => ({ a: g.subarray(0, 12), b: g.subarray(12) })
  const joined = ({ a, b }: { [name: string]: ArrayLike<number> }) =>
    Float64Array.from([...Array.from(a), ...Array.from(b)])
  const gradients: Float64Array[] = []
  for (let k = 0; k < M + 20; k++) {
    gradients.push(gaussian(rng, D))
    push(window, M, DAMP, cut(gradients[k]))
    const last = gradients.slice(-M)
    const x = gaussian(rng, D)
    const exact = solve(fisher(last, M, DAMP), x, D)
    expectNear(joined(divide(window, M, DAMP, cut(x))), exact, 1e-8)
    if (k < M - 1) continue
    const blocks = emptyBlocks(D, 0)
    for (const g of last) compress(blocks, DAMP, M, g)
    expectNear(productOf(blocks, DAMP, x), exact, 1e-8)
    const axis = solve(
      fisher(last, M, DAMP),
      Float64Array.from({ length: D }, (_, i) => Number(i === 3)),
      D,
    )
    expect(diagonalOf(blocks, DAMP)[3]).toBeCloseTo(axis[3], 8)
    for (const j of [3, 11]) expect(entryOf(blocks, DAMP, 3, j)).toBeCloseTo(axis[j], 8)
  }
})

test('[m-fac] one gradient (3, 4), m = 1, damp 1: F^-1 g = (3, 4)/26', () => {
  const session = new Session(method, vectors([0, 0]), {
    config: { ngrads: 1, damp: 1, momentum: 0, learningRate: 1 },
  })
  session.tell([3, 4])
  expectNear(session.x, [-3 / 26, -4 / 26], 1e-12)
  const told = new Inquiry(mfacStatic, vectors([0, 0]), { config: { ngrads: 1, damp: 1 } })
  told.reply({ gradients: [{ x: Float64Array.of(3, 4) }] })
  told.reply({ quantities: [{ vector: Float64Array.of(3, 4) }] })
  expectNear(told.x, [3 / 26, 4 / 26], 1e-12)
})

test('[m-fac] momentum and weight decay by hand', () => {
  const session = new Session(method, vectors([1]), {
    config: { ngrads: 1, damp: 1, momentum: 0.5, learningRate: 0.1, weightDecay: 0.5 },
  })
  // g = 2 + 0.5*1 = 2.5, u = 2.5/(1 + 6.25), v = u/2.
  session.tell([2])
  const u = 2.5 / 7.25
  expect(session.x[0]).toBeCloseTo(1 - 0.05 * u, 14)
})

/** Logistic regression, 500 x 20, with feature scales from 1 to 0.01. */
function regression(seed: number) {
  const rng = new Rng(rngStream(seed, 'data'))
  const scales = Array.from({ length: 20 }, (_, j) => 10 ** ((-2 * j) / 19))
  const truth = scales.map((scale) => rng.normal() / scale)
  const rows = Array.from({ length: 500 }, () => scales.map((scale) => scale * rng.normal()))
  const labels = rows.map((row) => Number(rng.uniform() < 1 / (1 + Math.exp(-dot(row, truth)))))
  const gradient = (w: ArrayLike<number>, batch: readonly number[]) => {
    const g = new Float64Array(20)
    for (const i of batch) {
      const residual = (1 / (1 + Math.exp(-dot(rows[i], w))) - labels[i]) / batch.length
      for (let j = 0; j < 20; j++) g[j] += residual * rows[i][j]
    }
    return g
  }
  const all = rows.map((_, i) => i)
  const loss = (w: ArrayLike<number>) =>
    rows.reduce((sum, row, i) => {
      const z = dot(row, w)
      return sum + (Math.log1p(Math.exp(-Math.abs(z))) + Math.max(z, 0) - labels[i] * z) / 500
    }, 0)
  /** Newton's method from zero with halved steps. */
  const least = () => {
    let w: Float64Array = new Float64Array(20)
    for (let t = 0; t < 30; t++) {
      const H = new Float64Array(400)
      for (const row of rows) {
        const p = 1 / (1 + Math.exp(-dot(row, w)))
        for (let i = 0; i < 20; i++) for (let j = 0; j < 20; j++) H[20 * i + j] += (p * (1 - p) * row[i] * row[j]) / 500
      }
      const step = solve(H, gradient(w, all), 20)
      let scale = 1
      while (loss(plus(w, -scale, step)) > loss(w) && scale > 1e-8) scale /= 2
      w = plus(w, -scale, step)
    }
    return loss(w)
  }
  const batches = new Rng(rngStream(seed, 'batches'))
  return { loss, least, batch: () => Array.from({ length: 32 }, () => batches.integer(500)), gradient }
}

test('[m-fac] logistic regression with scaled features: at most 0.6 of the excess loss of the best SGD', () => {
  for (const seed of [1, 2, 3]) {
    const least = regression(seed).least()
    const sgd = [0.1, 0.5, 2, 8].map((rate) => {
      const { loss, batch, gradient } = regression(seed)
      let w: Float64Array = new Float64Array(20)
      for (let t = 0; t < 1000; t++) w = plus(w, -rate, gradient(w, batch()))
      return loss(w) - least
    })
    const { loss, batch, gradient } = regression(seed)
    const session = new Session(method, vectors(Array(20).fill(0)), {
      config: { ngrads: 32, damp: 1e-4, learningRate: 3e-3 },
    })
    session.steps(1000, ({ x }) => ({ x: gradient(x, batch()) }))
    expect(loss(session.x) - least).toBeLessThanOrEqual(0.6 * Math.min(...sgd))
  }
})

test('[m-fac] pruning: saliencies are the cost, the pruned weight is 0, and magnitude pruning costs more', () => {
  const rng = new Rng(rngStream(5, 'pruning'))
  for (let instance = 0; instance < 100; instance++) {
    const gradients = Array.from({ length: M }, () => gaussian(rng, D).map((g, i) => g * (1 + i / 4)))
    const w = gaussian(rng, D)
    const F = fisher(gradients, M, DAMP)
    const cost = (dw: Float64Array) =>
      0.5 * dw.reduce((sum, di, i) => sum + di * dot(F.subarray(i * D, (i + 1) * D), dw), 0)
    const blocks = emptyBlocks(D, 0)
    for (const g of gradients) compress(blocks, DAMP, M, g)
    const { w: pruned, order, costs } = prune(blocks, DAMP, w, 1)
    const [q] = order
    expect(pruned[q]).toBe(0)
    expect(costs[0]).toBe(Math.min(...saliencies(blocks, DAMP, w)))
    expect(Math.abs(cost(plus(pruned, -1, w)) - costs[0])).toBeLessThan(1e-10)
    const least = w.reduce((best, value, i) => (Math.abs(value) < Math.abs(w[best]) ? i : best), 0)
    const magnitude = plus(w, 0, w)
    magnitude[least] = 0
    expect(cost(plus(magnitude, -1, w))).toBeGreaterThanOrEqual(costs[0])
    // Half of the weights: the costs add up, since each removal starts where the one before was optimal.
    const half = prune(blocks, DAMP, w, D / 2)
    expect(half.order.every((i) => half.w[i] === 0)).toBe(true)
    const total = half.costs.reduce((sum, value) => sum + value, 0)
    expect(Math.abs(cost(plus(half.w, -1, w)) - total)).toBeLessThan(1e-8 * Math.max(1, total))
  }
})

test('[m-fac] the service: gradients are asked one by one or at once, and every task is answered', () => {
  const rng = new Rng(rngStream(6, 'service'))
  const gradients = Array.from({ length: 6 }, () => gaussian(rng, 4))
  const w = [1, -2, 0.1, 3]
  const ask = (config: object) => new Inquiry(mfacStatic, vectors(w), { config: { damp: 0.1, ngrads: 6, ...config } })
  const gathered = (config: object) => {
    const inquiry = ask(config)
    for (const g of gradients) inquiry.reply({ gradients: [{ x: g }] })
    return inquiry
  }
  const F = (block?: number) => fisher(gradients, 6, 0.1, block)
  const axis = (i: number, block?: number) =>
    solve(
      F(block),
      Float64Array.from({ length: 4 }, (_, j) => Number(i === j)),
      4,
    )

  const product = gathered({})
  expect(product.query!.wants).toEqual([
    {
      kind: 'quantities',
      quantities: [{ name: 'vector', shape: [4], description: 'a vector to be multiplied by F^-1' }],
    },
  ])
  for (let k = 0; k < 2; k++) {
    const x = gaussian(rng, 4)
    product.reply({ quantities: [{ vector: x }] })
    expectNear(product.x, solve(F(), x, 4), 1e-10)
  }
  const diagonal = gathered({ task: 'diagonal', blockSize: 2 })
  expect(diagonal.done).toBe('the diagonal of 6 gradients is answered')
  expectNear(
    diagonal.x,
    [0, 1, 2, 3].map((i) => axis(i, 2)[i]),
    1e-10,
  )
  const entries = gathered({
    task: 'entries',
    entries: [
      [0, 3],
      [2, 2],
    ],
  })
  expect(entries.metrics['inverse[0,3]']).toBeCloseTo(axis(0)[3], 10)
  expect(entries.metrics['inverse[2,2]']).toBeCloseTo(axis(2)[2], 10)
  expectNear(
    gathered({ task: 'saliency' }).x,
    w.map((value, i) => value ** 2 / (2 * axis(i)[i])),
    1e-10,
  )

  const together = ask({ task: 'prune', perExample: true, sparsity: 0.5 })
  together.reply({ quantities: [{ gradients: Float64Array.from(gradients.flatMap((g) => Array.from(g))) }] })
  const pruned = gathered({ task: 'prune', sparsity: 0.5 })
  expect(together.x).toEqual(pruned.x)
  expect(Array.from(pruned.x).filter((value) => value === 0).length).toBe(2)
  const order = gathered({ task: 'order', sparsity: 0.5 }).x
  expect(Array.from(order).sort()).toEqual([0, 0, 1, 2])
  expect(pruned.x[order.indexOf(1)]).toBe(0)
})

test('[m-fac] what cannot be is refused by its place', () => {
  const refused = (config: object, message: string) =>
    expect(() => new Inquiry(mfacStatic, vectors([1, 2]), { config })).toThrow(message)
  refused({ task: 'entries' }, 'config.entries: expected at least one pair')
  refused({ task: 'entries', entries: [[0, 2]] }, 'config.entries[0][1]: expected less than 2')
  refused({ damp: 0 }, 'config.damp')
  const wide = { kind: 'tensors' as const, tensors: [{ name: 'x', shape: [2 ** 19], dtype: 'f32' as const }] }
  expect(() => new Session(method, wide)).toThrow('config.ngrads: 1024 gradients of 524288 elements are too many')
  expect(() => new Inquiry(mfacStatic, wide)).toThrow('config.ngrads: 1024 gradients')
})
