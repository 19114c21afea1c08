/** Worlds that are played round by round. What a round is like follows from its number, in the sample key of a query. */
import type { Estimate } from '../../src/core/method.js'
import type { Point, Query } from '../../src/core/query.js'
import type { Problem, Space } from '../../src/core/space.js'
import type { Definition, ProblemOptions } from './oracle.js'

const minimize = (space: Space): Problem => ({ space, objectives: [{ name: 'loss', direction: 'minimize' }] })
const vectorOf = (point: Point, name: string): ArrayLike<number> => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors[name]
}
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0)
const roundOf = ({ sampleKey = '' }: Query): number => Number(sampleKey.replace('round-', ''))
/** Numbers in [0, 1) without a pattern, by round and place. */
const scattered = (round: number, place: number) => {
  const x = Math.sin(round * 12.9898 + place * 78.233) * 43758.5453
  return x - Math.floor(x)
}
/** What is paid per step, once there are so many; of numbers that only estimates have. */
const perStep =
  (least: number) =>
  ({ step, metrics }: Estimate) =>
    step < least ? Number.NaN : (metrics?.cost ?? Number.NaN) / step

/**
 * The energy distance of 10 particles in the line to U[0, 1]: tensor x:[10, 1], f64, all from 0.2. Samples of the target are
 * the middles of 200 shares. 1/600 at the quantiles.
 */
export function transport({ shift = 0 }: ProblemOptions): Definition {
  const n = 10
  const within = (x: number) => Math.min(Math.max(x, 0), 1)
  const particles = (point: Point) => Array.from(vectorOf(point, 'x'), (x) => x - shift)
  return {
    problem: minimize({
      kind: 'tensors',
      tensors: [{ name: 'x', shape: [n, 1], dtype: 'f64' }],
      initial: { x: new Float64Array(n).fill(0.2 + shift) },
    }),
    optimum: 1 / 600,
    offers: ['value', 'gradient', 'quantities'],
    objective(point) {
      const w = particles(point)
      const mean = (f: (x: number) => number) => w.reduce((sum, x) => sum + f(x) / n, 0)
      const toTarget = mean((x) => within(x) ** 2 - within(x) + 0.5 + Math.abs(x - within(x)))
      return 2 * toTarget - mean((a) => mean((b) => Math.abs(a - b))) - 1 / 3
    },
    gradient(point) {
      const w = particles(point)
      const x = w.map((a) => {
        const signs = w.reduce((sum, b) => sum + Math.sign(a - b), 0)
        return (2 * (2 * within(a) - 1) - (2 / n) * signs) / n
      })
      return { x: Float64Array.from(x) }
    },
    quantities: { samples: () => Float64Array.from({ length: 200 }, (_, i) => (i + 0.5) / 200 + shift) },
  }
}

const TRUTH = [0.6, -0.8, 0.5]
const model = minimize({ kind: 'tensors', tensors: [{ name: 'w', shape: [3], dtype: 'f64' }] })
const toTruth = (point: Point) => Math.hypot(...TRUTH.map((t, i) => vectorOf(point, 'w')[i] - t))

/** Rounds of features x and a label <w*, x> with small noise, of a linear model w:[3], f64. Judged by |w - w*|. */
export function linearRounds(): Definition {
  const x = (round: number) => TRUTH.map((_, i) => 2 * scattered(round, i) - 1)
  return {
    problem: model,
    optimum: 0,
    offers: ['quantities'],
    objective: toTruth,
    quantities: {
      x: (_, __, query) => Float64Array.from(x(roundOf(query))),
      y: (_, __, query) => Float64Array.of(dot(x(roundOf(query)), TRUTH) + 0.1 * (scattered(roundOf(query), 9) - 0.5)),
    },
  }
}

/** Four arms a round, their rewards -<w*, x> (to be minimized), of a linear model w:[3], f64. Judged by |w - w*|. */
export function armsInRounds(): Definition {
  return {
    problem: model,
    optimum: 0,
    offers: ['quantities', 'value'],
    objective: (point) => dot(vectorOf(point, 'w'), TRUTH),
    judge: toTruth,
    quantities: {
      arms: (_, __, query) => Float64Array.from({ length: 12 }, (_, i) => 2 * scattered(roundOf(query), i) - 1),
    },
  }
}

