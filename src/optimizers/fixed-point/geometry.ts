/** Mirror maps: the dual of a point, its inverse, and the Bregman divergence, for vectors over the tensors of a space. */
import type { Issue } from '../../core/errors.js'
import { AsktellError } from '../../core/errors.js'
import type { TensorSpec } from '../../core/tensor.js'
import { elements } from '../../core/tensor.js'
import { engineFor } from '../engines/index.js'
import { plus } from '../flat.js'
import { compileRule } from '../language/check.js'

export interface Geometry {
  /** grad phi, and its inverse. */
  dual(x: Float64Array): Float64Array
  primal(u: Float64Array): Float64Array
  /** D(a, b) = phi(a) - phi(b) - <grad phi(b), a - b>. */
  divergence(a: Float64Array, b: Float64Array): number
}

/** Expressions in x, element by element: phi, grad phi and the inverse of that. */
export type CustomMap = { potential: string; gradient: string; inverse: string }

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0)

const euclidean: Geometry = {
  dual: (x) => x,
  primal: (u) => u,
  divergence: (a, b) => sum(plus(a, -1, b).map((d) => d * d)) / 2,
}

/** Below this a probability has no logarithm worth keeping. */
const LEAST = 1e-300

/** Negative entropy; each row along the last axis of a tensor is a distribution. */
function entropy(tensors: readonly TensorSpec[]): Geometry {
  const rows: [number, number][] = []
  let at = 0
  for (const { shape } of tensors) {
    const width = shape.at(-1) ?? 1
    for (const end = at + elements(shape); at < end; at += width) rows.push([at, at + width])
  }
  return {
    dual: (x) => x.map((p) => Math.log(Math.max(p, LEAST))),
    primal(u) {
      const x = new Float64Array(u.length)
      for (const [from, to] of rows) {
        const row = u.subarray(from, to)
        const top = row.reduce((most, v) => Math.max(most, v), -Infinity)
        const weights = row.map((v) => Math.exp(v - top))
        const total = sum(weights)
        x.set(
          weights.map((w) => w / total),
          from,
        )
      }
      return x
    },
    divergence: (a, b) =>
      a.reduce((total, p, i) => total + (p > 0 ? p * Math.log(p / Math.max(b[i], LEAST)) : 0) - p + b[i], 0),
  }
}

const PARTS = ['potential', 'gradient', 'inverse'] as const
const source = (expression: string) => ({ text: `x = ${expression}`, slots: {}, hyperparameters: [], inputs: [] })

function custom(map: CustomMap, dimension: number): Geometry {
  const apply = (expression: string) => {
    const spec = { name: 'x', shape: [dimension], dtype: 'f64' as const }
    const kernel = engineFor('interpreter').compile(compileRule(source(expression)), [spec], 'f64')
    return (at: Float64Array): Float64Array => {
      const { x, slots } = kernel.allocate()
      x.x.set(at)
      kernel.run({ x, slots, inputs: { g: x }, scalars: { t: 1 }, seed: 0 })
      return Float64Array.from(x.x)
    }
  }
  const [potential, dual, primal] = PARTS.map((part) => apply(map[part]))
  return {
    dual,
    primal,
    divergence(a, b) {
      const slope = dual(b)
      return sum(potential(a)) - sum(potential(b)) - sum(slope.map((s, i) => s * (a[i] - b[i])))
    },
  }
}

export const GEOMETRIES = ['euclidean', 'entropy', 'custom'] as const

export function geometryOf(
  kind: (typeof GEOMETRIES)[number],
  map: CustomMap | undefined,
  tensors: readonly TensorSpec[],
): Geometry {
  if (kind === 'euclidean') return euclidean
  if (kind === 'entropy') return entropy(tensors)
  return custom(
    map!,
    tensors.reduce((n, { shape }) => n + elements(shape), 0),
  )
}

/** By how much of itself an element may change when the gradient of a mirror map is taken and undone. */
const ROUNDING = 1e-9

/** What is wrong with the expressions of a mirror map, by themselves and at a start. */
export function checkMap(map: CustomMap, start: Float64Array, at: string): Issue[] {
  const issues = PARTS.flatMap((part) => {
    try {
      compileRule(source(map[part]))
      return []
    } catch (error) {
      if (!(error instanceof AsktellError)) throw error
      return [{ path: `${at}.${part}`, message: error.message }]
    }
  })
  if (issues.length > 0) return issues
  const { dual, primal, divergence } = custom(map, start.length)
  const [u, away] = [dual(start), divergence(start, start)]
  if (!u.every(Number.isFinite)) return [{ path: `${at}.gradient`, message: 'is not finite at the start values' }]
  if (!Number.isFinite(away)) return [{ path: `${at}.potential`, message: 'is not finite at the start values' }]
  const wrong = primal(u).some((x, i) => !(Math.abs(x - start[i]) <= ROUNDING * Math.max(1, Math.abs(start[i]))))
  return wrong ? [{ path: `${at}.inverse`, message: 'does not undo the gradient at the start values' }] : []
}
