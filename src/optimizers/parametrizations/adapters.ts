/** What the changes of adapters are made of, and the gradients of their factors; G is that by the change. */
import { multiply, multiplyByTransposed, multiplyTransposed } from '../matrices.js'

type Shape = readonly number[]
export type Factors = { readonly [factor: string]: ArrayLike<number> }

/** A matrix to be changed. `outer`: rows and columns of the left factor of a Kronecker product. */
export type Size = {
  rows: number
  columns: number
  rank: number | undefined
  scale: number
  outer: readonly [number, number]
}

export interface Adapter {
  /** The factors and their shapes, in order. */
  shapes(size: Size): { [factor: string]: Shape }
  /** The factor that is 0 at the start. */
  zero(size: Size): string
  /** The change of the matrix. */
  change(factors: Factors, size: Size): Float64Array
  gradients(G: ArrayLike<number>, factors: Factors, size: Size): { [factor: string]: Float64Array }
  equations: readonly string[]
}

const scaled = (values: Float64Array, scale: number) => values.map((value) => scale * value)
const entrywise = (a: ArrayLike<number>, b: ArrayLike<number>) => Float64Array.from(a, (value, i) => value * b[i])

const lora: Adapter = {
  shapes: ({ rows, columns, rank = 1 }) => ({ A: [rank, columns], B: [rows, rank] }),
  zero: () => 'B',
  change: ({ A, B }, { rank = 1, scale }) => scaled(multiply(B, A, rank), scale),
  gradients: (G, { A, B }, { rows, columns, scale }) => ({
    A: scaled(multiplyTransposed(B, G, rows), scale),
    B: scaled(multiplyByTransposed(G, A, columns), scale),
  }),
  equations: [String.raw`W = W_0 + s B A,\quad \nabla_B = s G A',\quad \nabla_A = s B' G`],
}

const loha: Adapter = {
  shapes: ({ rows, columns, rank = 1 }) => ({
    A1: [rank, columns],
    B1: [rows, rank],
    A2: [rank, columns],
    B2: [rows, rank],
  }),
  zero: () => 'B2',
  change: ({ A1, B1, A2, B2 }, { rank = 1, scale }) =>
    scaled(entrywise(multiply(B1, A1, rank), multiply(B2, A2, rank)), scale),
  gradients(G, { A1, B1, A2, B2 }, { rows, columns, rank = 1, scale }) {
    const [G1, G2] = [multiply(B2, A2, rank), multiply(B1, A1, rank)].map((other) => scaled(entrywise(G, other), scale))
    return {
      A1: multiplyTransposed(B1, G1, rows),
      B1: multiplyByTransposed(G1, A1, columns),
      A2: multiplyTransposed(B2, G2, rows),
      B2: multiplyByTransposed(G2, A2, columns),
    }
  },
  equations: [String.raw`W = W_0 + s (B_1 A_1) \circ (B_2 A_2),\quad \nabla_{B_1} = s (G \circ (B_2 A_2)) A_1'`],
}

/** Calls back with the entries of C, of the inner factor and of the matrix that belong together in a Kronecker product. */
function eachEntry({ rows, columns, outer: [p, q] }: Size, visit: (c: number, inner: number, at: number) => void) {
  const [m, n] = [rows / p, columns / q]
  for (let i = 0; i < p; i++)
    for (let k = 0; k < m; k++)
      for (let j = 0; j < q; j++)
        for (let l = 0; l < n; l++) visit(i * q + j, k * n + l, (i * m + k) * columns + j * n + l)
}

const lokr: Adapter = {
  shapes: ({ rows, columns, rank = 1, outer: [p, q] }) => ({ C: [p, q], A: [rank, columns / q], B: [rows / p, rank] }),
  zero: () => 'B',
  change({ C, A, B }, size) {
    const inner = multiply(B, A, size.rank ?? 1)
    const out = new Float64Array(size.rows * size.columns)
    eachEntry(size, (c, k, at) => {
      out[at] = size.scale * C[c] * inner[k]
    })
    return out
  },
  gradients(G, { C, A, B }, size) {
    const { rows, columns, outer, scale } = size
    const inner = multiply(B, A, size.rank ?? 1)
    const [gC, gInner] = [new Float64Array(C.length), new Float64Array(inner.length)]
    eachEntry(size, (c, k, at) => {
      gC[c] += scale * G[at] * inner[k]
      gInner[k] += scale * G[at] * C[c]
    })
    return {
      C: gC,
      A: multiplyTransposed(B, gInner, rows / outer[0]),
      B: multiplyByTransposed(gInner, A, columns / outer[1]),
    }
  },
  equations: [
    String.raw`W = W_0 + s\, C \otimes (B A),\quad \nabla_{C_{ij}} = s \langle G_{ij}, B A \rangle,\quad \nabla_{BA} = s \sum_{ij} C_{ij} G_{ij}`,
  ],
}

/** A factor of lokh by its products, where it is of low rank itself. */
const whole = (factors: Factors, name: string, rank: number | undefined): ArrayLike<number> =>
  rank === undefined ? factors[name] : multiply(factors[`${name}1`], factors[`${name}2`], rank)

const lokh: Adapter = {
  shapes({ rows, columns, rank, outer: [p] }): Record<string, Shape> {
    if (rank === undefined) return { C: [p, columns], F: [rows / p, columns] }
    return { C1: [p, rank], C2: [rank, columns], F1: [rows / p, rank], F2: [rank, columns] }
  },
  zero: ({ rank }) => (rank === undefined ? 'F' : 'F1'),
  change(factors, { rows, columns, rank, outer: [p], scale }) {
    const [C, F] = [whole(factors, 'C', rank), whole(factors, 'F', rank)]
    const m = rows / p
    return Float64Array.from({ length: rows * columns }, (_, at) => {
      const [i, j] = [Math.floor(at / columns), at % columns]
      return scale * C[Math.floor(i / m) * columns + j] * F[(i % m) * columns + j]
    })
  },
  gradients(G, factors, { rows, columns, rank, outer: [p], scale }): Record<string, Float64Array> {
    const [C, F] = [whole(factors, 'C', rank), whole(factors, 'F', rank)]
    const [gC, gF] = [new Float64Array(C.length), new Float64Array(F.length)]
    const m = rows / p
    for (let at = 0; at < G.length; at++) {
      const [i, j] = [Math.floor(at / columns), at % columns]
      const [c, f] = [Math.floor(i / m) * columns + j, (i % m) * columns + j]
      gC[c] += scale * G[at] * F[f]
      gF[f] += scale * G[at] * C[c]
    }
    if (rank === undefined) return { C: gC, F: gF }
    const { C1, C2, F1, F2 } = factors
    return {
      C1: multiplyByTransposed(gC, C2, columns),
      C2: multiplyTransposed(C1, gC, p),
      F1: multiplyByTransposed(gF, F2, columns),
      F2: multiplyTransposed(F1, gF, m),
    }
  },
  equations: [
    String.raw`W_j = W_{0,j} + s\, c_j \otimes f_j,\quad \nabla_{c_j} = s G_j f_j,\quad \nabla_{f_j} = s G_j' c_j`,
  ],
}

export const ADAPTERS: { readonly [kind in 'lora' | 'loha' | 'lokr' | 'lokh']: Adapter } = { lora, loha, lokr, lokh }
