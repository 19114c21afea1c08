/**
 * A rule on the device. State stays in plain arrays, which are true after every run: it comes back with each, and goes up
 * again only where its bits have changed meanwhile.
 * Tensors are computed in f32 on the device, numbers in float64 here: between two passes the partial sums come up, and
 * the numbers that the next pass waits for go down.
 */
import { AsktellError } from '../../../core/errors.js'
import type { FloatArray, TensorSpec, Tensors } from '../../../core/tensor.js'
import type { Program } from '../../language/program.js'
import type { Kernel, KernelRun, KernelState, Packing } from '../engine.js'
import { Numbers } from '../numbers.js'
import { PlainArrays } from '../plain.js'
import { checkManifest, type TensorShape, tensorShape } from '../shapes.js'
import type { DeviceThread } from './client.js'
import { type Entry, entriesOf, type Table } from './layout.js'
import type { Cargo } from './messages.js'
import type { Compiled } from './program.js'
import { combine, partsOf } from './sums.js'

/** What a kernel asks of the device. */
export type Runner = Pick<DeviceThread, 'mostBytes' | 'open' | 'run'>

export class WebgpuKernel implements Kernel {
  readonly passes: number
  private readonly shapes: readonly TensorShape[]
  private readonly plain: PlainArrays
  private readonly memory: ReturnType<Compiled['regions']['place']>
  private readonly entries = new Map<Table, readonly Entry[]>()
  /** Where the partial sums of each shader begin; their number comes last. */
  private readonly firstPartial: readonly number[]
  /** Its number in the device thread, once it has run. */
  private opened?: number
  /** State and inputs on their way. */
  private cargo?: ArrayBuffer
  private reported: Record<string, number> = {}

  constructor(
    private readonly thread: Runner,
    private readonly compiled: Compiled,
    program: Program,
    manifest: readonly TensorSpec[],
    private readonly packing?: Packing,
  ) {
    checkManifest(program, manifest)
    this.shapes = manifest.map(tensorShape)
    this.plain = new PlainArrays(program, this.shapes, Float32Array, packing)
    this.passes = compiled.plan.passes
    this.memory = compiled.regions.place(this.shapes)
    for (const { table } of compiled.shaders) this.entries.set(table, entriesOf(table, this.shapes))
    const first = [0]
    for (const [i, { table, sums }] of compiled.shaders.entries())
      first.push(first[i] + partsOf(sums).length * this.entriesIn(table).length)
    this.firstPartial = first
  }

  allocate(): KernelState {
    this.checkSize()
    return this.plain.allocate()
  }

  adopt(state: KernelState): KernelState {
    this.checkSize()
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
    // What was packed has other bits now than what the device has, and is not to be kept beside it.
    if (this.packing) this.cargo = undefined
  }

  private runWhole(run: KernelRun): void {
    const { plan, stages, numbers: table } = this.compiled
    const kernel = this.open()
    const numbers = new Numbers(plan.graph, this.shapes, run)
    const { seed = 0 } = run
    const keys = Uint32Array.of(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0)
    let upload: Cargo | undefined = this.load(run)
    for (const stage of plan.stages.keys()) {
      numbers.enter(stage)
      const shaders = stages[stage] ?? []
      if (shaders.length === 0) continue
      const first = this.firstPartial[shaders[0]]
      const partials = { first, count: this.firstPartial[(shaders.at(-1) as number) + 1] - first }
      const download = stage === stages.length - 1
      const values = table.values(numbers, this.shapes.length, stage)
      const answer = this.thread.run(kernel, { numbers: values, keys, shaders, partials, upload, download })
      upload = undefined
      if (answer.partials) this.take(numbers, shaders, answer.partials)
      if (answer.state) this.unload(run, answer.state)
    }
    numbers.store(run.slots)
    this.reported = Object.fromEntries([...plan.graph.reports].map(([name, node]) => [name, numbers.at(node, 0)]))
  }

