import { expect, test } from 'vitest'
import { moduleNoise, normalQuantile } from '../../../src/blackbox/zeroth/module-noise.js'
import { coefficientsOf, method } from '../../../src/blackbox/zeroth/ulr.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { encodeTree } from '../../../src/core/tree.js'
import { gaussian, norm, plus } from '../../../src/optimizers/flat.js'
import { CLASSES, loadDigits, PIXELS, range, take } from '../../golden/digits.js'
import { softmax } from '../../optimizers/network.js'
import { type Client, Turns } from '../../optimizers/turns.js'
import { noteOf } from '../../problems/modules.js'

/** One linear module z = W*a of these sides, with loss |z - y|^2/2, and its client. */
function linear(rows: number, columns: number, config: object, seed = 1) {
  const wave = (n: number, phase: number) => Float64Array.from({ length: n }, (_, i) => Math.sin(2.1 * i + phase))
  const [W, a, y] = [wave(rows * columns, 0), wave(columns, 1), wave(rows, 2)]
  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [{ name: 'W', shape: [rows, columns], dtype: 'f64' }],
    initial: { W },
  }
  const session = new Turns(method, space, {
    seed,
    config: {
      modules: [{ weight: 'W' }],
      sigma: 0.5,
      optimizer: { id: 'sgd', config: { learningRate: 1 } },
      ...config,
    },
  })
  const z = Float64Array.from({ length: rows }, (_, i) => a.reduce((sum, aj, j) => sum + W[i * columns + j] * aj, 0))
  const exact = W.map((_, k) => (z[Math.floor(k / columns)] - y[Math.floor(k / columns)]) * a[k % columns])
  const outer = (e: Float64Array, scale: number) => W.map((_, k) => scale * e[Math.floor(k / columns)] * a[k % columns])
  const losses = (query: Query) => {
    const { seed, sigma, copies, antithetic, quasi } = noteOf(query)
    const noise = moduleNoise({ seed, module: 'W', width: rows, quasi })
    const loss = (e: Float64Array, sign: number) => 0.5 * norm(z.map((zi, i) => zi + sign * sigma * e[i] - y[i])) ** 2
    return Float64Array.from(
      range(0, copies).flatMap((k) => (antithetic ? [loss(noise(k), 1), loss(noise(k), -1)] : [loss(noise(k), 1)])),
    )
  }
  const product = (query: Query) => {
    const { seed, coefficients, quasi } = noteOf(query)
    const noise = moduleNoise({ seed, module: 'W', width: rows, quasi })
    const sum = new Float64Array(W.length)
    coefficients.forEach((q, k) => {
      outer(noise(k), q).forEach((value, i) => {
        sum[i] += value
      })
    })
    return sum
  }
  const client: Client = (_, query) => ({
    quantities: query.purpose === 'forward' ? [{ losses: losses(query) }] : [{ W: product(query) }],
  })
  /** The mean estimate of one round, and the mean squared deviation of single ones. */
  const round = () => {
    session.tell(client)
    const { seed, copies, coefficients } = noteOf(session.query!)
    const noise = moduleNoise({ seed, module: 'W', width: rows })
    let spread = 0
    coefficients.forEach((q, k) => {
      spread += norm(plus(outer(noise(k), q * copies), -1, exact)) ** 2 / copies
    })
    session.tell(client)
    return { estimate: W.map((w, i) => w - session.answer.W[i]), spread }
  }
  return { session, client, round, exact, losses }
}
const off = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])))

test('[ulr] a linear module, 3 x 4: the mean of 20,000 estimates, plain and antithetic', () => {
  const by = (antithetic: boolean) => {
    const { round, exact } = linear(3, 4, { copies: 20_000, antithetic, baseline: 'none' })
    return { ...round(), exact }
  }
  const [plain, paired] = [by(false), by(true)]
  expect(off(plain.estimate, plain.exact)).toBeLessThan(0.1)
  expect(off(paired.estimate, paired.exact)).toBeLessThan(0.03)
  expect(paired.spread).toBeLessThanOrEqual(0.25 * plain.spread)
  // The mean of the others takes the part of the loss that all draws share out of the noise.
  const { round, exact } = linear(3, 4, { copies: 2000, antithetic: false })
  expect(round().spread).toBeLessThan(0.7 * plain.spread)
  const quasi = linear(3, 4, { copies: 1024, antithetic: false, quasi: true })
  quasi.session.tell(quasi.client).tell(quasi.client)
  const start = linear(3, 4, {}).session.answer.W
  expect(
    off(
      start.map((w, i) => w - quasi.session.answer.W[i]),
      exact,
    ),
  ).toBeLessThan(0.03)
})

