import { beforeAll, expect, test } from 'vitest'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { FloatArray, Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method } from '../../../src/optimizers/presets/tsla.js'
import { CLASSES, loadDigits, range, take } from '../../golden/digits.js'
import { Network, softmax } from '../network.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

/** Cross entropy of logits against a label of this smoothing: the gradient is softmax minus target. */
const target = (label: number, theta: number, classes = CLASSES) =>
  Float64Array.from({ length: classes }, (_, c) => (1 - theta) * Number(c === label) + theta / classes)
const slope = (logits: ArrayLike<number>, wanted: Float64Array) =>
  softmax(logits, wanted.length).map((p, c) => p - wanted[c])

test('[tsla] ten classes, theta 0.4, label 3: the target, and the combined gradient', () => {
  const wanted = target(3, 0.4)
  wanted.forEach((value, c) => {
    expect(value).toBeCloseTo(c === 3 ? 0.64 : 0.04, 15)
  })
  const logits = [0.3, -1, 2, 0.5, 0, 1, -2, 0.1, 0.7, -0.4]
  const session = new Session(method, vectors(logits), {
    config: { learningRate: 1, driver: { id: 'tsla', theta: 0.4, labels: 'combined', switch: 'step' } },
  })
  const asked: string[] = []
  session.steps(1, ({ x }, { purpose, sampleKey }) => {
    asked.push(`${purpose} ${sampleKey}`)
    return { x: slope(x, target(3, purpose === 'uniform' ? 1 : 0)) }
  })
  expect(asked).toEqual(['labels s1', 'uniform s1'])
  slope(logits, wanted).forEach((g, c) => {
    expect(Math.abs(logits[c] - session.x[c] - g)).toBeLessThan(1e-12)
  })
})

const smoothingOf = ({ purpose }: Query) => Number(purpose!.slice('smoothing.'.length))

test('[tsla] theta = 0 or T1 = 0 is SGD exactly, and T2 = 0 is label smoothing exactly', () => {
  const start = [0.5, -1, 2]
  const steps = 30
  const run = (driver: object) => {
    const session = new Session(method, vectors(start), {
      config: { learningRate: 0.3, momentum: 0.9, driver: { id: 'tsla', ...driver } },
    })
    session.steps(steps, ({ x }, query) => {
      const theta = query.purpose === 'labels' ? 0 : query.purpose === 'uniform' ? 1 : smoothingOf(query)
      return { x: slope(x, target(1, theta, 3)) }
    })
    return session.x
  }
  const plain = (theta: number) =>
    new Session(sgd, vectors(start), { config: { learningRate: 0.3, momentum: 0.9 } }).steps(steps, ({ x }) => ({
      x: slope(x, target(1, theta, 3)),
    })).x
  for (const labels of ['smoothed', 'combined']) {
    expect(run({ labels, switch: 'step', theta: 0 })).toEqual(plain(0))
    expect(run({ labels, switch: 'step', smoothingSteps: 0 })).toEqual(plain(0))
    expect(run({ labels, switch: 'fraction', fraction: 0, totalSteps: 30 })).toEqual(plain(0))
  }
  expect(run({ switch: 'step', smoothingSteps: steps })).toEqual(plain(0.4))
  expect(run({ switch: 'fraction', fraction: 1, totalSteps: 30, theta: 0.25 })).toEqual(plain(0.25))
  expect(run({ switch: 'step', smoothingSteps: 10 })).not.toEqual(plain(0))
})

test('[tsla] every ask names its strength; the second stage has a rate of its own', () => {
  const session = new Session(method, vectors([8]), {
    config: { learningRate: 0.5, driver: { id: 'tsla', switch: 'fraction', totalSteps: 4, secondRate: 0.1 } },
  })
  const purposes: string[] = []
  const rates: number[] = []
  for (let t = 0; t < 4; t++) {
    expect(session.metrics.labelSmoothing).toBe(smoothingOf(session.query))
    session.steps(1, (_, query) => {
      purposes.push(query.purpose!)
      return { x: [1] }
    })
    rates.push(session.metrics.learningRate)
    if (t === 1) session.restart()
  }
  expect(purposes).toEqual(['smoothing.0.4', 'smoothing.0.4', 'smoothing.0', 'smoothing.0'])
  expect(rates).toEqual([0.5, 0.5, 0.05, 0.05])
  expect(session.metrics.stage).toBe(2)
  expect(() => new Session(method, vectors([1]), { config: { driver: { id: 'tsla', switch: 'fraction' } } })).toThrow(
    'config.driver.totalSteps: expected the steps',
  )
})