/** Five items on the unit circle, the value of each its second coordinate; the third is best, -1. */
export function linearArms(): Definition {
  const angles = [0, 1, -Math.PI / 2, 2.2, 3]
  return {
    problem: minimize({
      kind: 'items',
      items: angles.map((a, i) => ({ id: `arm${i}`, features: [Math.cos(a), Math.sin(a)] })),
    }),
    optimum: -1,
    offers: ['value'],
    objective(point) {
      if (point.kind !== 'item') throw new Error(`expected an item, got a ${point.kind} point`)
      return Math.sin(angles[Number(point.item.slice(3))])
    },
  }
}

/**
 * Four experts of qualities 1, 3, 0 and 2, and 8 tasks. A score is the quality, on even tasks a half of it, with noise of less
 * than 0.05 that follows from the round. Judged by the quality of the first.
 */
export function experts(): Definition {
  const qualities = [1, 3, 0, 2]
  const quality = (point: Point) => {
    if (point.kind !== 'item') throw new Error(`expected an item, got a ${point.kind} point`)
    return qualities[Number(point.item.slice(6))]
  }
  return {
    problem: {
      space: { kind: 'items', items: qualities.map((_, i) => ({ id: `expert${i}` })) },
      objectives: [{ name: 'score', direction: 'maximize' }],
    },
    optimum: 3,
    offers: ['quantities'],
    objective: quality,
    quantities: {
      scores(point, _, query) {
        const note = query.points.at(-1)
        if (note?.kind !== 'text') throw new Error('expected a note of tasks')
        const tasks: number[] = JSON.parse(note.text.tasks)
        return Float64Array.from(
          tasks,
          (task, i) => quality(point) / (task % 2 ? 1 : 2) + 0.1 * (scattered(roundOf(query), i) - 0.5),
        )
      },
    },
  }
}

/**
 * Requests of six pages, the first three most often. The predicted cache is those, or on
 * odd requests the others, which is wrong. Judged by
 * the misses per request, of 100 requests and more.
 */
export function requests(): Definition {
  const page = (round: number) => {
    const u = scattered(round, 1)
    return u < 0.85 ? Math.floor(scattered(round, 2) * 3) : 3 + Math.floor(scattered(round, 3) * 3)
  }
  return {
    problem: minimize({ kind: 'items', items: Array.from({ length: 6 }, (_, i) => ({ id: `page${i}` })) }),
    optimum: 0,
    offers: ['quantities'],
    objective: () => Number.NaN,
    assess: perStep(100),
    quantities: {
      request: (_, __, query) => Float64Array.of(page(roundOf(query) + 1)),
      cache: (_, __, query) => Float64Array.from([0, 1, 2], (p) => p + 3 * (roundOf(query) % 2)),
    },
  }
}

/**
 * Tasks of cost 0, 1 or 2 in each of four states on a line. The predicted state is one where the task costs least. Judged by
 * what is paid per task, of 50 tasks and more.
 */
export function taskSystem(): Definition {
  const costs = (round: number) => Array.from({ length: 4 }, (_, x) => Math.floor(3 * scattered(round, x)))
  return {
    problem: minimize({
      kind: 'items',
      items: Array.from({ length: 4 }, (_, x) => ({ id: `state${x}`, features: [0.3 * x] })),
    }),
    optimum: 0,
    offers: ['quantities'],
    objective: () => Number.NaN,
    assess: perStep(50),
    quantities: {
      costs: (_, __, query) => Float64Array.from(costs(roundOf(query))),
      state(_, __, query) {
        const task = costs(roundOf(query))
        return Float64Array.of(task.indexOf(Math.min(...task)))
      },
    },
  }
}

/** A season of 40 days, which is predicted, and options [cost, days]. Judged on its last day by the cost over the least, 16. */
export function skiSeason(): Definition {
  const options = [
    [1, 1],
    [3, 5],
    [8, 20],
    [20, -1],
  ]
  return {
    problem: minimize({ kind: 'items', items: options.map((features, i) => ({ id: `pass${i}`, features })) }),
    optimum: 1,
    offers: ['quantities'],
    objective: () => Number.NaN,
    assess: ({ step, metrics }) => (step === 40 ? (metrics?.cost ?? Number.NaN) / 16 : Number.NaN),
    quantities: {
      days: () => Float64Array.of(40),
      continues: (_, __, query) => Float64Array.of(Number(roundOf(query) < 40)),
    },
  }
}