test('[ulr] coefficients: pairs, the mean of the others, and none', () => {
  const config = { sigma: 0.5, copies: 2, antithetic: true, baseline: 'others' as const }
  // N = 2, K = 2: (L+ - L-)/(2 sigma K N).
  expect(Array.from(coefficientsOf(config, [3, 1, 0, 4, 1, 1, 2, 0]))).toEqual([0.5, -1, 0, 0.5])
  expect(Array.from(coefficientsOf({ ...config, antithetic: false }, [3, 1, 4, 0]))).toEqual([1, -1, 2, -2])
  expect(Array.from(coefficientsOf({ ...config, antithetic: false, baseline: 'none' }, [3, 1, 4, 0]))).toEqual([
    1.5, 0.5, 2, 0,
  ])
})

/** Philox4x32-10 and the streams of the documents again, in integers of any size. */
function philox(counter: readonly bigint[], key: readonly bigint[]): bigint[] {
  let [c, [k0, k1]] = [[...counter], key]
  const word = (x: bigint) => x & 0xffffffffn
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c[0], 0xcd9e8d57n * c[2]]
    c = [word((p1 >> 32n) ^ c[1] ^ k0), word(p1), word((p0 >> 32n) ^ c[3] ^ k1), word(p0)]
    k0 = word(k0 + 0x9e3779b9n)
    k1 = word(k1 + 0xbb67ae85n)
  }
  return c
}
function independentNoise(seed: number, module: string, width: number, draw: number): number[] {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(module)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) % 2n ** 64n
  const [k0, k1] = philox([hash & 0xffffffffn, hash >> 32n, 0n, 0n], [BigInt(seed), 0n])
  return range(0, width).map((c) => {
    const words = philox([BigInt(draw * width + c), 0n, 0n, 0n], [k0, k1])
    const [u, v] = [0, 2].map((i) => Number(((words[i] >> 5n) << 26n) | (words[i + 1] >> 6n)) / 2 ** 53)
    return Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v)
  })
}

test('[ulr] the noise of a seed is that of an independent client bit for bit, any part of it alone', () => {
  const { session, client } = linear(3, 4, { copies: 4 })
  for (let round = 0; round < 3; round++) {
    const { seed } = noteOf(session.query!)
    const noise = moduleNoise({ seed, module: 'W', width: 3 })
    for (const draw of [3, 0, 1, 70_000]) expect(Array.from(noise(draw))).toEqual(independentNoise(seed, 'W', 3, draw))
    session.tell(client)
    // The product is for the same seed, and its coefficients are the bits that the losses give.
    expect(noteOf(session.query!).seed).toBe(seed)
    session.tell(client)
    expect(noteOf(session.query!).seed).not.toBe(seed)
  }
})

test('[ulr] what is sent beside the parameters does not grow with the width', () => {
  const bytes = (rows: number, columns: number) => {
    const { session, client, losses } = linear(rows, columns, { copies: 8 })
    const told = encodeTree(losses(session.query!)).length
    const beside = (query: Query) => encodeTree({ ...query, wants: [], points: query.points.slice(1) } as never).length
    const forward = beside(session.query!)
    session.tell(client)
    const { coefficients } = noteOf(session.query!)
    // Digits of a number vary by a few.
    return {
      told,
      forward,
      product: beside(session.query!) - coefficients.join(' ').length,
      count: coefficients.length,
    }
  }
  expect(bytes(30, 400)).toEqual(bytes(3, 4))
})