test('[tsla] a plateau: the mean loss of 10 steps falls by less than 1 percent over 3 windows', () => {
  let loss = 1
  const session = new Session(adam, vectors([1]), {
    config: { learningRate: 0, driver: { id: 'tsla', window: 10 } },
    value: () => loss,
  })
  // 50 steps of quick fall, then none.
  const stages = range(0, 120).map((t) => {
    loss = t < 50 ? 0.9 ** t : 0.9 ** 50
    return session.steps(1, () => ({ x: [0] })).metrics.stage
  })
  // Windows 6 to 9 (steps 51 to 90) are the first whose last is no better than that 3 before.
  expect(stages.indexOf(2)).toBe(89)
  expect(session.wants('value')).toBe(false)
})

test('[tsla] the diagnosis is the ratio of spreads around the gradient of the objective', () => {
  const rng = new Rng(rngStream(1, 'samples'))
  const noise = new Map<string, number>()
  const of = (key: string) => noise.get(key) ?? noise.set(key, rng.normal()).get(key)!
  const spread = { labels: [] as number[], uniform: [] as number[] }
  const session = new Session(method, vectors([1]), {
    config: { learningRate: 0, driver: { id: 'tsla', switch: 'step', diagnoseEvery: 5, diagnoseSamples: 40 } },
  })
  session.steps(1, (_, { purpose, sampleKey }) => {
    if (purpose === 'objective') return { x: [3] }
    if (purpose !== 'labels' && purpose !== 'uniform') return { x: [3] }
    const off = purpose === 'labels' ? 2 * of(sampleKey!) : 0.5 * of(`u${sampleKey}`)
    spread[purpose].push(off ** 2)
    return { x: [3 + off] }
  })
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
  expect(spread.uniform.length).toBe(40)
  expect(session.metrics.delta).toBeCloseTo(sum(spread.uniform) / sum(spread.labels), 12)
  expect(session.metrics.bestTheta).toBeCloseTo(1 / (1 + session.metrics.delta), 12)
  expect(session.metrics.delta).toBeLessThan(0.15)
  expect(session.x).toEqual([1])
})

test('[tsla] digits: without bias at the end, and no worse on the test set than SGD', () => {
  const digits = loadDigits()
  const [batch, epochs] = [16, 40]
  const order = new Rng(rngStream(9, 'split')).shuffle(range(0, digits.labels.length))
  const [train, tested] = [take(digits, order.slice(0, 1437)), take(digits, order.slice(1437))]
  const net = new Network([64, 32, CLASSES], 1437)
  const perEpoch = Math.floor(train.labels.length / batch)

  const crossEntropy = (x: Tensors, { pixels, labels }: typeof train) => {
    const p = softmax(net.forward(x, pixels), CLASSES)
    return labels.reduce((sum, label, i) => sum - Math.log(p[i * CLASSES + label]), 0) / labels.length
  }
  const trained = (seed: number, driver: object) => {
    const rng = new Rng(rngStream(seed, 'network'))
    const initial: { [name: string]: FloatArray } = {}
    for (const { name, shape } of net.specs)
      if (shape.length === 2)
        initial[name] = Float64Array.from({ length: shape[0] * shape[1] }, () => rng.normal() * Math.sqrt(2 / shape[0]))
    const session = new Session(
      method,
      { kind: 'tensors', tensors: net.specs, initial },
      {
        config: {
          learningRate: 0.5,
          reportNorm: false,
          driver: { id: 'tsla', switch: 'fraction', totalSteps: epochs * perEpoch, ...driver },
        },
      },
    )
    for (let epoch = 0; epoch < epochs; epoch++) {
      const shuffled = rng.shuffle(range(0, train.labels.length))
      for (let k = 0; k < perEpoch; k++) {
        const { pixels, labels } = take(train, shuffled.slice(k * batch, (k + 1) * batch))
        session.steps(1, (x, query) => {
          const theta = smoothingOf(query)
          return net.gradient(x as never, pixels, (logits) => {
            const e = softmax(logits, CLASSES)
            for (let i = 0; i < labels.length; i++)
              for (let c = 0; c < CLASSES; c++)
                e[i * CLASSES + c] -= (1 - theta) * Number(c === labels[i]) + theta / CLASSES
            return e.map((value) => value / labels.length)
          })
        })
      }
    }
    return { train: crossEntropy(session.state.x, train), test: crossEntropy(session.state.x, tested) }
  }
  for (const seed of [1, 2, 3]) {
    const two = trained(seed, { fraction: 0.5 })
    const plain = trained(seed, { fraction: 0 })
    expect(two.train).toBeLessThan(0.05)
    expect(two.test).toBeLessThanOrEqual(plain.test + 0.005)
  }
  expect(trained(1, { fraction: 1 }).train).toBeGreaterThan(0.3)
})
