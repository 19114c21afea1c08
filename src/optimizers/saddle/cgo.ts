/**
 * Competitive gradient optimization: players of min over x, max over y of f(x, y) that anticipate each other.
 * A. Vyas, B. Bullins, K. Azizzadenesheli, "Competitive Gradient Optimization", ICML 2023 (arXiv:2205.14232).
 *
 * With B = D_xy f the local game is solved by p_x = (I + alpha^2 B B')^-1 (g_x + alpha B g_y) and
 * p_y = (I + alpha^2 B'B)^-1 (g_y - alpha B' g_x) = g_y - alpha B' p_x. alpha = 0 is gradient descent-ascent,
 * alpha = learningRate competitive gradient descent (Schaefer, Anandkumar 2019).
 *
 * Products with B are central differences of gradients, exact on quadratic games: B v from the gradient by x on either
 * side of y along v, B'u from that by y. Told gradients are those of each player's own loss, f and -f.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { accumulate, coordinate, dot, type Flat, norm, plus } from '../flat.js'
import { type Ask, checkNames, checkUnbounded, stepsMethod } from './steps.js'

const config = z.strictObject({
  variant: field(
    z.enum(['cgo', 'ocgo']).default('cgo'),
    'ocgo: optimistic, each step twice the direction less the one before.',
    { source: 'paper, section 5' },
  ),
  learningRate: field(z.number().positive().default(0.01), 'Step size.', { source: 'ours', mutable: true, log: true }),
  alpha: field(z.number().min(0).default(1), 'Weight of the interaction; free of scale near 1/|B|.', {
    source: 'ours',
  }),
  solver: field(
    z.enum(['direct', 'cg']).default('cg'),
    'How p_x is solved for: conjugate gradients, or all of B, column by column.',
    { source: 'ours' },
  ),
  tolerance: field(z.number().positive().default(1e-6), 'Residual of cg relative to its right side.', {
    source: 'Schaefer, Anandkumar 2019, section 4',
    log: true,
  }),
  spacing: field(z.number().positive().default(1e-3), 'Distance of the differences, along a unit vector.', {
    source: 'ours',
    log: true,
  }),
  maximizers: field(z.array(z.string()).default(['y']), 'Names of the tensors of the max player.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

/** A wanted product with the coupling: [0, B; B', 0] v, v being zero in one player's part. */
type Product = {
  v: Float64Array
  purpose: 'right-side' | 'column' | 'ahead' | 'back' | 'answer'
  /** The gradient on the first side, once told. */
  plus: Float64Array | null
}

type State = {
  z: Float64Array
  /** (g_x, g_y) of f at z, once told. */
  g: Float64Array | null
  product: Product | null
  /** The solution p and its residual and direction while cg runs; zero in the max player's part. */
  p: Float64Array
  r: Float64Array
  d: Float64Array
  right: number
  /** Whether the product under way is that of the old solution, for its residual. */
  warm: boolean
  /** direct: columns told so far. */
  columns: Float64Array[]
  previous: Float64Array | null
  iterations: number
  t: number
}

/** 1 at elements of the max player. */
function maxMask({ maximizers }: Config, flat: Flat): Uint8Array {
  const mask = new Uint8Array(flat.dimension)
  for (const name of maximizers) mask.fill(1, ...flat.range(name)!)
  return mask
}
const only = (v: Float64Array, mask: Uint8Array, player: 0 | 1) => v.map((value, i) => (mask[i] === player ? value : 0))

const request = (state: State, purpose: Product['purpose'], v: Float64Array) => {
  state.product = { v, purpose, plus: null }
}

/** Solves the dense symmetric positive definite system A x = b in place. */
function solve(A: Float64Array[], b: Float64Array): Float64Array {
  const n = b.length
  for (let k = 0; k < n; k++)
    for (let i = k + 1; i < n; i++) {
      const factor = A[i][k] / A[k][k]
      for (let j = k; j < n; j++) A[i][j] -= factor * A[k][j]
      b[i] -= factor * b[k]
    }
  for (let k = n - 1; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) b[k] -= A[k][j] * b[j]
    b[k] /= A[k][k]
  }
  return b
}

/** p_x from all columns of B. */
function direct({ alpha }: Config, mask: Uint8Array, { columns, g }: State): Float64Array {
  const rows = Array.from(mask.keys()).filter((i) => mask[i] === 0)
  const ys = Array.from(mask.keys()).filter((i) => mask[i] === 1)
  const right = Float64Array.from(rows, (i) => g![i] + alpha * columns.reduce((sum, c, j) => sum + c[i] * g![ys[j]], 0))
  const A = rows.map((i, a) =>
    Float64Array.from(
      rows,
      (k, b) => (a === b ? 1 : 0) + alpha ** 2 * columns.reduce((sum, c) => sum + c[i] * c[k], 0),
    ),
  )
  const p = new Float64Array(mask.length)
  solve(A, right).forEach((value, a) => {
    p[rows[a]] = value
  })
  return p
}

/** The gradient at z is known: the first product is wanted. */
function begin(config: Config, mask: Uint8Array, state: State) {
  state.iterations = 0
  if (config.alpha === 0) return finish(config, mask, state, only(state.g!, mask, 0), null)
  if (config.solver === 'cg') return request(state, 'right-side', only(state.g!, mask, 1))
  state.columns = []
  return request(state, 'column', coordinate(mask.indexOf(1), mask.length))
}

