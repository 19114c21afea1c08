/**
 * The part of a rule outside its tensors: numbers for all tensors and numbers per tensor, in float64 on the host, for
 * engines that compute the tensors elsewhere. It goes stage by stage: the engine hands in what the reductions over
 * elements came to, and reads the numbers that the next stage needs.
 */
import { ELEMENT, REDUCE } from './arithmetic.js'
import { type KernelRun, type Slots, scalarOf } from './engine.js'
import type { Call, Graph, Node, Reduce } from './graph.js'
import { domainSize, type TensorShape } from './shapes.js'

export const isNumber = ({ domain }: Node): boolean => domain === 'global' || domain === 'scalar'

/** The reductions of elements to numbers that end with each stage. */
export function reductionsByStage({ nodes }: Graph): Reduce[][] {
  const last = Math.max(...nodes.map(({ stage }) => stage))
  return Array.from({ length: last + 1 }, (_, stage) =>
    nodes.filter(
      (node): node is Reduce =>
        node.kind === 'reduce' && node.stage === stage && isNumber(node) && node.over !== 'scalar',
    ),
  )
}

export class Numbers {
  private readonly values = new Map<Node, Float64Array>()

  constructor(
    private readonly graph: Graph,
    private readonly shapes: readonly TensorShape[],
    run: KernelRun,
  ) {
    for (const node of graph.nodes) {
      if (!isNumber(node)) continue
      if (node.kind === 'reduce')
        this.values.set(
          node,
          this.filled(node, () => REDUCE[node.fn].start),
        )
      else if (node.kind !== 'call') this.values.set(node, this.filled(node, this.leaf(node, run)))
    }
  }

  /** The number of a node that a tensor reads. */
  at(node: Node, tensor: number): number {
    return (this.values.get(node) as Float64Array)[node.domain === 'global' ? 0 : tensor]
  }

  /** Adds what a part of a tensor's elements came to. Of a norm that is the sum of squares, of a mean the sum. */
  take(node: Reduce, tensor: number, part: number): void {
    const values = this.values.get(node) as Float64Array
    const at = node.domain === 'global' ? 0 : tensor
    values[at] = REDUCE[node.fn].join(values[at], part)
  }

  /** Ends the reductions of a stage, of which all parts were taken, and computes the stage's numbers. */
  enter(stage: number): void {
    for (const node of this.graph.nodes) {
      if (node.stage !== stage || !isNumber(node)) continue
      if (node.kind === 'reduce') this.end(node)
      else if (node.kind === 'call') this.values.set(node, this.call(node))
    }
  }

  /** Writes the new values of the slots that hold numbers. */
  store(slots: Slots): void {
    for (const [slot, node] of this.graph.results)
      if (node.domain === 'global') slots[slot].all[0] = this.at(node, 0)
      else if (node.domain === 'scalar')
        for (const [k, { name }] of this.shapes.entries()) slots[slot][name][0] = this.at(node, k)
  }

  private end(node: Reduce): void {
    const { step, end } = REDUCE[node.fn]
    if (node.over === 'scalar')
      for (const k of this.shapes.keys()) {
        const [a, b = 0] = node.args.map((arg) => this.at(arg, k))
        const values = this.values.get(node) as Float64Array
        values[0] = step(values[0], a, b)
      }
    const counts = this.shapes.map((shape) => domainSize(node.over, shape))
    const count = node.domain === 'global' ? [counts.reduce((n, size) => n + size, 0)] : counts
    const values = this.values.get(node) as Float64Array
    for (const [k, value] of values.entries()) values[k] = end(value, count[k])
  }

  private call(node: Call): Float64Array {
    return this.filled(node, (k) => {
      const [a, b, c] = node.args.map((arg) => this.at(arg, k))
      return node.fn === 'broadcast' ? a : ELEMENT[node.fn](a, b, c)
    })
  }

  private filled({ domain }: Node, value: (tensor: number) => number): Float64Array {
    return Float64Array.from({ length: domain === 'global' ? 1 : this.shapes.length }, (_, k) => value(k))
  }

  private leaf(node: Node, run: KernelRun): (tensor: number) => number {
    switch (node.kind) {
      case 'number':
        return () => node.value
      case 'scalar': {
        const value = scalarOf(run, node.name)
        return () => value
      }
      case 'load':
        return (k) => run.slots[node.location][node.domain === 'global' ? 'all' : this.shapes[k].name][0]
      case 'shape': {
        if (node.property === 'matrix') return (k) => Number(this.shapes[k].matrix)
        if (node.property === 'size') return (k) => this.shapes[k].size
        const all = this.shapes.reduce((n, { size }) => n + size, 0)
        return () => all
      }
      default:
        throw new TypeError(`a ${node.kind} is no leaf`)
    }
  }
}
