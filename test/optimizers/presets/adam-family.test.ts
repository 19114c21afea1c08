import { expect, test } from 'vitest'
import { method as adabelief } from '../../../src/optimizers/presets/adabelief.js'
import { method as adabound } from '../../../src/optimizers/presets/adabound.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as adamod } from '../../../src/optimizers/presets/adamod.js'
import { method as fadam } from '../../../src/optimizers/presets/fadam.js'
import { method as innaprop } from '../../../src/optimizers/presets/innaprop.js'
import { method as rule } from '../../../src/optimizers/presets/rule.js'
import { of, Session, vectors } from '../session.js'

/** The first element after each of the gradients of that element. */
const path = (method: { id: string }, config: object, gradients: readonly number[], start = 0) => {
  const session = new Session(method as typeof adam, vectors([start]), { config })
  return gradients.map((g) => session.tell([g]).x[0])
}
const near = (found: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}

test('[adamod] the first two steps', () => {
  near(path(adamod, {}, [2]), [-9.99999842e-7], 1e-12)
  near(path(adamod, { beta3: 0.9 }, [2, 2]), [-9.99999842e-5, -3.70999946e-4], 1e-11)
})

test('[adamod] beta3 = 0 is Adam with eps on the same root, bit for bit', () => {
  const text = `m = beta1*m + (1 - beta1)*g
v = beta2*v + (1 - beta2)*g^2
x = x - lr*sqrt(1 - beta2^t)/(1 - beta1^t)/(sqrt(v) + eps)*m`
  const gradients = Array.from({ length: 200 }, (_, k) => Math.sin(1 + k * k))
  const plain = path(
    rule,
    { text, slots: 'inferred', hyperparameters: { beta1: 0.9, beta2: 0.999, eps: 1e-8 } },
    gradients,
  )
  expect(path(adamod, { beta3: 0 }, gradients)).toEqual(plain)
  const corrected = path(adamod, { beta3: 0, epsOn: 'corrected-root' }, gradients)
  near(corrected, path(adam, {}, gradients), 1e-15)
})

test('[adabound] inside its bounds it is Adam', () => {
  near(path(adabound, {}, [2, -1]), [-0.00099999984, -0.00126633684], 1e-10)
  const session = new Session(adabound, vectors([0])).tell([2])
  expect(session.metrics).toMatchObject({ atLower: 0, atUpper: 0 })
})

test('[adabound] tiny and huge gradients meet the bounds', () => {
  near(path(adabound, {}, [1e-6]), [-1.001e-5], 1e-9)
  near(path(adabound, {}, [1e3, 1e3]), [-0.00999000999, -0.0479141617], 1e-9)
  expect(new Session(adabound, vectors([0, 0])).tell([1e-6, 1]).metrics.atUpper).toBe(0.5)
  expect(new Session(adabound, vectors([0])).tell([1e3]).metrics.atLower).toBe(1)
  // A schedule scales the final rate along: half the rate, half the move, at the bound.
  const config = { schedule: { id: 'constant', warmupSteps: 2 } }
  near(path(adabound, config, [1e-6]), [-1.001e-5 / 2], 1e-9)
})

test('[adabound] amsbound keeps the largest second moment', () => {
  const config = { learningRate: 0.1, beta1: 0, beta2: 0.5, gamma: 1 }
  near(path(adabound, { ...config, amsbound: true }, [1, 0.1]).slice(1), [-0.1122474], 1e-6)
  near(path(adabound, config, [1, 0.1]).slice(1), [-0.115], 1e-6)
})

test('[adabelief] the first steps', () => {
  for (const g of [3, -1e-3]) near(path(adabelief, {}, [g]), [-0.00111111 * Math.sign(g)], 1e-8)
  near(path(adabelief, {}, [2, 2, 2]), [-0.00111111, -0.00227912, -0.0035047], 1e-8)
})

test('[adabelief] gradients times 100 leave the iterates', () => {
  const gradients = Array.from({ length: 100 }, (_, k) => 1 + Math.sin(k))
  const scaled = path(
    adabelief,
    {},
    gradients.map((g) => 100 * g),
  )
  near(scaled, path(adabelief, {}, gradients), 1e-9)
})

test('[adabelief] |x + y| + |x - y|/10: there in 1000 steps, where Adam is not', () => {
  const f = ([x, y]: readonly number[]) => Math.abs(x + y) + Math.abs(x - y) / 10
  const gradient = of((w) => {
    const [plus, minus] = [Math.sign(w[0] + w[1]), Math.sign(w[0] - w[1]) / 10]
    return [plus + minus, plus - minus]
  })
  const end = (method: typeof adam, config: object) =>
    f(new Session(method, vectors([5, 5]), { config }).steps(1000, gradient).x)
  expect(end(adabelief as unknown as typeof adam, { eps: 1e-13 })).toBeLessThanOrEqual(0.01)
  expect(end(adam, {})).toBeCloseTo(8, 1)
})

