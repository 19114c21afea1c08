/**
 * A mixture of product kernels over coordinates in [0, 1]: the density estimate of TPE.
 * S. Watanabe, "Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their Roles for Better
 * Empirical Performance", arXiv:2304.11127, sections 3 and B, with the choices of Optuna 5 (multivariate).
 *
 * - ordered coordinates: normals truncated to [0, 1], integrated over the share of each value where there are few.
 *   Bandwidth: the larger gap to the neighbours, at least 1 / min(100, 2 + n) ("magic clipping").
 * - categories, and coordinates of two values, of which an order says nothing: the kernel's own choice, plus
 *   priorWeight / (n + 1) on every choice. (Optuna has normals on integers of two values, which hardly tell them apart.)
 * - the prior: one more kernel, a normal of mean 1/2 and deviation 1.
 * - weights: 1 for the newest 25, rising linearly from 1/n before; or what they are set to.
 *
 * Kernels lie in flat arrays by row number. Every number in them is a function of the set of rows alone, and sums run
 * in the order of rows: how the set came about does not show in a single bit.
 */
import type { Rng } from '../../core/rng.js'
import { workspace } from '../linalg/linalg.js'
import type { Axis, Values } from '../space/encoding.js'
import { grown, Sorted } from '../space/rows.js'
import { normalCdf } from './acquisition.js'

/** Newest kernels of full weight. */
const FLAT = 25
/** Above this many values the density at a value stands for the mass of its share, ten to the narrowest kernel. */
const FEW_VALUES = 1000

/** Mass of a standard normal between a <= b, without cancellation in the upper tail. */
const mass = (a: number, b: number) => (a > 0 ? normalCdf(-a) - normalCdf(-b) : normalCdf(b) - normalCdf(a))

const isChoice = ({ ordered, size }: Axis) => !ordered || size === 2

/** An axis whose factor is the mass of a value's share, and the masses of the candidates' values under kernels. */
type Shared = {
  j: number
  values: Values
  /** By value of the kernel: the bandwidth that its logarithms of masses, one per candidate, are for. */
  known: Float64Array
  log: Float64Array
}

export class Parzen {
  private readonly members = new Sorted((a, b) => a < b)
  /** Rows by coordinate, ties by row; none for choices. */
  private readonly orders: (Sorted | undefined)[]
  private readonly width: number
  private mu = new Float64Array(0)
  private sigma = new Float64Array(0)
  /** Of dense axes, side by side: centre and 1 / (sqrt(2) sigma) in turn, an even number of axes. */
  private bells = new Float64Array(0)
  private readonly bellWidth: number
  /** Numbers of values, of axes that have them. */
  private cells = new Int32Array(0)
  /** Minus the logarithm of each factor's normalizer, and the sum of a row. */
  private norm = new Float64Array(0)
  private base = new Float64Array(0)
  private stale = new Uint8Array(0)
  private staleRows: number[] = []
  private leastSigma = 0
  private weights: ReadonlyMap<number, number> | undefined
  /** Axes whose factor is a density, a mass of a share, and a choice. */
  private readonly dense: number[] = []
  private readonly shared: Shared[] = []
  private readonly chosen: { j: number; values: Values; size: number }[] = []

  constructor(
    private readonly axes: readonly Axis[],
    private readonly priorWeight: number,
    private readonly candidates: number,
  ) {
    this.width = axes.length
    this.orders = axes.map((axis, j) =>
      isChoice(axis)
        ? undefined
        : new Sorted((a, b) => {
            const d = this.mu[a * this.width + j] - this.mu[b * this.width + j]
            return d < 0 || (d === 0 && a < b)
          }),
    )
    axes.forEach((axis, j) => {
      const { size, values } = axis
      if (isChoice(axis)) this.chosen.push({ j, values: values!, size })
      else if (!values || size > FEW_VALUES) this.dense.push(j)
      else this.shared.push({ j, values, known: new Float64Array(size), log: new Float64Array(candidates * size) })
    })
    this.bellWidth = 4 * Math.ceil(this.dense.length / 2)
  }

  /** Adds a kernel at these coordinates. */
  insert(row: number, x: ArrayLike<number>): void {
    const { width } = this
    if (row >= this.base.length) {
      const rows = Math.max(64, 2 * this.base.length, row + 1)
      this.mu = grown(this.mu, rows * width)
      this.sigma = grown(this.sigma, rows * width)
      this.bells = grown(this.bells, rows * this.bellWidth)
      this.norm = grown(this.norm, rows * width)
      this.cells = grown(this.cells, rows * width)
      this.stale = grown(this.stale, rows * width)
      this.base = grown(this.base, rows)
    }
    for (let j = 0; j < width; j++) {
      this.mu[row * width + j] = x[j]
      this.cells[row * width + j] = this.axes[j].values?.index(x[j]) ?? 0
    }
    this.members.insert(row)
    this.orders.forEach((order, j) => {
      if (!order) return
      const at = order.insert(row)
      for (let k = at - 1; k <= at + 1; k++) if (k >= 0 && k < order.count) this.touch(order.rows[k], j)
    })
  }