/** A product came: w = [0, B; B', 0] v. */
function proceed(config: Config, mask: Uint8Array, state: State, { v, purpose }: Product, w: Float64Array) {
  const { alpha, tolerance } = config
  switch (purpose) {
    case 'column': {
      state.columns.push(w)
      const next = mask.indexOf(1, v.indexOf(1) + 1)
      if (next >= 0) return request(state, 'column', coordinate(next, mask.length))
      return answer(state, direct(config, mask, state))
    }
    case 'right-side': {
      state.r = plus(only(state.g!, mask, 0), alpha, w)
      state.right = norm(state.r)
      // Begins at the solution of the step before; zero has no product to ask for.
      state.warm = norm(state.p) > 0
      state.d = state.r
      return request(state, 'ahead', state.warm ? state.p : state.d)
    }
    case 'ahead':
      state.iterations++
      return request(state, 'back', w)
    case 'back': {
      if (!state.warm) return move(config, state, w)
      state.warm = false
      state.r = plus(plus(state.r, -1, state.p), -(alpha ** 2), w)
      state.d = state.r
      return norm(state.r) <= tolerance * state.right ? answer(state, state.p) : request(state, 'ahead', state.d)
    }
    case 'answer':
      return finish(config, mask, state, state.p, w)
  }
}

/** A step of conjugate gradients along d, of which w = B B' d. */
function move({ alpha, tolerance }: Config, state: State, w: Float64Array) {
  const Ad = plus(state.d, alpha ** 2, w)
  const before = dot(state.r, state.r)
  if (before === 0) return answer(state, state.p)
  const step = before / dot(state.d, Ad)
  state.p = plus(state.p, step, state.d)
  state.r = plus(state.r, -step, Ad)
  if (norm(state.r) <= tolerance * state.right || state.iterations > 2 * state.r.length) return answer(state, state.p)
  state.d = plus(state.r, dot(state.r, state.r) / before, state.d)
  return request(state, 'ahead', state.d)
}

function answer(state: State, p: Float64Array) {
  state.p = p
  request(state, 'answer', p)
}

/** p_x and B'p_x are known. */
function finish(
  { alpha, learningRate, variant }: Config,
  mask: Uint8Array,
  state: State,
  px: Float64Array,
  w: Float64Array | null,
) {
  state.p = px
  const py = only(state.g!, mask, 1)
  if (w) accumulate(py, -alpha, w)
  const p = plus(px, -1, py)
  const last = state.previous ?? p
  state.z =
    variant === 'ocgo' ? plus(plus(state.z, -2 * learningRate, p), learningRate, last) : plus(state.z, -learningRate, p)
  state.previous = variant === 'ocgo' ? p : null
  state.product = null
  state.g = null
  state.t++
}

function askOf({ config }: { config: Config }, { z, product }: State): Ask {
  if (!product) return { at: z, purpose: 'step' }
  const side = product.plus ? -1 : 1
  return { at: plus(z, (side * config.spacing) / norm(product.v), product.v), purpose: product.purpose }
}

export const method = stepsMethod<Config, State>({
  id: 'cgo',
  title: 'Competitive gradient optimization',
  summary: "Zero-sum games by players that take each other's answer into account, through mixed second derivatives.",
  references: [
    {
      authors: 'A. Vyas, B. Bullins, K. Azizzadenesheli',
      title: 'Competitive Gradient Optimization',
      year: 2022,
      url: 'https://arxiv.org/abs/2205.14232',
    },
    {
      authors: 'F. Schaefer, A. Anandkumar',
      title: 'Competitive Gradient Descent',
      year: 2019,
      url: 'https://arxiv.org/abs/1905.12103',
    },
  ],
  config,
  recipes: [
    { problem: 'bilinear-game', config: { learningRate: 0.3, solver: 'direct' }, maxEvaluations: 1000, target: 1e-4 },
    { problem: 'bilinear-game', config: { learningRate: 0.3 }, maxEvaluations: 2000, target: 1e-4 },
  ],
  equations: () => [
    String.raw`p_x = (I + \alpha^2 B B^\top)^{-1} (g_x + \alpha B g_y)`,
    String.raw`p_y = (I + \alpha^2 B^\top B)^{-1} (g_y - \alpha B^\top g_x)`,
    String.raw`x \leftarrow x - \eta\, p_x,\quad y \leftarrow y + \eta\, p_y`,
  ],
  check({ maximizers }, problem) {
    const issues = [...checkNames(maximizers, problem, 'config.maximizers'), ...checkUnbounded('cgo', problem)]
    if (maximizers.length === 0) issues.push({ path: 'config.maximizers', message: 'expected at least one tensor' })
    return issues
  },
  init(_, flat) {
    const zero = () => new Float64Array(flat.dimension)
    return {
      z: flat.start(),
      g: null,
      product: null,
      p: zero(),
      r: zero(),
      d: zero(),
      right: 0,
      warm: false,
      columns: [],
      previous: null,
      iterations: 0,
      t: 0,
    }
  },
  ask: (run, _, state) => askOf(run, state),
  learn({ config }, flat, state, told) {
    const mask = maxMask(config, flat)
    // Of f for both players.
    const g = told.map((value, i) => (mask[i] ? -value : value))
    const { product } = state
    if (!product) {
      state.g = g
      begin(config, mask, state)
    } else if (!product.plus) product.plus = g
    else {
      const scale = norm(product.v) / (2 * config.spacing)
      const player = product.v.some((value, i) => value !== 0 && mask[i] === 1) ? 0 : 1
      const w = only(plus(product.plus, -1, g), mask, player).map((value) => scale * value)
      proceed(config, mask, state, product, w)
    }
    // Products of zero need not be asked.
    while (state.product && norm(state.product.v) === 0)
      proceed(config, mask, state, state.product, new Float64Array(flat.dimension))
  },
  estimate: (_, { z, iterations, t }) => ({
    x: z,
    kind: 'iterate',
    step: t,
    metrics: { solverIterations: iterations },
  }),
})
