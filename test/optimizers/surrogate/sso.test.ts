import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/surrogate/sso.js'
import { players } from '../saddle/game.js'
import { type Client, Turns } from '../turns.js'

const N = 200
const D = 20

/** Logistic regression with columns scaled by 100^(-(j-1)/19), labels of a random linear model. */
const rng = new Rng(rngStream(1, 'data'))
const scale = Array.from({ length: D }, (_, j) => 100 ** (-j / 19))
const X = Array.from({ length: N }, () => scale.map((s) => s * rng.normal()))
const truth = scale.map((s) => rng.normal() / s)
const Y = X.map((row) => (row.reduce((sum, x, j) => sum + x * truth[j], 0) + rng.normal() > 0 ? 1 : -1))

const everything = Array.from({ length: N }, (_, i) => i)
/** The examples of a batch, by its key. */
const batchOf = (key: string, size: number) =>
  size === N ? everything : new Rng(rngStream(2, key)).shuffle(everything).slice(0, size)
const outputs = (w: ArrayLike<number>, rows: readonly number[]) =>
  Float64Array.from(rows, (i) => X[i].reduce((sum, x, j) => sum + x * w[j], 0))
const pull = (c: ArrayLike<number>, rows: readonly number[]) =>
  Float64Array.from({ length: D }, (_, j) => rows.reduce((sum, i, b) => sum + X[i][j] * c[b], 0))
const slopes = (z: Float64Array, rows: readonly number[]) =>
  z.map((value, b) => -Y[rows[b]] / (1 + Math.exp(Y[rows[b]] * value)))

const client =
  (size: number): Client =>
  ([{ w, z }], { wants: [want], sampleKey }) => {
    const rows = batchOf(sampleKey!, size)
    if (want.kind === 'gradient') return { gradients: [{ w: pull(z, rows), z: new Float64Array(size) }] }
    const at = outputs(w, rows)
    return {
      quantities: [
        {
          outputs: at,
          ...(want.kind === 'quantities' && want.quantities.length > 1 && { gradient: slopes(at, rows) }),
        },
      ],
    }
  }
const loss = (w: ArrayLike<number>) =>
  outputs(w, everything).reduce((sum, z, i) => sum + Math.log1p(Math.exp(-Y[i] * z)) / N, 0)

/** The top eigenvalue of X'X/n, by power iteration. */
function top(rows: readonly number[]): number {
  let v = Float64Array.from({ length: D }, () => 1)
  let value = 0
  for (let k = 0; k < 200; k++) {
    const next = pull(outputs(v, rows), rows).map((x) => x / rows.length)
    value = Math.hypot(...next)
    v = next.map((x) => x / value)
  }
  return value
}
const learningRate = 1 / top(everything)
const session = (config: object, size = N) =>
  new Turns(method, players({ w: new Array(D).fill(0), z: new Array(size).fill(0) }), {
    config: { eta: 4, learningRate, ...config },
  })

test('[sso] one inner step is (stochastic) gradient descent', () => {
  for (const size of [N, 50]) {
    const one = session({ innerSteps: 1 }, size)
    let w = new Float64Array(D)
    for (let t = 0; t < 20; t++) {
      const rows = batchOf(`batch${t}`, size)
      const g = pull(slopes(outputs(w, rows), rows), rows)
      w = w.map((x, j) => x - (4 * learningRate * g[j]) / size)
      one.steps(1, client(size))
      for (let j = 0; j < D; j++) expect(Math.abs(one.answer.w[j] - w[j])).toBeLessThan(1e-12)
    }
  }
})

test.each([1, 10, 100])(
  '[sso] full batch, eta 1/L: the loss never rises, in 200 outer steps of %i inner ones',
  (innerSteps) => {
    const s = session({ innerSteps })
    let before = loss(s.answer.w)
    for (let t = 0; t < 200; t++) {
      const now = loss(s.steps(1, client(N)).answer.w)
      expect(now).toBeLessThanOrEqual(before)
      before = now
    }
    expect(s.metrics).toMatchObject({ lossGradients: 200, modelCalls: 200 * (2 * innerSteps - 1) })
  },
)

test('[sso] ill-conditioned: many inner steps get more out of an expensive gradient', () => {
  const after = (innerSteps: number) => loss(session({ innerSteps }).steps(50, client(N)).answer.w)
  let w = new Float64Array(D)
  for (let t = 0; t < 50; t++) {
    const g = pull(slopes(outputs(w, everything), everything), everything)
    w = w.map((x, j) => x - (4 * learningRate * g[j]) / N)
  }
  expect(after(1)).toBeCloseTo(loss(w), 12)
  expect(after(100)).toBeLessThanOrEqual(0.5 * after(1))
})

test('[sso] batches of 50: 200 expensive calls', () => {
  const after = (innerSteps: number) => loss(session({ innerSteps }, 50).steps(200, client(50)).answer.w)
  expect(after(50)).toBeLessThanOrEqual(0.6 * after(1))
})

test('sso: armijo and adam, schedules, scalings; the direction counts for the loss alone', () => {
  const after = (config: object) => loss(session(config).steps(20, client(N)).answer.w)
  const descent = after({ innerSteps: 1 })
  expect(after({ inner: 'armijo', innerSteps: 10 })).toBeLessThan(descent)
  expect(after({ inner: 'adam', innerSteps: 30, learningRate: 0.05 })).toBeLessThan(descent)
  for (const schedule of ['root', 'exponential']) expect(after({ schedule, horizon: 20 })).toBeLessThan(Math.log(2))
  for (const scaling of ['scalar', 'diagonal']) expect(after({ scaling, eta: 1 })).toBeLessThan(Math.log(2))

  const up = new Turns(method, players({ w: new Array(D).fill(0), z: new Array(N).fill(0) }), {
    config: { eta: 4, learningRate, innerSteps: 5 },
    direction: 'maximize',
  })
  const gain: Client = (points, query) => {
    const { quantities, ...rest } = client(N)(points, query)
    return {
      ...rest,
      quantities: quantities?.map(({ gradient, outputs }) => ({
        outputs,
        ...(gradient && { gradient: gradient.map((q) => -q) }),
      })),
    }
  }
  up.steps(3, gain)
  expect(Array.from(up.answer.w)).toEqual(Array.from(session({ innerSteps: 5 }).steps(3, client(N)).answer.w))

  expect(() => new Turns(method, players({ w: [0] }), {})).toThrow('"z" is not a tensor')
  expect(() => new Turns(method, players({ z: [0] }), {})).toThrow('space.tensors')
})

test('sso: the divergence of probabilities keeps its minimizer, z0*exp(-eta*q)', () => {
  // The model is its own output: theta = z, from z0 = (0.2, 0.8) and q = (1, -1).
  const q = [1, -1]
  const own: Client = ([{ w, z }], { wants: [want] }) =>
    want.kind === 'gradient'
      ? { gradients: [{ w: z, z: new Float64Array(2) }] }
      : {
          quantities: [
            {
              outputs: Float64Array.from(w),
              ...(want.kind === 'quantities' && want.quantities.length > 1 && { gradient: Float64Array.from(q) }),
            },
          ],
        }
  const config = { divergence: 'kl', eta: 0.5, innerSteps: 4000, learningRate: 0.2 }
  const s = new Turns(method, players({ w: [0.2, 0.8], z: [0, 0] }), { config }).steps(1, own)
  for (const [i, z0] of [0.2, 0.8].entries()) expect(s.answer.w[i]).toBeCloseTo(z0 * Math.exp(-0.5 * q[i]), 9)
})
