/**
 * The reference engine: float64, one expression node at a time, nothing fused or reused. It defines what a rule
 * means; every other engine is compared with it.
 */
import type { FloatArray, TensorSpec, Tensors } from '../../core/tensor.js'
import { join } from '../language/functions.js'
import type { Domain, Expression, Program, Reduction } from '../language/program.js'
import { ELEMENT, REDUCE } from './arithmetic.js'
import {
  type Engine,
  type Kernel,
  type KernelRun,
  type KernelState,
  type Packing,
  scalarNames,
  scalarOf,
} from './engine.js'
import { PlainArrays } from './plain.js'
import { fillField } from './random.js'
import { checkManifest, domainSize, type TensorShape, tensorShape } from './shapes.js'

/** Values of one domain: an array per tensor, or one array of one number when global. */
type Value = { domain: Domain; arrays: readonly FloatArray[] }

class InterpreterKernel implements Kernel {
  private readonly shapes: readonly TensorShape[]
  private readonly sizeAll: number
  private readonly plain: PlainArrays
  private reported: Record<string, number> = {}
  /** One per statement: nothing is fused. */
  readonly passes: number

  constructor(
    private readonly program: Program,
    manifest: readonly TensorSpec[],
    packing?: Packing,
  ) {
    checkManifest(program, manifest)
    this.shapes = manifest.map(tensorShape)
    this.sizeAll = this.shapes.reduce((n, { size }) => n + size, 0)
    this.passes = program.statements.length
    this.plain = new PlainArrays(program, this.shapes, Float64Array, packing)
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
    this.plain.unpacked(run, (whole) => this.runWhole(whole))
  }

  private runWhole(run: KernelRun): void {
    const { source, statements } = this.program
    const values = new Map<string, Value>()
    const state = [
      { name: 'x', domain: 'tensor' as Domain, arrays: run.x },
      ...Object.entries(source.slots).map(([name, { kind }]) => ({ name, domain: kind, arrays: run.slots[name] })),
    ]
    // Values are never changed, so that a name keeps what it was given when a slot is assigned again.
    for (const { name, domain, arrays } of state)
      values.set(name, { domain, arrays: this.keys(domain).map((key) => Float64Array.from(arrays[key])) })
    for (const name of ['g', ...(source.inputs ?? [])])
      values.set(name, { domain: 'tensor', arrays: this.shapes.map((shape) => run.inputs[name][shape.name]) })
    for (const name of scalarNames(this.program))
      values.set(name, { domain: 'global', arrays: [Float64Array.of(scalarOf(run, name))] })

    this.reported = {}
    for (const { target, value: expression } of statements) {
      const value = this.broadcast(this.evaluate(expression, values, run.seed ?? 0), target.domain)
      if (target.role === 'report') this.reported[target.name] = value.arrays[0][0]
      else values.set(target.name, value)
    }
    for (const { name, domain, arrays } of state)
      for (const [k, key] of this.keys(domain).entries()) arrays[key].set((values.get(name) as Value).arrays[k])
  }

  private evaluate(e: Expression, values: ReadonlyMap<string, Value>, seed: number): Value {
    switch (e.kind) {
      case 'number':
        return { domain: 'global', arrays: [Float64Array.of(e.value)] }
      case 'name':
        return values.get(e.name) as Value
      case 'shape':
        if (e.property === 'sizeAll') return { domain: 'global', arrays: [Float64Array.of(this.sizeAll)] }
        return {
          domain: 'scalar',
          arrays: this.shapes.map(({ matrix, size }) => Float64Array.of(e.property === 'size' ? size : Number(matrix))),
        }
      case 'random': {
        let first = 0
        const arrays = this.shapes.map(({ size }) => {
          const field = new Float64Array(size)
          fillField(e.distribution, seed, e.site, first, field)
          first += size
          return field
        })
        return { domain: 'tensor', arrays }
      }
      case 'call': {
        const [a, b, c] = e.args.map((arg) => this.broadcast(this.evaluate(arg, values, seed), e.domain).arrays)
        const fn = ELEMENT[e.fn]
        return {
          domain: e.domain,
          arrays: a.map((array, k) => filled(array.length, (i) => fn(array[i], b?.[k][i], c?.[k][i]))),
        }
      }
      case 'reduce': {
        const domain = e.args.map((arg) => arg.domain).reduce(join)
        const [a, b] = e.args.map((arg) => this.broadcast(this.evaluate(arg, values, seed), domain).arrays)
        return this.reduce(e.fn, e.domain, a, b)
      }
    }
  }

  /** Sums and the like, into one number per entry of the domain `into`. */
  private reduce(fn: Reduction, into: Domain, a: readonly FloatArray[], b: readonly FloatArray[] | undefined): Value {
    const { start, step, end } = REDUCE[fn]
    const sums = this.entries(into, (size) => new Float64Array(size).fill(start))
    const counts = this.entries(into, (size) => new Float64Array(size))
    for (const [k, array] of a.entries()) {
      const to = into === 'global' ? 0 : k
      for (let i = 0; i < array.length; i++) {
        const at = into === 'row' || into === 'column' ? factorIndex(into, this.shapes[k], i) : 0
        sums[to][at] = step(sums[to][at], array[i], b?.[k][i] ?? 0)
        counts[to][at]++
      }
    }
    return { domain: into, arrays: sums.map((array, k) => array.map((sum, i) => end(sum, counts[k][i]))) }
  }

  private broadcast(value: Value, to: Domain): Value {
    const from = value.domain
    if (from === to) return value
    const arrays = this.entries(to, (size, k) => {
      const source = value.arrays[from === 'global' ? 0 : k]
      const factor = from === 'row' || from === 'column'
      return filled(size, (i) => source[factor ? factorIndex(from, this.shapes[k], i) : 0])
    })
    return { domain: to, arrays }
  }

  private entries(domain: Domain, make: (size: number, k: number) => Float64Array): Float64Array[] {
    if (domain === 'global') return [make(1, 0)]
    return this.shapes.map((shape, k) => make(domainSize(domain, shape), k))
  }
  private keys(domain: Domain): string[] {
    return domain === 'global' ? ['all'] : this.shapes.map(({ name }) => name)
  }
}

/** As Float64Array.from, which goes through an iterator and takes many times as long. */
function filled(size: number, value: (i: number) => number): Float64Array {
  const array = new Float64Array(size)
  for (let i = 0; i < size; i++) array[i] = value(i)
  return array
}

/** Which row or column of its tensor element i belongs to. */
function factorIndex(factor: 'row' | 'column', { rows, columns }: TensorShape, i: number): number {
  if (factor === 'row') return Math.floor(i / columns)
  return Math.floor(i / (rows * columns)) * columns + (i % columns)
}

/** The oracle: plain float64 TypeScript. */
export const interpreter: Engine = {
  id: 'interpreter',
  compile: (program, manifest, _, packing) => new InterpreterKernel(program, manifest, packing),
}