  private checkSize(): void {
    const bytes = 4 * this.memory.end
    if (bytes <= this.thread.mostBytes) return
    const gib = (n: number) => (n / 2 ** 30).toFixed(1)
    const message = `this device gives a rule at most ${gib(this.thread.mostBytes)} GiB, and it needs ${gib(bytes)}; choose another engine`
    throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'space.tensors', message }] })
  }

  private open(): number {
    if (this.opened === undefined) {
      this.checkSize()
      const { shaders, regions, numbers } = this.compiled
      const tables = [...this.entries.keys()]
      const summing = shaders.flatMap(({ sums }, i) => (sums.length > 0 ? [this.firstPartial[i]] : []))
      this.opened = this.thread.open(this, {
        elements: this.memory.end,
        state: this.memory.stateEnd,
        facts: regions.facts(this.memory.begins, summing, this.shapes),
        numbers: numbers.size(this.shapes.length),
        partials: this.firstPartial.at(-1) as number,
        shaders: shaders.map(({ code, table }) => ({ code, table: tables.indexOf(table) })),
        tables: tables.map((table) => Uint32Array.from(this.entriesIn(table).flat())),
      })
    }
    return this.opened
  }

  private entriesIn(table: Table): readonly Entry[] {
    return this.entries.get(table) as readonly Entry[]
  }

  /** Loads the inputs, and the state unless the device has it. */
  private load(run: KernelRun): Cargo {
    const { state, inputs } = this.compiled.regions
    const known = this.cargo
    const buffer = known ?? new ArrayBuffer(4 * this.memory.inputsEnd)
    // It goes to the other thread, and comes back with the state.
    this.cargo = undefined
    const load = (region: string, arrays: Tensors) => {
      for (const { place, array } of this.places(buffer, region, arrays)) place.set(array)
    }
    for (const name of inputs) load(name, run.inputs[name])
    if (known && state.every(({ name }) => this.isAsLeft(buffer, name, stateOf(run, name))))
      return { buffer, first: this.memory.stateEnd }
    for (const { name } of state) load(name, stateOf(run, name))
    return { buffer, first: 0 }
  }

  private unload(run: KernelRun, buffer: ArrayBuffer): void {
    for (const { name } of this.compiled.regions.state)
      for (const { place, array } of this.places(buffer, name, stateOf(run, name))) array.set(place)
    this.cargo = buffer
  }

  /** Whether arrays have the bits that the run before left, here as on the device. */
  private isAsLeft(buffer: ArrayBuffer, region: string, arrays: Tensors): boolean {
    return this.places(buffer, region, arrays).every(
      ({ place, array }) => array instanceof Float32Array && Buffer.compare(bytes(place), bytes(array)) === 0,
    )
  }

  private places(buffer: ArrayBuffer, region: string, arrays: Tensors): { place: Float32Array; array: FloatArray }[] {
    let at = this.memory.begins.get(region) as number
    return this.shapes.map(({ name }) => {
      const array = arrays[name]
      const place = new Float32Array(buffer, 4 * at, array.length)
      at += array.length
      return { place, array }
    })
  }

  /** Takes the partial sums of shaders in order, block after block. */
  private take(numbers: Numbers, shaders: readonly number[], partials: Float32Array): void {
    let at = 0
    for (const { table, sums } of shaders.map((shader) => this.compiled.shaders[shader])) {
      if (sums.length === 0) continue
      for (const [tensor] of this.entriesIn(table))
        for (const reduce of sums) {
          numbers.take(reduce, tensor, combine(partials, at, reduce))
          at += partsOf([reduce]).length
        }
    }
  }
}

const stateOf = ({ x, slots }: KernelRun, name: string): Tensors => (name === 'x' ? x : slots[name])

const bytes = ({ buffer, byteOffset, byteLength }: FloatArray) => new Uint8Array(buffer, byteOffset, byteLength)