test('[ulr] at equal forward passes the error is at most half of that of weight perturbation, 64-64-10 on digits', () => {
  const [hidden, N, K, sigma] = [64, 32, 16, 0.2]
  const rng = new Rng(rngStream(3, 'network'))
  const W0 = gaussian(rng, hidden * PIXELS).map((w) => w * Math.sqrt(2 / PIXELS))
  const W1 = gaussian(rng, CLASSES * hidden).map((w) => w * Math.sqrt(2 / hidden))
  const { pixels, labels } = take(loadDigits(), range(0, N))
  const input = (n: number) => pixels.subarray(n * PIXELS, (n + 1) * PIXELS)
  const times = (w: Float64Array, x: ArrayLike<number>) =>
    Float64Array.from({ length: w.length / x.length }, (_, i) => {
      let sum = 0
      for (let j = 0; j < x.length; j++) sum += w[i * x.length + j] * x[j]
      return sum
    })
  const relu = (z: Float64Array) => z.map((value) => Math.max(value, 0))
  const lossOf = (z: Float64Array, n: number) => -Math.log(softmax(times(W1, relu(z)), CLASSES)[labels[n]])
  const z0 = range(0, N).map((n) => times(W0, input(n)))
  const exact = new Float64Array(W0.length)
  z0.forEach((z, n) => {
    const e = softmax(times(W1, relu(z)), CLASSES)
    e[labels[n]] -= 1
    for (let j = 0; j < hidden; j++) {
      if (z[j] <= 0) continue
      let back = 0
      for (let c = 0; c < CLASSES; c++) back += W1[c * hidden + j] * e[c]
      for (let i = 0; i < PIXELS; i++) exact[j * PIXELS + i] += (back * input(n)[i]) / N
    }
  })
  const error = (g: Float64Array) => norm(plus(g, -1, exact)) / norm(exact)

  const space: TensorsSpace = {
    kind: 'tensors',
    tensors: [{ name: 'W', shape: [hidden, PIXELS], dtype: 'f64' }],
    initial: { W: W0 },
  }
  const session = new Turns(method, space, {
    config: { modules: [{ weight: 'W' }], sigma, copies: K, optimizer: { id: 'sgd', config: { learningRate: 1 } } },
  })
  const step: Client = (_, query) => {
    const { seed, coefficients } = noteOf(query)
    const noise = moduleNoise({ seed, module: 'W', width: hidden })
    if (query.purpose === 'forward') {
      const losses = range(0, N).flatMap((n) =>
        range(0, K).flatMap((k) => [1, -1].map((sign) => lossOf(plus(z0[n], sign * sigma, noise(n * K + k)), n))),
      )
      return { quantities: [{ losses: Float64Array.from(losses) }] }
    }
    const W = new Float64Array(W0.length)
    coefficients.forEach((q, at) => {
      const [e, a] = [noise(at), input(Math.floor(at / K))]
      for (let j = 0; j < hidden; j++) for (let i = 0; i < PIXELS; i++) W[j * PIXELS + i] += q * e[j] * a[i]
    })
    return { quantities: [{ W }] }
  }
  session.tell(step).tell(step)
  const ours = error(W0.map((w, i) => w - session.answer.W[i]))

  // Pairs of perturbed weights, each on all examples: 2 K N passes too.
  const theirs = new Float64Array(W0.length)
  for (let k = 0; k < K; k++) {
    const direction = gaussian(rng, W0.length)
    const [ahead, back] = [0.02, -0.02].map((scale) => {
      const W = plus(W0, scale, direction)
      return range(0, N).reduce((sum, n) => sum + lossOf(times(W, input(n)), n) / N, 0)
    })
    direction.forEach((d, i) => {
      theirs[i] += ((ahead - back) / (0.04 * K)) * d
    })
  }
  expect(ours).toBeLessThanOrEqual(0.5 * error(theirs))
})

test('[ulr] the normal quantile', () => {
  const known = [
    [0.5, 0],
    [0.975, 1.959963984540054],
    [1e-10, -6.361340902404056],
    [0.02, -2.053748910631823],
  ]
  for (const [p, z] of known) expect(Math.abs(normalQuantile(p) - z)).toBeLessThan(1e-13 * Math.max(1, Math.abs(z)))
})

test('[ulr] what cannot be is refused by its place', () => {
  const space: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'W', shape: [2, 2], dtype: 'f64' }] }
  const refused = (config: object, message: string) =>
    expect(() => new Turns(method, space, { config })).toThrow(message)
  refused({ modules: [{ weight: 'V' }] }, 'config.modules[0].weight: "V" is not a tensor of the space')
  refused({ modules: [{ weight: 'W' }, { weight: 'W' }] }, 'config.modules[1].weight: "W" is in a module already')
  refused({ modules: [{ weight: 'W' }], rest: 'told' }, 'config.rest: every tensor is in a module')
  refused({}, 'config.modules')
})
