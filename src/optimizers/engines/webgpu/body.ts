/** WGSL of what a pass does with one element: the values that it computes, its stores and its sums. */
import type { Node, Reduce } from '../graph.js'
import { isNumber } from '../numbers.js'
import { isFactor, nodeLocation, operands, type Pass, type Variant } from '../plan.js'
import type { Regions } from './layout.js'
import { ELEMENT_CODE, TRUTH_CODE, type Width } from './math.js'
import type { NumberTable } from './number-table.js'
import { ACCUMULATE, partsOf, START } from './sums.js'

/** What shaders call the values in memory and the numbers. */
export type Names = { regions: Regions; numbers: NumberTable }

/** Of element `i`, where `first`, `rows`, `columns`, `rowFirst` and `columnFirst` are facts of its tensor. */
const ROW = 'rowFirst + (i - first) / columns'
const COLUMN = 'columnFirst + (i - first) / (rows * columns) * columns + (i - first) % columns'

/** The values of one element, each computed once: what is done ahead of the loop, and its body. */
export class Body {
  readonly before: string[] = []
  private readonly lines: string[] = []
  private readonly values = new Map<Node, string>()
  private readonly masks = new Map<Node, string>()
  private readonly places = new Map<string, string>()
  private readonly computedIndices = new Set<string>()

  constructor(
    private readonly names: Names,
    private readonly pass: Pass,
    private readonly variant: Variant,
    private readonly width: Width,
  ) {}

  text(): string {
    return this.lines.join('\n')
  }

  /** Every load comes before the first store: old values are what they were at the start of the pass. */
  store(): void {
    for (const node of this.pass.stores.values()) this.value(node)
    for (const [location, node] of this.pass.stores)
      this.lines.push(`memory[${this.place(location)} + i] = ${this.value(node)};`)
  }

  /** `inside` tells which lanes are elements. */
  accumulate(reduce: Reduce, inside?: string): void {
    const [a, b = a] = reduce.args.map((arg) => this.value(arg))
    for (const part of partsOf([reduce])) this.before.push(`var ${part.name} = ${START[reduce.fn]};`)
    this.lines.push(...ACCUMULATE[reduce.fn](`s${reduce.id}`, a, b, inside))
  }

  private value(node: Node): string {
    return this.recall(this.values, 'v', node, () => this.origin(node))
  }

  private mask(node: Node): string {
    return this.recall(this.masks, 'b', node, () => {
      const chosen = this.chosen(node)
      if (chosen !== node) return [this.lines, this.mask(chosen)]
      return [this.lines, (this.isComputed(node) && this.truth(node)) || `${this.value(node)} != V(0)`]
    })
  }

  private recall(known: Map<Node, string>, prefix: string, node: Node, make: () => [string[], string]): string {
    let name = known.get(node)
    if (name === undefined) {
      const [where, code] = make()
      name = `${prefix}${node.id}`
      where.push(`let ${name} = ${code};`)
      known.set(node, name)
    }
    return name
  }

  /** Where a value comes from: the lines that its code belongs to, and the code. */
  private origin(node: Node): [string[], string] {
    const { pass, names } = this
    const chosen = this.chosen(node)
    if (chosen !== node) return [this.lines, this.value(chosen)]
    if (node.kind === 'shape' && node.property === 'matrix' && this.variant !== 'any')
      return [this.before, `V(${this.variant === 'matrix' ? 1 : 0})`]
    if (isNumber(node)) return [this.before, `V(${names.numbers.code(node)})`]
    if (this.isComputed(node)) return [this.lines, this.call(node)]
    const location = pass.sources.get(node) ?? nodeLocation(node)
    const index = isFactor(node.domain) && node.domain !== pass.domain ? this.index(node.domain) : 'i'
    return [this.lines, `memory[${this.place(location)} + ${index}]`]
  }

  private call(node: Node & { kind: 'call' }): string {
    const truth = this.truth(node)
    if (truth) return `select(V(0), V(1), ${this.mask(node)})`
    if (node.fn === 'select') {
      const [condition, yes, no] = node.args
      return `select(${this.value(no)}, ${this.value(yes)}, ${this.mask(condition)})`
    }
    const [a, b = a] = node.args.map((arg) => this.value(arg))
    return ELEMENT_CODE[node.fn as keyof typeof ELEMENT_CODE](a, b)
  }

  /** A function that is true or false by nature, as a mask. */
  private truth({ fn, args }: Node & { kind: 'call' }): string | undefined {
    const [a, b] = args
    if (fn === 'and' || fn === 'or') return `${this.mask(a)} ${fn === 'and' ? '&' : '|'} ${this.mask(b)}`
    if (fn === 'not') return `!${this.mask(a)}`
    if (!(fn in TRUTH_CODE)) return undefined
    return TRUTH_CODE[fn as keyof typeof TRUTH_CODE](this.value(a), b ? this.value(b) : '')
  }

  /** Whether this pass computes a value rather than reads it. */
  private isComputed(node: Node): node is Node & { kind: 'call' } {
    return node.domain === this.pass.domain && node.kind === 'call' && !this.pass.sources.has(node)
  }

  /** What a choice by rank comes to in this variant. */
  private chosen(node: Node): Node {
    const read = operands(node, this.variant)
    return this.isComputed(node) && read !== node.args ? read[0] : node
  }

  /** Where a location begins, in elements or in vectors of them. */
  private place(location: string): string {
    let name = this.places.get(location)
    if (name === undefined) {
      name = `p${this.places.size}`
      this.before.push(`let ${name} = ${this.names.regions.fact(location)}${this.width === 'four' ? ' / 4' : ''};`)
      this.places.set(location, name)
    }
    return name
  }

  private index(domain: 'row' | 'column'): string {
    if (!this.computedIndices.has(domain)) {
      this.computedIndices.add(domain)
      this.lines.push(`let ${domain} = ${domain === 'row' ? ROW : COLUMN};`)
    }
    return domain
  }
}
