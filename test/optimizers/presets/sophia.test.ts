import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as rule } from '../../../src/optimizers/presets/rule.js'
import { method as sophia } from '../../../src/optimizers/presets/sophia.js'
import { method as sophiaG } from '../../../src/optimizers/presets/sophia-g.js'
import { of, Session, vectors } from '../session.js'

const near = (found: ArrayLike<number>, expected: readonly number[], digits = 12) =>
  expected.forEach((e, i) => {
    expect(found[i]).toBeCloseTo(e, digits)
  })
/** Products with a diagonal Hessian. */
const along = (h: readonly number[]) => (z: ArrayLike<number>) => h.map((hi, i) => hi * z[i])
const exact = { id: 'diagonal', every: 10 }

test('[sophia] one step: Newton, a clipped sign on negative curvature, Newton', () => {
  const session = new Session(sophia, vectors([0, 0, 0]), {
    config: { learningRate: 0.1, beta1: 0, beta2: 0, gamma: 1, weightDecay: 0, driver: exact },
    product: (_, { x: z }) => ({ x: along([2, -3, 100])(z) }),
  }).steps(
    1,
    of(() => [1, -1, 2]),
  )
  near(session.x, [-0.05, 0.1, -0.002])
  expect(session.metrics.unclipped).toBeCloseTo(2 / 3, 12)
})

/** A rule that adds up the diagonals it is given. */
const sum = (driver: object) => ({
  config: { text: 'D = D + diagonal\nx = x - 0*g', slots: 'inferred', inputs: ['diagonal'], learningRate: 1, driver },
})

test('[sophia] the mean of Hutchinson estimates is the diagonal of the Hessian', () => {
  const rng = new Rng(rngStream(3, 'hessian'))
  const A = Array.from({ length: 5 }, () => Array.from({ length: 5 }, () => rng.normal()))
  const H = A.map((a) => A.map((b) => a.reduce((s, ai, k) => s + ai * b[k], 0)))
  const driver = { id: 'diagonal', probes: 'normal', samples: 20_000 }
  const session = new Session(rule, vectors([0, 0, 0, 0, 0]), {
    ...sum(driver),
    product: (_, { x: z }) => ({ x: H.map((row) => row.reduce((s, h, j) => s + h * z[j], 0)) }),
  }).steps(
    1,
    of(() => [0, 0, 0, 0, 0]),
  )
  H.forEach((row, i) => {
    expect(Math.abs(session.state.driver.points.diagonal.x[i] / row[i] - 1)).toBeLessThan(0.03)
  })
})

test('[sophia] the mean of Bartlett estimates on softmax regression is the Gauss-Newton diagonal', () => {
  const [classes, features, batch] = [3, 4, 16]
  const rng = new Rng(rngStream(4, 'softmax'))
  const rows = Array.from({ length: batch }, () => Array.from({ length: features }, () => rng.normal()))
  const start = Array.from({ length: classes * features }, () => 0.5 * rng.normal())
  const probabilities = (w: ArrayLike<number>, row: readonly number[]) => {
    const logits = Array.from({ length: classes }, (_, c) =>
      row.reduce((s, a, j) => s + a * w[c * features + j], 0),
    ).map(Math.exp)
    const total = logits.reduce((a, b) => a + b)
    return logits.map((e) => e / total)
  }
  /** The mean gradient with labels drawn from the model. */
  const sampled = (w: ArrayLike<number>) => {
    const g = new Array<number>(classes * features).fill(0)
    for (const row of rows) {
      const p = probabilities(w, row)
      let u = rng.uniform()
      const label = p.findIndex((pc) => {
        u -= pc
        return u < 0
      })
      for (let c = 0; c < classes; c++)
        for (let j = 0; j < features; j++) g[c * features + j] += ((p[c] - (c === label ? 1 : 0)) * row[j]) / batch
    }
    return g
  }
  const driver = { id: 'diagonal', estimator: 'bartlett', samples: 20_000, batch }
  const purposes = new Set<string>()
  const session = new Session(rule, vectors(start), sum(driver)).steps(1, ({ x }, { purpose }) => {
    purposes.add(purpose!)
    return { x: sampled(x) }
  })
  expect(purposes).toEqual(new Set(['step', 'sampled-labels']))
  const found = session.state.driver.points.diagonal.x
  for (let c = 0; c < classes; c++)
    for (let j = 0; j < features; j++) {
      const truth = rows.reduce((s, row) => {
        const p = probabilities(start, row)[c]
        return s + (row[j] ** 2 * p * (1 - p)) / batch
      }, 0)
      expect(Math.abs(found[c * features + j] / truth - 1)).toBeLessThan(0.05)
    }
})

