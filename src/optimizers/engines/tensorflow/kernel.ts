/**
 * A rule as operations of TensorFlow.js. State stays in plain arrays and is copied in and out block by block, so a state
 * goes on bit for bit wherever it was kept, and a step needs memory for one block's values. Numbers are computed in
 * float64 on the host.
 */
import type { FloatArray, TensorSpec, Tensors } from '../../../core/tensor.js'
import type { Program } from '../../language/program.js'
import { REDUCE } from '../arithmetic.js'
import { type Block, blocksOf } from '../blocks.js'
import { isPacked, type Kernel, type KernelRun, type KernelState, type Packing } from '../engine.js'
import type { Graph, Node, Reduce } from '../graph.js'
import { isNumber, Numbers, reductionsByStage } from '../numbers.js'
import { BLOCK as PACKED_BLOCK, pack, siteOf, unpack } from '../packing/codec.js'
import { PlainArrays } from '../plain.js'
import { isFactor, operands } from '../plan.js'
import { fillField } from '../random.js'
import { checkManifest, type TensorShape, tensorShape } from '../shapes.js'
import { ALONG, OPERATIONS, PARTS } from './operations.js'
import type { TensorFlow } from './package.js'

type Tf = typeof TensorFlow
type Tensor = TensorFlow.Tensor

/** Elements per operation: enough to hide the cost of a launch. */
const BLOCK = 2 ** 20

export class TensorflowKernel implements Kernel {
  readonly passes: number
  private readonly shapes: readonly TensorShape[]
  private readonly blocks: readonly Block[]
  private readonly reductions: readonly (readonly Reduce[])[]
  private readonly plain: PlainArrays
  private reported: Record<string, number> = {}

  constructor(
    private readonly tf: Tf,
    private readonly graph: Graph,
    program: Program,
    manifest: readonly TensorSpec[],
    private readonly packing?: Packing,
  ) {
    checkManifest(program, manifest)
    this.shapes = manifest.map(tensorShape)
    this.blocks = blocksOf(graph, this.shapes, BLOCK, packing ? PACKED_BLOCK : 1)
    this.reductions = reductionsByStage(graph)
    this.plain = new PlainArrays(program, this.shapes, Float32Array, packing)
    this.passes = 1 + this.reductions.filter(({ length }) => length > 0).length
  }

  allocate(): KernelState {
    return this.plain.allocate()
  }

  adopt(state: KernelState): KernelState {
    return this.plain.adopt(state)
  }

  inputBuffer(): Tensors {
    return this.plain.inputBuffer()
  }

  reports(): { readonly [name: string]: number } {
    return this.reported
  }

  run(run: KernelRun): void {
    const { graph, shapes } = this
    const numbers = new Numbers(graph, shapes, run)
    const each = (reads: (block: Block, values: Values) => void) => {
      for (const block of this.blocks)
        this.tf.tidy(() => reads(block, new Values(this.tf, graph, shapes, block, numbers, run, this.packing)))
    }
    for (const [stage, reductions] of this.reductions.entries()) {
      if (reductions.length > 0)
        each((block, values) => {
          for (const node of reductions) if (values.has(node.over)) numbers.take(node, block.tensor, values.part(node))
        })
      numbers.enter(stage)
    }
    each((_, values) => values.store())
    numbers.store(run.slots)
    this.reported = Object.fromEntries([...graph.reports].map(([name, node]) => [name, numbers.at(node, 0)]))
  }
}

/** The values of one block in one pass, each computed when it is first needed. */
class Values {
  private readonly known = new Map<Node, Tensor>()

  constructor(
    private readonly tf: Tf,
    private readonly graph: Graph,
    private readonly shapes: readonly TensorShape[],
    private readonly block: Block,
    private readonly numbers: Numbers,
    private readonly run: KernelRun,
    private readonly packing?: Packing,
  ) {}

  /** Whether the block has values of a domain. */
  has(domain: Node['domain']): boolean {
    if (isFactor(domain)) return this.block.matrix && length(this.block.shape[domain]) > 0
    return this.block.size > 0
  }

