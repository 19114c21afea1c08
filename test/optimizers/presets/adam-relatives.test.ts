import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { slotElements } from '../../../src/optimizers/machine.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adopt } from '../../../src/optimizers/presets/adopt.js'
import { method as amsgrad } from '../../../src/optimizers/presets/amsgrad.js'
import { method as diffgrad } from '../../../src/optimizers/presets/diffgrad.js'
import { method as grams } from '../../../src/optimizers/presets/grams.js'
import { method as lion } from '../../../src/optimizers/presets/lion.js'
import { method as novograd } from '../../../src/optimizers/presets/novograd.js'
import { method as swats } from '../../../src/optimizers/presets/swats.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

/** The first element after each of the gradients of that element. */
const path = (method: { id: string }, config: object, gradients: readonly number[], start = 0) => {
  const session = new Session(method as typeof adam, vectors([start]), { config })
  return gradients.map((g) => session.tell([g]).x[0])
}
const near = (found: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}
const waves = Array.from({ length: 200 }, (_, k) => Math.sin(1 + k * k))

test('[grams] the first two steps', () => {
  near(path(grams, { learningRate: 0.1, eps: 0 }, [2, -1]), [-0.1, -0.0733663], 1e-7)
  near(path(grams, { learningRate: 0.1 }, [2, -1]), [-0.0999984, -0.0733651], 1e-7)
  near(path(adam, { learningRate: 0.1, eps: 0 }, [2, -1]), [-0.1, -0.1266337], 1e-7)
})

test('[grams] is Adam where the gradient keeps its sign; no gradient, no move', () => {
  const constant = new Array<number>(100).fill(3)
  near(path(grams, { eps: 0 }, constant), path(adam, { eps: 0 }, constant), 1e-12)
  const session = new Session(grams, vectors([1, 1])).tell([1, 1])
  const [before] = session.x
  expect(session.tell([0, 1]).x[0]).toBe(before)
})

test('[grams] never moves along the gradient, where Adam does', () => {
  const worst = (method: typeof adam, config: object = {}) => {
    const rng = new Rng(rngStream(3, 'gradients'))
    const session = new Session(method, vectors([0, 0, 0]), { config })
    let most = Number.NEGATIVE_INFINITY
    for (let k = 0; k < 1000; k++) {
      const g = [rng.normal(), rng.normal(), rng.normal()]
      const before = session.x
      session.tell(g)
      most = Math.max(
        most,
        session.x.reduce((sum, x, i) => sum + (x - before[i]) * g[i], 0),
      )
    }
    return most
  }
  expect(worst(grams as unknown as typeof adam)).toBeLessThanOrEqual(0)
  expect(worst(adam)).toBeGreaterThan(0)
  // The transform does it to any rule.
  const transforms = [{ id: 'grams' }]
  expect(worst(adam, { transforms })).toBeLessThanOrEqual(0)
  expect(worst(lion as unknown as typeof adam, { transforms })).toBeLessThanOrEqual(0)
})

test('[grams] of Adam by the transform is the method, but for where eps is', () => {
  const config = { learningRate: 0.1, eps: 0 }
  near(path(adam, { ...config, transforms: [{ id: 'grams' }] }, waves), path(grams, config, waves), 1e-12)
})

test('[novograd] the first two steps', () => {
  const session = new Session(novograd, vectors([1, 2]), { config: { learningRate: 0.1, eps: 0 } }).tell([3, 4])
  expect(session.state.slots.v.x[0]).toBeCloseTo(25, 12)
  near(session.state.slots.m.x, [0.6, 0.8], 1e-12)
  near(session.x, [0.94, 1.92], 1e-6)
  session.tell([0, 10])
  expect(session.state.slots.v.x[0]).toBeCloseTo(26.5, 12)
  near(session.state.slots.m.x, [0.57, 2.702572], 1e-6)
  near(session.x, [0.883, 1.649743], 1e-6)
})