  remove(row: number): void {
    this.members.remove(row)
    this.orders.forEach((order, j) => {
      if (!order) return
      const at = order.remove(row)
      for (let k = at - 1; k <= at; k++) if (k >= 0 && k < order.count) this.touch(order.rows[k], j)
    })
  }

  private touch(row: number, j: number): void {
    if (this.stale[row * this.width + j]) return
    this.stale[row * this.width + j] = 1
    this.staleRows.push(row)
  }

  /** Brings bandwidths up to date with the set of rows. */
  private refresh(): void {
    const { members, orders, width, stale } = this
    const least = 1 / Math.min(100, members.count + 2)
    if (least !== this.leastSigma) {
      this.leastSigma = least
      for (let k = 0; k < members.count; k++)
        for (let j = 0; j < width; j++) if (orders[j]) this.touch(members.rows[k], j)
    }
    for (const row of this.staleRows) {
      let base = 0
      for (let j = 0; j < width; j++) {
        const at = row * width + j
        const order = orders[j]
        if (!order) continue
        if (stale[at]) {
          stale[at] = 0
          this.fit(at, j, order, row)
        }
        base += this.norm[at]
      }
      this.base[row] = base
    }
    this.staleRows = []
  }

  /** Bandwidth and normalizer of one factor. The ends of [0, 1] count as neighbours of a lone kernel only. */
  private fit(at: number, j: number, order: Sorted, row: number): void {
    const { mu, width } = this
    const k = order.place(row)
    const x = mu[at]
    const alone = order.count === 1
    const left = k > 0 ? x - mu[order.rows[k - 1] * width + j] : alone ? x : 0
    const right = k + 1 < order.count ? mu[order.rows[k + 1] * width + j] - x : alone ? 1 - x : 0
    const sigma = Math.min(Math.max(left, right, this.leastSigma), 1)
    this.sigma[at] = sigma
    this.norm[at] = this.normalizer(j, x, sigma)
    const dense = this.dense.indexOf(j)
    if (dense < 0) return
    const bell = row * this.bellWidth + 2 * dense
    this.bells[bell] = x
    this.bells[bell + 1] = Math.SQRT1_2 / sigma
  }

  private normalizer(j: number, mu: number, sigma: number): number {
    const total = Math.log(mass(-mu / sigma, (1 - mu) / sigma))
    return this.dense.includes(j) ? -Math.log(sigma * Math.sqrt(2 * Math.PI)) - total : -total
  }

  /** Sets the weights of all rows, or lets them go by age. */
  weigh(weights: ReadonlyMap<number, number> | undefined): void {
    this.weights = weights
  }

  /** Weight of the k-th oldest of n kernels. */
  private weight(k: number, n: number): number {
    if (this.weights) return this.weights.get(this.members.rows[k])!
    if (k >= n - FLAT) return 1
    return n - FLAT === 1 ? 1 / n : 1 / n + (k * (1 - 1 / n)) / (n - FLAT - 1)
  }

  /** Draws a point of the mixture into `x`: a kernel by weight, then each of its factors. */
  sample(rng: Rng, x: Float64Array): void {
    this.refresh()
    const { members, width, priorWeight } = this
    const n = members.count
    let total = n === 0 ? 1 : priorWeight
    for (let k = 0; k < n; k++) total += this.weight(k, n)
    let rest = rng.uniform() * total
    let k = 0
    while (k < n && (rest -= this.weight(k, n)) >= 0) k++
    const at = k < n ? members.rows[k] * width : -1
    this.axes.forEach((axis, j) => {
      const { size, values, encode } = axis
      if (!isChoice(axis)) {
        const [mu, sigma] = at >= 0 ? [this.mu[at + j], this.sigma[at + j]] : [0.5, 1]
        let u: number
        do u = mu + sigma * rng.normal()
        while (u < 0 || u > 1)
        x[j] = values ? encode(values.at(values.index(u))) : u
        return
      }
      const p = priorWeight / (n + 1)
      const r = rng.uniform() * (size + (at >= 0 ? 1 / p : 0))
      x[j] = r < size ? encode(values!.at(Math.floor(r))) : this.mu[at + j]
    })
  }

