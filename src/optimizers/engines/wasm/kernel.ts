/** The memory of one kernel: x, slots, inputs and scratch laid out once, handed out as views that never detach. */
import { AsktellError } from '../../../core/errors.js'
import type { FloatArray, TensorSpec, Tensors } from '../../../core/tensor.js'
import type { Domain, Program } from '../../language/program.js'
import { type Kernel, type KernelRun, type KernelState, type Packing, scalarNames, scalarOf } from '../engine.js'
import { pack } from '../packing/codec.js'
import { checkManifest, domainSize, type TensorShape, tensorShape } from '../shapes.js'
import type { Job } from './control.js'
import type { Crew } from './crew.js'
import { HOST, type Work, worksOf } from './host.js'
import type { Precision } from './lanes.js'
import { type Compiled, layoutOf } from './layout.js'
import { Streams } from './streams.js'
import { TableLayout } from './tables.js'

const PAGE = 65_536
/** What addresses of 32 bits reach. */
export const MOST_BYTES = 2 ** 32

/** Threads that share the work on large kernels, and the elements of a chunk, in whole blocks. */
export type Sharing = { crew: Crew; chunk: number }

/** The form for what needs more bytes than `above`: its tensors are elsewhere. */
export type Streaming = { above: number; compiled(): Compiled }

/** An array of the kernel's memory and its key in the trees of state: a tensor's name, or `all`. */
type Place<A extends FloatArray | Uint8Array = FloatArray> = { key: string; array: A }
type Places<A extends FloatArray | Uint8Array = FloatArray> = { name: string; places: Place<A>[] }

/** What one allocation holds. */
type Instance = {
  buffer: ArrayBufferLike
  step: () => void
  x: Place[]
  slots: Places[]
  packed: Places<Uint8Array>[]
  /** Seed of the step under way. */
  seed: number
  inputs: Places[]
  /** Fills the random fields. */
  fields: (key0: number, key1: number) => void
  table: Float64Array
}

export class WasmKernel implements Kernel {
  readonly passes: number
  private readonly shapes: readonly TensorShape[]
  private readonly scalars: readonly { name: string; index: number }[]
  /** By memory: a state computes in the memory that it was allocated in. */
  private readonly instances = new WeakMap<ArrayBufferLike, Instance>()
  /** The last allocated or run. */
  private current?: Instance
  /** For arrays that live elsewhere. */
  private visitors?: Instance

  constructor(
    private readonly compiled: Compiled,
    private readonly program: Program,
    manifest: readonly TensorSpec[],
    private readonly precision: Precision,
    private readonly streaming: Streaming,
    private readonly packing?: Packing,
    /** Where the module shares its work. */
    private readonly sharing?: Sharing,
  ) {
    checkManifest(program, manifest)
    this.shapes = manifest.map(tensorShape)
    this.passes = compiled.plan.passes
    this.scalars = scalarNames(program).map((name) => ({
      name,
      index: compiled.tables.offset('global', `scalar ${name}`) / 8,
    }))
  }

  allocate(): KernelState {
    const { x, slots, packed } = this.allocated()
    const initial = (name: string) => this.program.source.slots[name].initial ?? 0
    for (const { name, places } of slots) for (const { array } of places) array.fill(initial(name))
    for (const { name, places } of packed)
      if (initial(name) !== 0)
        for (const { key, array } of places) {
          const { size } = this.shapes.find((shape) => shape.name === key) as TensorShape
          pack(this.packing!.dtype, new Float32Array(size).fill(initial(name)), array, { seed: 0, tensor: 0, site: 0 })
        }
    const trees = <A extends FloatArray | Uint8Array>(all: Places<A>[]) =>
      Object.fromEntries(all.map(({ name, places }) => [name, tree(places)]))
    return { x: tree(x), slots: trees(slots), ...(this.packing ? { packed: trees(packed) } : {}) }
  }

  adopt(from: KernelState): KernelState {
    const to = this.allocate()
    const { x, slots, packed } = this.current as Instance
    copyIn(x, from.x)
    for (const { name, places } of slots) copyIn(places, from.slots[name])
    for (const { name, places } of packed) copyIn(places, from.packed![name])
    return to
  }