test('[sophia] as gamma goes to 0 it is sign momentum, bit for bit', () => {
  const h = [3, 1, 0.1]
  const gradient = of((x) => h.map((hi, i) => hi * (x[i] - i)))
  const config = { learningRate: 0.03, beta1: 0.9, weightDecay: 0 }
  const session = new Session(sophia, vectors([2, -1, 5]), {
    config: { ...config, gamma: 1e-30, driver: exact },
    product: (_, { x: z }) => ({ x: along(h)(z) }),
  })
  const signs = new Session(rule, vectors([2, -1, 5]), {
    config: {
      text: 'm = beta1*m + (1 - beta1)*g\nx = x - lr*sign(m)',
      slots: 'inferred',
      hyperparameters: { beta1: 0.9 },
      learningRate: 0.03,
    },
  })
  for (let k = 0; k < 100; k++) expect(session.steps(1, gradient).x).toEqual(signs.steps(1, gradient).x)
})

test('[sophia] the released SophiaG, with its h of squares without the batch, for 50 steps', () => {
  const [lr, beta1, beta2, rho, decay, bs, every] = [0.02, 0.965, 0.99, 0.04, 0.1, 64, 10]
  const rng = new Rng(rngStream(6, 'sophia-g'))
  const gradients = Array.from({ length: 50 }, (_, t) => [0, 1, 2, 3].map((i) => rng.normal() + 2 * Math.cos(t + i)))
  const labels = Array.from({ length: 50 }, () => [20, 3, 1, 0].map((scale) => scale * rng.normal()))
  const x = [1, -2, 3, -4]
  const m = [0, 0, 0, 0]
  const h = [0, 0, 0, 0]
  const driver = { id: 'diagonal', estimator: 'bartlett', every, batch: bs }
  const session = new Session(sophiaG, vectors(x), {
    config: { learningRate: lr, beta1, beta2, gamma: rho, weightDecay: decay, driver },
  })
  for (let t = 0; t < 50; t++) {
    session.steps(1, (_, { purpose }) => ({ x: purpose === 'step' ? gradients[t] : labels[t] }))
    for (let i = 0; i < 4; i++) {
      if (t % every === 0) h[i] = beta2 * h[i] + (1 - beta2) * labels[t][i] ** 2
      x[i] *= 1 - lr * decay
      m[i] = beta1 * m[i] + (1 - beta1) * gradients[t][i]
      x[i] -= lr * Math.sign(m[i]) * Math.min(Math.abs(m[i]) / (rho * bs * h[i] + 1e-15), 1)
    }
    near(session.x, x, 5)
  }
  expect(session.metrics.unclipped).toBeGreaterThan(0)
  expect(session.metrics.unclipped).toBeLessThan(1)
})

test('the curvature is asked and averaged every k steps and stays in between', () => {
  const h = [2, 5]
  const session = new Session(sophia, vectors([1, 1]), {
    config: { learningRate: 0.01, driver: { id: 'diagonal', every: 3 } },
    product: (_, { x: z }) => ({ x: along(h)(z) }),
  })
  const means: number[] = []
  for (let k = 0; k < 7; k++) {
    session.steps(
      1,
      of((x) => along(h)(x)),
    )
    means.push((session.state.slots.h.x as Float64Array)[0])
  }
  const mean = [0.02, 0.99 * 0.02 + 0.02, 0.99 * (0.99 * 0.02 + 0.02) + 0.02]
  near(means, [mean[0], mean[0], mean[0], mean[1], mean[1], mean[1], mean[2]])
  // Seven gradients and three products were told, and a gradient is asked.
  expect(session.state.asked).toBe(11)
})

test('the toy landscape: it reaches the minimum of a sharp and a flat direction', () => {
  const da = (a: number) => 8 * (2 * (a - 1) * (1.3 * a * a + 2 * a + 1) + (a - 1) ** 2 * (2.6 * a + 2))
  const dda = (a: number) => (da(a + 1e-5) - da(a - 1e-5)) / 2e-5
  const session = new Session(sophia, vectors([0.3, -0.5]), {
    config: { learningRate: 0.3, gamma: 1, beta1: 0, beta2: 0, weightDecay: 0, driver: { id: 'diagonal' } },
    product: ({ x }, { x: z }) => ({ x: [dda(x[0]) * z[0], z[1]] }),
  }).steps(
    50,
    of((x) => [da(x[0]), x[1] - 4]),
  )
  expect(Math.abs(session.x[0] - 1)).toBeLessThan(1e-3)
  expect(Math.abs(session.x[1] - 4)).toBeLessThan(1e-3)
})
