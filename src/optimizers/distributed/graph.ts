/** Graphs of workers that talk to their neighbours. */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'

export const GRAPHS = ['ring', 'complete', 'line', 'star'] as const
/** Two different workers, by number from 0. */
export type Edge = readonly [number, number]
export type Graph = (typeof GRAPHS)[number] | readonly Edge[]

export const graphField = () =>
  field(
    z.union([z.enum(GRAPHS), z.array(z.tuple([z.int().min(0), z.int().min(0)]))]).default('ring'),
    'Who talks to whom: a graph by name (of a star, worker 0 is the centre), or pairs of workers, by number from 0.',
    { source: 'ours' },
  )

/** The edges of a graph of n workers. */
export function edgesOf(graph: Graph, n: number): readonly Edge[] {
  if (typeof graph !== 'string') return graph
  const others = Array.from({ length: n - 1 }, (_, i) => i + 1)
  switch (graph) {
    case 'line':
      return others.map((i) => [i - 1, i])
    case 'ring':
      return [...others.map((i): Edge => [i - 1, i]), ...(n > 2 ? [[n - 1, 0] as const] : [])]
    case 'star':
      return others.map((i) => [0, i])
    case 'complete':
      return others.flatMap((i) => Array.from({ length: i }, (_, j): Edge => [j, i]))
  }
}

/** Whether the edges are pairs of different workers, each pair once, and lead from each worker to all others. */
export function checkGraph(graph: Graph, n: number): Issue[] {
  const edges = edgesOf(graph, n)
  const seen = new Set<number>()
  const issues = edges.flatMap(([i, j], k): Issue[] => {
    const key = Math.min(i, j) * n + Math.max(i, j)
    const good = i < n && j < n && i !== j && !seen.has(key)
    seen.add(key)
    const message = `expected two different workers below ${n}, each pair once`
    return good ? [] : [{ path: `config.graph[${k}]`, message }]
  })
  if (issues.length > 0) return issues
  const reached = new Set([0])
  for (let grown = -1; grown !== reached.size; ) {
    grown = reached.size
    for (const [i, j] of edges) if (reached.has(i) || reached.has(j)) reached.add(i).add(j)
  }
  return reached.size === n ? [] : [{ path: 'config.graph', message: 'some workers are not connected with the others' }]
}

/**
 * Metropolis weights, a symmetric doubly stochastic n x n matrix: 1/(1 + the larger degree) along an edge. 1/3 on a ring,
 * 1/n on a complete graph.
 */
export function metropolis(graph: Graph, n: number): number[][] {
  const edges = edgesOf(graph, n)
  const degrees = new Array<number>(n).fill(0)
  for (const edge of edges) for (const i of edge) degrees[i]++
  const W = degrees.map((_, i) => degrees.map((_, j) => Number(i === j)))
  for (const [i, j] of edges) {
    const weight = 1 / (1 + Math.max(degrees[i], degrees[j]))
    W[i][j] = W[j][i] = weight
    W[i][i] -= weight
    W[j][j] -= weight
  }
  return W
}
