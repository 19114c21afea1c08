/** State in plain arrays of JavaScript, for engines that copy it to where they compute. */
import type { FloatArray, Tensors } from '../../core/tensor.js'
import type { Domain, Program } from '../language/program.js'
import { isPacked, type KernelRun, type KernelState, type Packing, type Packs, type Slots } from './engine.js'
import { pack, packedBytes, siteOf, unpack } from './packing/codec.js'
import { domainSize, type TensorShape } from './shapes.js'

type Floats = Float32ArrayConstructor | Float64ArrayConstructor

/** Slots of kind scalar and global are float64 whatever the engine computes tensors in. */
export class PlainArrays {
  constructor(
    private readonly program: Program,
    private readonly shapes: readonly TensorShape[],
    private readonly floats: Floats,
    private readonly packing?: Packing,
  ) {}

  allocate(): KernelState {
    const initial = (slot: string) => (slot === 'x' ? 0 : (this.program.source.slots[slot].initial ?? 0))
    return this.state(
      (slot) => (_, size, floats) => new floats(size).fill(initial(slot)),
      (slot) => (_, size) => this.packedFull(initial(slot), size),
    )
  }

  adopt({ x, slots, packed }: KernelState): KernelState {
    return this.state(
      (slot) => (key, _, floats) => floats.from((slot === 'x' ? x : slots[slot])[key]),
      (slot) => (key) => packed![slot][key].slice(),
    )
  }

  /** A run on unpacked slots, for engines that take them whole: what was packed is unpacked before, and packed after it. */
  unpacked(run: KernelRun, work: (run: KernelRun) => void): void {
    const { packing } = this
    if (!packing || !run.packed) return work(run)
    const slots: Slots = { ...run.slots }
    this.eachPacked(run.packed, (slot, shape, bytes) => {
      const values = new this.floats(shape.size)
      unpack(packing.dtype, bytes, values)
      slots[slot] = { ...slots[slot], [shape.name]: values }
    })
    work({ ...run, slots, packed: undefined })
    this.eachPacked(run.packed, (slot, shape, bytes, tensor) => {
      pack(packing.dtype, slots[slot][shape.name], bytes, { seed: run.seed ?? 0, tensor, site: siteOf(slot) })
    })
  }

  private eachPacked(
    packed: Packs,
    work: (slot: string, shape: TensorShape, bytes: Uint8Array, tensor: number) => void,
  ): void {
    for (const [slot, { kind }] of Object.entries(this.program.source.slots))
      for (const [tensor, shape] of this.shapes.entries())
        if (kind === 'tensor' && isPacked(this.packing, slot, shape.size))
          work(slot, shape, packed[slot][shape.name], tensor)
  }

  private packedFull(value: number, size: number): Uint8Array {
    const { dtype } = this.packing!
    const bytes = new Uint8Array(packedBytes(dtype, size))
    if (value !== 0) pack(dtype, new Float32Array(size).fill(value), bytes, { seed: 0, tensor: 0, site: 0 })
    return bytes
  }

  inputBuffer(): Tensors {
    return this.arrays('tensor', (_, size, floats) => new floats(size))
  }

  private state(
    make: (slot: string) => (key: string, size: number, floats: Floats) => FloatArray,
    makePacked: (slot: string) => (key: string, size: number) => Uint8Array,
  ): KernelState {
    const { packing } = this
    const x = this.arrays('tensor', make('x'))
    const slots: Slots = {}
    const packed: Packs = {}
    for (const [name, { kind }] of Object.entries(this.program.source.slots)) {
      const packs = ({ size }: TensorShape) => kind === 'tensor' && isPacked(packing, name, size)
      slots[name] = this.arrays(kind, make(name), (shape) => !packs(shape))
      const large = this.shapes.filter(packs)
      if (large.length > 0)
        packed[name] = Object.fromEntries(large.map((shape) => [shape.name, makePacked(name)(shape.name, shape.size)]))
    }
    return packing ? { x, slots, packed } : { x, slots }
  }

  private arrays(
    domain: Domain,
    make: (key: string, size: number, floats: Floats) => FloatArray,
    has: (shape: TensorShape) => boolean = () => true,
  ) {
    if (domain === 'global') return { all: make('all', 1, Float64Array) }
    const floats = domain === 'scalar' ? Float64Array : this.floats
    return Object.fromEntries(
      this.shapes.filter(has).map((shape) => [shape.name, make(shape.name, domainSize(domain, shape), floats)]),
    )
  }
}