test('[novograd] is invariant to the scale of a layer, and normalizes the layer as one', () => {
  const run = (scale: number) => {
    const session = new Session(novograd, vectors({ a: [1, 2], b: [3] }), { config: { eps: 0 } })
    for (const g of waves) session.tell({ a: [scale * g, scale * (1 + g)], b: [g * g] })
    return [...session.state.x.a, ...session.state.x.b]
  }
  near(run(1000), run(1), 1e-9)
  const [a, b] = new Session(novograd, vectors([0, 0]), { config: { eps: 0 } }).tell([3, 4]).x
  expect(a / b).toBeCloseTo(0.75, 12)
  const [c, d] = new Session(adam, vectors([0, 0]), { config: { eps: 0 } }).tell([3, 4]).x
  expect(c).toBeCloseTo(d, 15)
})

test('[novograd] state, and options', () => {
  const session = new Session(novograd, vectors({ a: new Array(100).fill(0), b: new Array(50).fill(0) }))
  expect(slotElements(session.state.slots)).toBe(152)
  expect(session.metrics.slotElements).toBe(152)
  const config = { learningRate: 0.1, eps: 0, beta1: 0.5, beta2: 0.5 }
  // Second direction: 0.5*1 + 0.5*u with u = 1/sqrt((1 + 1)/2), averaged; the largest second moment stays 4.
  near(path(novograd, { ...config, gradientAveraging: true }, [1, 1]), [-0.1, -0.2], 1e-12)
  near(path(novograd, { ...config, amsgrad: true }, [2, 1]), [-0.1, -0.2], 1e-12)
  // m = 1 + 0.5*2 at first, with decay.
  near(path(novograd, { ...config, weightDecay: 0.5 }, [3], 2), [1.8], 1e-12)
})

test('[diffgrad] friction falls where the gradient stays', () => {
  near(path(diffgrad, {}, [2, 2, 2]), [-8.8079694e-4, -1.3807969e-3, -1.8807968e-3], 1e-9)
})

test('[diffgrad] elements are independent', () => {
  const run = (scale: number) => {
    const session = new Session(diffgrad, vectors([0, 0]))
    return waves.map((g) => session.tell([scale * g, g]).x[1])
  }
  expect(run(1000)).toEqual(run(1))
})

test('[diffgrad] two basins: stays in the left one, overshoots less than Adam', () => {
  const gradient = of(({ 0: x }) => [x <= 0 ? 2 * (x + 0.3) : 2 * (x - 0.2)])
  const run = (method: typeof adam) => {
    const session = new Session(method, vectors([-1]), { config: { learningRate: 0.1 } })
    const xs = Array.from({ length: 300 }, () => session.steps(1, gradient).x[0])
    return { last: xs[299], top: Math.max(...xs) }
  }
  const found = run(diffgrad as unknown as typeof adam)
  expect(found.top).toBeLessThanOrEqual(0)
  expect((found.last + 0.3) ** 2).toBeLessThan(1e-6)
  expect(found.top).toBeLessThan(run(adam).top)
})

test('[diffgrad] other frictions', () => {
  const sigmoid = (d: number) => 1 / (1 + Math.exp(-d))
  near(path(diffgrad, { friction: 'signed', eps: 0 }, [2]), [-1e-3 * sigmoid(-2)], 1e-12)
  near(path(diffgrad, { friction: 'wide', eps: 0 }, [2]), [-1e-3 * (9 * sigmoid(1) - 4)], 1e-12)
})

test('[adopt] the first steps', () => {
  // The third step is 0.1*(0.18 + 0.1/sqrt(4.0012)) = 0.02299925, a little less than 0.1*(0.18 + 0.1/2).
  near(path(adopt, { learningRate: 0.1, clip: false }, [2, 4, 1]), [0, -0.02, -0.04299925], 1e-8)
  near(path(adopt, { learningRate: 0.1 }, [2, 4]), [0, -0.01], 1e-7)
})