  /** Log densities at `candidates` points, one after another in `x`, into `out`; up to a constant of the mixture. */
  logDensity(x: Float64Array, out: Float64Array): void {
    this.refresh()
    const { members, width, dense, bells, bellWidth, base, candidates, priorWeight } = this
    const n = members.count
    const points = 8 * Math.ceil(candidates / 8)
    const top = n > 0 ? members.rows[n - 1] + 1 : 0
    // Few kernels among many rows are brought together; of most rows one copy is cheaper.
    const gathered = 2 * n < top
    const memory = workspace()
    memory.scope(() => {
      const blocks = {
        rows: memory.alloc(n),
        bells: memory.alloc((gathered ? n : top) * bellWidth),
        base: memory.alloc(gathered ? n : top),
        weights: memory.alloc(n),
        terms: memory.alloc(this.shared.length + this.chosen.length > 0 ? n * points : 0),
        x: memory.alloc((bellWidth / 2) * points),
        max: memory.alloc(points),
        sum: memory.alloc(points),
      }
      const { rows, weights, terms, max, sum } = blocks
      const numbers = new Int32Array(rows.view.buffer, rows.pointer, n)
      const own = members.rows.subarray(0, n)
      if (gathered) {
        const [to, toBase] = [blocks.bells.view, blocks.base.view]
        own.forEach((row, k) => {
          to.set(bells.subarray(row * bellWidth, (row + 1) * bellWidth), k * bellWidth)
          toBase[k] = base[row]
          numbers[k] = k
        })
      } else {
        blocks.bells.view.set(bells.subarray(0, top * bellWidth))
        blocks.base.view.set(base.subarray(0, top))
        numbers.set(own)
      }
      const w = weights.view
      for (let k = 0; k < n; k++) w[k] = this.weight(k, n)
      if (terms.length > 0) this.addTerms(x, points, terms.view)
      const columns = blocks.x.view.fill(0)
      dense.forEach((j, i) => {
        for (let c = 0; c < candidates; c++) columns[i * points + c] = x[c * width + j]
      })
      // The sums start with the prior; at points that only fill up, any kernel is negligible.
      const [tops, sums] = [max.view.fill(Number.POSITIVE_INFINITY), sum.view.fill(0)]
      for (let c = 0; c < candidates; c++) {
        tops[c] = this.logPrior(x.subarray(c * width, (c + 1) * width))
        sums[c] = n === 0 ? 1 : priorWeight
      }
      memory.kernels.mixtureSums(
        n,
        rows.pointer,
        bellWidth / 2,
        blocks.bells.pointer,
        blocks.base.pointer,
        weights.pointer,
        terms.length > 0 ? terms.pointer : 0,
        points,
        blocks.x.pointer,
        max.pointer,
        sum.pointer,
      )
      for (let c = 0; c < candidates; c++) out[c] = tops[c] + Math.log(sums[c])
    })
  }

  /** Log factors of the axes without a density: terms[k * points + c] of the k-th kernel at point c. */
  private addTerms(x: Float64Array, points: number, terms: Float64Array): void {
    const { members, width, candidates, cells, mu, sigma } = this
    const n = members.count
    const p = this.priorWeight / (n + 1)
    const numbers = (j: number, values: Values) =>
      Int32Array.from({ length: candidates }, (_, c) => values.index(x[c * width + j]))
    terms.fill(0)
    for (const { j, values, size } of this.chosen) {
      const hit = Math.log((1 + p) / (1 + size * p))
      const miss = Math.log(p / (1 + size * p))
      const wanted = numbers(j, values)
      for (let k = 0; k < n; k++) {
        const own = cells[members.rows[k] * width + j]
        for (let c = 0; c < candidates; c++) terms[k * points + c] += wanted[c] === own ? hit : miss
      }
    }
    for (const { j, values, known, log } of this.shared) {
      const wanted = numbers(j, values)
      known.fill(0)
      for (let k = 0; k < n; k++) {
        const at = members.rows[k] * width + j
        const own = cells[at] * candidates
        // Kernels on the same value mostly have the same bandwidth.
        if (known[cells[at]] !== sigma[at]) {
          known[cells[at]] = sigma[at]
          for (let c = 0; c < candidates; c++) {
            const [from, to] = [values.edge(wanted[c]), values.edge(wanted[c] + 1)]
            log[own + c] = Math.log(mass((from - mu[at]) / sigma[at], (to - mu[at]) / sigma[at]))
          }
        }
        for (let c = 0; c < candidates; c++) terms[k * points + c] += log[own + c]
      }
    }
  }

  private logPrior(x: Float64Array): number {
    let t = 0
    for (const j of this.dense) t += this.normalizer(j, 0.5, 1) - 0.5 * (x[j] - 0.5) ** 2
    for (const { j, values } of this.shared) {
      const i = values.index(x[j])
      t += this.normalizer(j, 0.5, 1) + Math.log(mass(values.edge(i) - 0.5, values.edge(i + 1) - 0.5))
    }
    for (const { size } of this.chosen) t -= Math.log(size)
    return t
  }
}
