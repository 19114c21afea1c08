/**
 * How fast gossip over the edges of a graph brings workers together, and with what rates it takes the least messages: A.
 * Nabli, E. Oyallon, "DADAO: Decoupled Accelerated Decentralized Asynchronous Optimization", ICML 2023 (arXiv:2208.00779),
 * section 4 and appendix on the choice of rates.
 */
import { spectrumOf } from '../second-order/spectrum.js'
import type { Edge } from './graph.js'

export type Gossip = {
  /** Of each edge the probability that a message goes over it, in the order of the edges. */
  weights: number[]
  /** One over the smallest positive eigenvalue of the Laplacian of the weights. */
  chi1: number
  /** Half the largest resistance of an edge. */
  chi2: number
  /** Messages per unit of time, in which a worker takes one gradient on average. */
  rate: number
}

const STEPS = 3000

export const uniform = (edges: readonly Edge[]): number[] => edges.map(() => 1 / edges.length)

/** The pseudo-inverse P of the Laplacian, its second eigenvalue and vector, and the edge of the largest resistance. */
function analysed(edges: readonly Edge[], weights: readonly number[], n: number) {
  const laplacian = new Float64Array(n * n)
  for (const [k, [i, j]] of edges.entries()) {
    laplacian[i * n + i] += weights[k]
    laplacian[j * n + j] += weights[k]
    laplacian[i * n + j] -= weights[k]
    laplacian[j * n + i] -= weights[k]
  }
  const { values, vectors } = spectrumOf(laplacian, n)
  const order = Array.from(values, (_, k) => k).sort((a, b) => values[a] - values[b])
  const P = new Float64Array(n * n)
  for (const k of order.slice(1))
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) P[i * n + j] += (vectors[i * n + k] * vectors[j * n + k]) / values[k]
  const resistances = edges.map(([i, j]) => P[i * n + i] + P[j * n + j] - 2 * P[i * n + j])
  const most = Math.max(...resistances)
  return {
    P,
    second: values[order[1]],
    vector: Float64Array.from({ length: n }, (_, i) => vectors[i * n + order[1]]),
    most,
    worst: edges[resistances.indexOf(most)],
  }
}

/** What these weights of the edges of a connected graph of n workers, at least two, make of gossip. */
export function gossipOf(edges: readonly Edge[], weights: readonly number[], n: number): Gossip {
  const { second, most } = analysed(edges, weights, n)
  const [chi1, chi2] = [1 / second, most / 2]
  return { weights: [...weights], chi1, chi2, rate: Math.sqrt(2 * chi1 * chi2) }
}

/** The weights of the edges of the least rate found: mirror descent on log chi1 + log chi2 over the simplex. */
export function gossipRates(edges: readonly Edge[], n: number): Gossip {
  let weights = uniform(edges)
  let best = gossipOf(edges, weights, n)
  for (let t = 0; t < STEPS; t++) {
    const { P, second, vector, most, worst } = analysed(edges, weights, n)
    const [from, to] = worst
    const slopes = edges.map(([i, j]) => {
      const current = P[i * n + from] - P[i * n + to] - P[j * n + from] + P[j * n + to]
      return -((vector[i] - vector[j]) ** 2) / second - current ** 2 / most
    })
    const steepest = Math.max(...slopes.map(Math.abs))
    const moved = weights.map((w, k) => w * Math.exp((-0.5 / Math.sqrt(1 + t)) * (slopes[k] / steepest)))
    const sum = moved.reduce((total, w) => total + w, 0)
    weights = moved.map((w) => w / sum)
    const next = gossipOf(edges, weights, n)
    if (next.rate < best.rate) best = next
  }
  return best
}