  part(node: Reduce): number {
    const [a, b = a] = node.args.map((arg) => this.of(arg))
    return PARTS[node.fn](this.tf, a, b)
  }

  /** Writes the new state of the block. All of it is computed from the old one first. */
  store(): void {
    const results = [...this.graph.results]
      .filter(([, node]) => !isNumber(node) && this.has(node.domain))
      .map(([location, node]) => ({ location, node, value: this.of(node).dataSync() as Float32Array }))
    for (const { location, node, value } of results) {
      let at = 0
      for (const part of this.parts(location, node.domain)) {
        part.write(value.subarray(at, at + part.length))
        at += part.length
      }
    }
  }

  private of(node: Node): Tensor {
    let value = this.known.get(node)
    if (!value) {
      value = this.compute(node)
      this.known.set(node, value)
    }
    return value
  }

  private compute(node: Node): Tensor {
    if (isNumber(node)) return this.tf.scalar(this.numbers.at(node, this.block.tensor))
    if (node.kind === 'load') return this.load(node.location, node.domain)
    if (node.kind === 'reduce') return this.along(node)
    if (node.kind !== 'call') throw new TypeError(`a ${node.kind} is a number`)
    const args = operands(node, this.block.matrix ? 'matrix' : 'vector').map((arg) => this.of(arg))
    // Of a choice by rank only one side is left.
    if (node.fn === 'broadcast' || args.length < node.args.length)
      return this.tf.broadcastTo(args[0], this.shape(node.domain))
    const [a, b = a, c = a] = args
    return OPERATIONS[node.fn](this.tf, a, b, c)
  }

  /** A reduction to rows or columns. */
  private along({ fn, domain, args: [arg] }: Reduce): Tensor {
    const { start, end } = REDUCE[fn]
    if (this.block.size === 0) return this.tf.fill(this.shape(domain), end(start, 0))
    const reduce = ALONG[fn]
    if (!reduce) throw new TypeError(`the language has no ${fn} over rows or columns`)
    return reduce(this.tf, this.of(arg), domain === 'row' ? 2 : 1)
  }

  private load(location: string, domain: Node['domain']): Tensor {
    const shape = this.shape(domain)
    const values = new Float32Array(length(shape))
    const field = this.graph.fields.find((candidate) => candidate.location === location)
    if (field) fillField(field.distribution, this.run.seed ?? 0, field.site, this.block.first, values)
    else {
      let at = 0
      for (const part of this.parts(location, domain)) {
        part.read(values.subarray(at, at + part.length))
        at += part.length
      }
    }
    return this.tf.tensor(values, shape)
  }

  /** Where a location's values of this block are, in order. */
  private parts(location: string, domain: Node['domain']): Part[] {
    const { x, slots, inputs, packed, seed = 0 } = this.run
    const arrays = location === 'x' ? x : (slots[location] ?? inputs[location])
    if (isFactor(domain)) return [plainPart(arrays[this.shapes[this.block.tensor].name])]
    return this.block.pieces.map(({ tensor, from, to }) => {
      const { name, size } = this.shapes[tensor]
      if (!isPacked(this.packing, location, size)) return plainPart(arrays[name].subarray(from, to))
      const { dtype } = this.packing
      const bytes = packed![location][name]
      return {
        length: to - from,
        read: (values) => unpack(dtype, bytes, values, size, from),
        write: (values) => pack(dtype, values, bytes, { seed, tensor, site: siteOf(location) }, size, from),
      }
    })
  }

  private shape(domain: Node['domain']): number[] {
    return this.block.shape[domain as 'tensor' | 'row' | 'column']
  }
}

/** Values that lie together, packed or not. */
type Part = { length: number; read(into: Float32Array): void; write(values: Float32Array): void }

const plainPart = (array: FloatArray): Part => ({
  length: array.length,
  read: (into) => into.set(array),
  write: (values) => array.set(values),
})

const length = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1)