test('[adabelief] rectified: momentum first, then the factor of RAdam', () => {
  const gradients = Array.from({ length: 8 }, (_, k) => 1 + 0.3 * Math.sin(k))
  const found = path(adabelief, { rectify: true, amsbound: false }, gradients)
  let [x, m, s] = [0, 0, 0]
  const limit = 1999
  for (const [k, g] of gradients.entries()) {
    const t = k + 1
    m = 0.9 * m + 0.1 * g
    s = 0.999 * s + 0.001 * (g - m) ** 2 + 1e-16
    const power = 0.999 ** t
    const rho = limit - (2 * t * power) / (1 - power)
    const r = Math.sqrt(((1 - power) * (rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho))
    const mhat = m / (1 - 0.9 ** t)
    x -= 1e-3 * (rho < 5 ? mhat : (r * mhat) / (Math.sqrt(s) + 1e-16))
    expect(found[k]).toBeCloseTo(x, 12)
  }
})

test('[fadam] the first step', () => {
  const config = { learningRate: 0.1, weightDecay: 0.1 }
  const session = new Session(fadam, vectors([6, 8]), { config }).tell([3, -4])
  near(session.state.slots.F.x, [9, 16], 1e-12)
  near(session.state.slots.m.x, [0.1, -0.1], 1e-7)
  near(session.x, [5.98, 8], 1e-7)
})

test('[fadam] differs from Adam where the gradient jumps', () => {
  const steps = ([a, b]: number[]) => [-a, a - b]
  near(steps(path(fadam, { learningRate: 1, weightDecay: 0 }, [1, 10])), [0.1, 0.19], 1e-3)
  near(steps(path(adam, { learningRate: 1 }, [1, 10])), [1, 0.8071], 1e-3)
})

test('[fadam] the natural gradient is clipped to rms 1, and the scale of the gradients does not matter with eps 0', () => {
  const run = (scale: number) => {
    // Without decay: x/D, of which decay is made, falls with the scale of the gradients where it is not clipped.
    const config = { learningRate: 0.1, beta1: 0, eps: 0, weightDecay: 0 }
    const session = new Session(fadam, vectors([1, -2, 3]), { config })
    const steps: number[] = []
    for (let k = 0; k < 100; k++) {
      session.tell([1, 2, 3].map((i) => scale * Math.sin(i + k * k) * 2 ** (k % 7)))
      const n = session.state.slots.m.x
      expect(Math.hypot(...n) / Math.sqrt(3)).toBeLessThanOrEqual(1 + 1e-12)
      steps.push(...session.x)
    }
    return steps
  }
  near(run(1024), run(1), 1e-12)
})

test('[innaprop] the first two steps', () => {
  const config = { learningRate: 0.01, beta: 0.9, weightDecay: 0 }
  const session = new Session(innaprop, vectors([1]), { config }).steps(
    1,
    of((x) => x),
  )
  expect(Math.abs(session.x[0] - 0.991)).toBeLessThan(1e-7)
  session.steps(
    1,
    of((x) => x),
  )
  expect(Math.abs(session.x[0] - 0.9819497545)).toBeLessThan(1e-9)
  expect(() => new Session(innaprop, vectors([1]), { config: { learningRate: 0.9 } })).toThrow('config.learningRate')
})

test('[innaprop] alpha*beta = 1 is RMSprop with bias correction and step lr*beta', () => {
  const gradient = of((x) => [x[0], 10 * x[1]])
  const run = (method: typeof adam, config: object, steps = 100) =>
    new Session(method, vectors([1, -1]), { config }).steps(steps, gradient).x
  const own = innaprop as unknown as typeof adam
  const rmsprop = (steps?: number, lr = 0.02) => run(adam, { learningRate: lr, beta1: 0 }, steps)
  near(run(own, { learningRate: 0.01, alpha: 0.5, beta: 2, weightDecay: 0 }), rmsprop(), 1e-12)
  const other = run(own, { learningRate: 0.01, alpha: 0.1, beta: 0.9, weightDecay: 0 }, 10)
  expect(Math.abs(other[0] - rmsprop(10, 0.009)[0])).toBeGreaterThan(1e-3)
})

test('[innaprop] gradients times 1000 leave the iterates', () => {
  const gradients = Array.from({ length: 200 }, (_, k) => Math.sin(1 + k * k))
  const run = (scale: number) =>
    path(
      innaprop,
      { eps: 1e-12 },
      gradients.map((g) => scale * g),
      1,
    )
  near(run(1000), run(1), 1e-6)
})