  inputBuffer(input: string): Tensors {
    const { inputs } = this.current ?? this.allocated()
    const found = inputs.find(({ name }) => name === input)
    if (!found) throw new RangeError(`the rule has no input "${input}"`)
    return tree(found.places)
  }

  run(run: KernelRun): void {
    const instance = this.instanceOf(run.x)
    this.current = instance
    for (const { name, index } of this.scalars) instance.table[index] = scalarOf(run, name)
    for (const { name, places } of instance.inputs) copyIn(places, run.inputs[name])
    const { seed = 0 } = run
    instance.seed = seed
    instance.fields(...keyOf(seed))
    copyIn(instance.x, run.x)
    for (const { name, places } of instance.slots) copyIn(places, run.slots[name])
    for (const { name, places } of instance.packed) copyIn(places, run.packed![name])
    instance.step()
    copyOut(instance.x, run.x)
    for (const { name, places } of instance.slots) copyOut(places, run.slots[name])
    for (const { name, places } of instance.packed) copyOut(places, run.packed![name])
  }

  reports(): { readonly [name: string]: number } {
    if (!this.current) return {}
    const { table } = this.current
    const { tables, plan } = this.compiled
    return Object.fromEntries(
      [...plan.graph.reports].map(([name, node]) => [name, table[tables.offset('global', TableLayout.key(node)) / 8]]),
    )
  }

  private allocated(): Instance {
    const instance = this.instantiate()
    this.instances.set(instance.buffer, instance)
    this.current = instance
    return instance
  }

  private instanceOf(x: Tensors): Instance {
    const [first] = this.shapes
    const known = first && this.instances.get(x[first.name].buffer)
    if (known) return known
    this.visitors ??= this.instantiate()
    return this.visitors
  }