test('[adopt] a linear loss with rare large gradients: it converges for any beta2, Adam for large ones', () => {
  const k = 10
  const steps = 200_000
  // learningRate/sqrt(t + 100) is 0.01/sqrt(1 + 0.01*t).
  const config = { learningRate: 0.1, schedule: { id: 'inverse-sqrt', offset: 100 }, reportNorm: false }
  // Every second moment and seed is an element of its own: the rules are elementwise.
  const end = (method: { id: string }, beta2: number) => {
    const rngs = [0, 1].map((seed) => new Rng(rngStream(seed, 'rounds')))
    const session = new Session(method as typeof adam, vectors([0, 0], { low: -1, high: 1 }), {
      config: { ...config, beta2 },
      engine: 'wasm',
    })
    for (let t = 0; t < steps; t++) session.tell(rngs.map((rng) => (rng.uniform() < 1 / k ? k * k : -k)))
    return session.x
  }
  for (const beta2 of [0.1, 0.5, 0.9, 0.99, 0.999]) {
    for (const x of end(adopt, beta2)) expect(x).toBeLessThan(-0.95)
    for (const x of end(adam, beta2)) {
      if (beta2 <= 0.9) expect(x).toBeGreaterThan(0.9)
      else expect(x).toBeLessThan(-0.9)
    }
  }
  expect(Math.min(...end(amsgrad, 0.1))).toBeGreaterThan(Math.max(...end(adopt, 0.1)))
}, 400_000)

test('[adopt] the first gradient moves nothing, and the scale of gradients does not matter', () => {
  for (const g of [1e-9, 1, 1e9]) expect(path(adopt, { weightDecay: 0.1, decay: 'decoupled' }, [g], 2)).toEqual([2])
  const large = waves.map((g) => 1024 * (2 + g))
  expect(path(adopt, {}, large)).toEqual(
    path(
      adopt,
      {},
      large.map((g) => g / 1024),
    ),
  )
})

test('[adopt] decays', () => {
  const config = { learningRate: 0.1, clip: false, weightDecay: 0.5 }
  // coupled: gradients 2 + 0.5*2 twice; decoupled: x - lr*decay*x in the second step, then the step.
  near(path(adopt, config, [2, 2], 2), [2, 2 - 0.1 * 0.1], 1e-12)
  near(path(adopt, { ...config, decay: 'decoupled' }, [2, 2], 2), [2, 2 - 0.1 - 0.1 * 0.1], 1e-12)
})

test('[swats] a constant gradient: the switch, its rate, and SGD after it', () => {
  const session = new Session(swats, vectors([0, 0]))
  for (let k = 0; k < 4; k++) session.tell([1, -3])
  expect(session.metrics).toMatchObject({ sgd: 1, switchedAt: 2 })
  expect(Math.abs(session.metrics.rate - 5e-4)).toBeLessThan(1e-9)
  near(session.x, [-0.002145, 0.002435], 1e-7)
})

test('[swats] the SGD step projects onto the step of Adam', () => {
  const session = new Session(swats, vectors([0, 0, 0]), { config: { learningRate: 0.01 } })
  for (const [k, w] of waves.entries()) {
    const g = [w, 1 + w * w, Math.cos(k)]
    const before = session.x
    session.tell(g)
    expect(session.metrics.sgd).toBe(0)
    const p = session.x.map((x, i) => x - before[i])
    const pp = p.reduce((sum, pi) => sum + pi * pi, 0)
    const along = p.reduce((sum, pi, i) => sum - pi * session.metrics.gamma * g[i], 0)
    expect(Math.abs(along / pp - 1)).toBeLessThan(1e-10)
  }
})

test('[swats] noise does not make it switch; a quadratic with a wider tolerance does', () => {
  const rng = new Rng(rngStream(1, 'noise'))
  const noisy = new Session(swats, vectors(new Array(10).fill(0)), { config: { reportNorm: false }, engine: 'wasm' })
  for (let k = 0; k < 20_000; k++) noisy.tell(Array.from({ length: 10 }, () => rng.normal()))
  expect(noisy.metrics.sgd).toBe(0)
  const bowl = new Session(swats, vectors([1, 1]), { config: { tolerance: 1e-6 } }).steps(
    5,
    of((x) => [x[0], 10 * x[1]]),
  )
  expect(bowl.metrics).toMatchObject({ sgd: 1, switchedAt: 2 })
  expect(Math.abs(bowl.metrics.rate / 1.81907e-4 - 1)).toBeLessThan(1e-6)
})

test('[swats] Nesterov and the relative tolerance', () => {
  const config = { nesterov: true, relative: true, tolerance: 1e-6 }
  const session = new Session(swats, vectors([0]), { config }).tell([2]).tell([2])
  const [x] = session.x
  expect(session.metrics.switchedAt).toBe(2)
  expect(x - session.tell([2]).x[0]).toBeCloseTo(0.1 * session.metrics.rate * (2 + 0.9 * 2), 12)
})
