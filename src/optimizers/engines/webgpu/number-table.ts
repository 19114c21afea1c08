/** The numbers that shaders read, computed in float64 on the host and rounded once. Fixed before there is a manifest. */
import type { Graph, Node } from '../graph.js'
import { isNumber, type Numbers } from '../numbers.js'

export class NumberTable {
  /** For all tensors; then a record of these for each tensor. */
  private readonly globals: readonly Node[]
  private readonly scalars: readonly Node[]

  constructor({ nodes }: Graph) {
    const onDevice = nodes.filter((node) => !(isNumber(node) && node.kind === 'call'))
    const read = new Set(onDevice.flatMap(({ args }) => args))
    const ofDomain = (domain: Node['domain']) => [...read].filter((node) => node.domain === domain && !literal(node))
    this.globals = ofDomain('global')
    this.scalars = ofDomain('scalar')
  }

  /** A number as WGSL, where `tensor` is the place of the tensor in the manifest. */
  code(node: Node): string {
    const constant = literal(node)
    if (constant !== undefined) return constant
    if (node.domain === 'global') return `numbers[${this.globals.indexOf(node)}u]`
    return `numbers[${this.globals.length + this.scalars.indexOf(node)}u + tensor * ${this.scalars.length}u]`
  }

  size(tensors: number): number {
    return this.globals.length + this.scalars.length * tensors
  }

  /** The numbers known at a stage, laid out for the device. */
  values(numbers: Numbers, tensors: number, stage: number): Float32Array {
    const { globals, scalars } = this
    const out = new Float32Array(this.size(tensors))
    for (const [j, node] of globals.entries()) if (node.stage <= stage) out[j] = numbers.at(node, 0)
    for (const [j, node] of scalars.entries())
      if (node.stage <= stage)
        for (let k = 0; k < tensors; k++) out[globals.length + k * scalars.length + j] = numbers.at(node, k)
    return out
  }
}

/** Constants of the rule are written into the shader where f32 has them. */
function literal(node: Node): string | undefined {
  if (node.kind !== 'number') return undefined
  const rounded = Math.fround(node.value)
  if (!Number.isFinite(rounded) || (rounded !== 0 && Math.abs(rounded) < 2 ** -126)) return undefined
  return `${rounded}f`
}