  /** A fresh memory and an instance of the module on it. */
  private instantiate(): Instance {
    const layoutFor = (compiled: Compiled) =>
      layoutOf(compiled, this.program, this.shapes, this.precision, this.packing, this.sharing?.chunk)
    const resident = layoutFor(this.compiled)
    const isLarge = resident.end > this.streaming.above && this.compiled.packed.length === 0
    const layout = isLarge ? layoutFor(this.streaming.compiled()) : resident
    const { address, end, count, kept } = layout
    const { tables, plan, module, packed, streamed } = layout.compiled
    const { source } = this.program
    if (end > MOST_BYTES) {
      const needed = `${(end / 2 ** 30).toFixed(1)} GiB for ${count.tensor} parameters`
      const message = `one memory of the wasm engine holds at most 4 GiB, and this rule needs ${needed}`
      throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'space.tensors', message }] })
    }
    const sharing = streamed ? undefined : this.sharing
    const memory = reserve(Math.ceil(end / PAGE), sharing !== undefined)
    const { buffer } = memory
    const tensorAt = (record: number) => (record - address.records) / tables.recordBytes
    const seed = () => instance.seed
    const partsOf = (names: readonly string[]) => names.map((name) => address[name])
    const fields = plan.graph.fields.map(({ location }) => location)
    const outside = streamed ? new Streams(tables.tensors, fields, count.tensor, this.precision) : undefined
    const draw = (field: number, from: number, to: number) =>
      (exports[`field ${field}`] as Work)(from, to, ...keyOf(instance.seed))
    const parts =
      outside?.imports(memory, partsOf(tables.tensors), draw) ?? kept?.imports(memory, partsOf(packed), tensorAt, seed)
    const share = (work: number, begin: number, end: number, record: number, chunk: number) =>
      together?.({ work, begin: begin >>> 0, end: end >>> 0, chunk: chunk >>> 0, a: record, b: begin })
    const { exports } = new WebAssembly.Instance(module, { host: { memory, ...HOST, ...parts, share }, address })
    const works = worksOf(exports)

    const Floats = this.precision === 'f32' ? Float32Array : Float64Array
    const views = (name: string, domain: Domain): Place[] => {
      const whole = outside?.buffer(name)
      let at = whole ? 0 : address[name]
      return this.shapes.map((shape) => {
        const array = new Floats(whole ?? buffer, at, domainSize(domain, shape))
        at += array.byteLength
        return { key: shape.name, array }
      })
    }
    const number = (key: string, at: number): Place => ({ key, array: new Float64Array(buffer, at, 1) })
    const slot = (name: string, kind: Domain): Place[] => {
      if (kept && packed.includes(name)) return kept.plain(name, buffer)
      if (kind === 'global') return [number('all', address.table + tables.offset(kind, name))]
      if (kind !== 'scalar') return views(name, kind)
      const first = address.records + tables.offset(kind, name)
      return this.shapes.map((shape, k) => number(shape.name, first + k * tables.recordBytes))
    }
    const table = new Float64Array(buffer, address.table, tables.tableBytes / 8)
    for (const domain of ['tensor', 'row', 'column', 'scalar'] as const)
      table[tables.offset('global', `count ${domain}`) / 8] = count[domain]
    this.writeRecords(buffer, address.records)
    const instance: Instance = {
      buffer: outside?.buffer('x') ?? buffer,
      seed: 0,
      packed: packed
        .map((name) => ({ name, places: kept?.packed(name, buffer) ?? [] }))
        .filter(({ places }) => places.length > 0),
      step: exports.step as () => void,
      x: views('x', 'tensor'),
      slots: Object.entries(source.slots).map(([name, { kind }]) => ({ name, places: slot(name, kind) })),
      inputs: ['g', ...(source.inputs ?? [])].map((name) => ({ name, places: views(name, 'tensor') })),
      fields: (a, b) => {
        if (fields.length === 0 || streamed) return
        if (together) together({ work: 0, begin: 0, end: count.tensor, chunk: address.chunk, a, b })
        else works[0](0, count.tensor, a, b)
      },
      table,
    }
    const { crew } = sharing ?? {}
    const shared = crew?.kernel({ module, memory, address }, works, instance)
    const together = crew && shared && ((job: Job) => crew.run(shared, job))
    return instance
  }

  private writeRecords(buffer: ArrayBufferLike, at: number): void {
    const { recordBytes } = this.compiled.tables
    const words = new Uint32Array(buffer)
    const next = { first: 0, rowFirst: 0, columnFirst: 0 }
    for (const [k, shape] of this.shapes.entries()) {
      const { size, matrix, batch, rows, columns } = shape
      const record = { ...next, size, matrix: Number(matrix), batch, rows, columns }
      for (const [field, value] of Object.entries(record))
        words[(at + k * recordBytes + TableLayout.fields[field as keyof typeof record]) / 4] = value
      next.first += size
      next.rowFirst += domainSize('row', shape)
      next.columnFirst += domainSize('column', shape)
    }
  }
}

/** Low and high words. */
const keyOf = (seed: number): [number, number] => [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0]

function reserve(pages: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared })
  } catch (cause) {
    const message = `no memory is left for the ${Math.ceil(pages / 16)} MiB that the state needs`
    throw new AsktellError('OVERLOADED', message, { cause })
  }
}

const tree = <A extends FloatArray | Uint8Array>(places: readonly Place<A>[]): { [key: string]: A } =>
  Object.fromEntries(places.map(({ key, array }) => [key, array]))

type Arrays = { readonly [key: string]: FloatArray | Uint8Array }

const isResident = (own: FloatArray | Uint8Array, other: FloatArray | Uint8Array) =>
  own === other || (own.buffer === other.buffer && own.byteOffset === other.byteOffset)

function copyIn(places: readonly Place<FloatArray | Uint8Array>[], from: Arrays): void {
  for (const { key, array } of places) if (!isResident(array, from[key])) array.set(from[key])
}

function copyOut(places: readonly Place<FloatArray | Uint8Array>[], to: Arrays): void {
  for (const { key, array } of places) if (!isResident(array, to[key])) to[key].set(array)
}
