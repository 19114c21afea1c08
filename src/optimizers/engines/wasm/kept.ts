/**
 * Slots that are packed between steps (packing/codec.ts) in the memory of a kernel: whole as bytes, and a part at a time as
 * the numbers that a pass works on.
 */
import { isPacked, type Packing } from '../engine.js'
import { Packer, packedBytes, ROOM, siteOf, TABLE_BYTES } from '../packing/codec.js'
import type { Plan } from '../plan.js'
import type { TensorShape } from '../shapes.js'
import { BYTES, type Precision } from './lanes.js'
import { BLOCK } from './work.js'

/** Elements that are in memory at a time: a block, or the `least` of a matrix where a rule goes by its rows. */
export function partSize(
  { stages }: Plan,
  shapes: readonly TensorShape[],
  least: (shape: TensorShape) => number,
): number {
  const byRow = stages.some(({ tensors }) => [...tensors.values()].some(({ perRow }) => perRow))
  return Math.max(BLOCK, ...(byRow ? shapes.filter(({ matrix }) => matrix).map(least) : []))
}

/** A tensor of a slot: packed, or as it is where it is small. `first`: its first element among those of all tensors. */
type Kept = { slot: string; shape: TensorShape; first: number; packs: boolean; at: number }

export class KeptSlots {
  /** Slot by slot. */
  private readonly kept: readonly Kept[]
  private readonly tables: number
  private readonly room: number

  constructor(
    readonly slots: readonly string[],
    private readonly shapes: readonly TensorShape[],
    private readonly precision: Precision,
    private readonly packing: Packing,
    /** Takes bytes of the memory under a name. */
    place: (name: string, bytes: number) => number,
  ) {
    this.tables = place('packing tables', TABLE_BYTES)
    this.room = place('packing room', ROOM)
    this.kept = slots.flatMap((slot) => {
      let end = 0
      return shapes.map((shape) => {
        const packs = isPacked(packing, slot, shape.size)
        const bytes = packs ? packedBytes(packing.dtype, shape.size) : BYTES[precision] * shape.size
        const first = end
        end += shape.size
        return { slot, shape, first, packs, at: place(`kept ${slot} ${shape.name}`, bytes) }
      })
    })
  }

  /** The tensors of a slot that are not packed. */
  plain(slot: string, buffer: ArrayBuffer) {
    const Floats = this.precision === 'f32' ? Float32Array : Float64Array
    return this.of(slot, false).map(({ shape, at }) => ({
      key: shape.name,
      array: new Floats(buffer, at, shape.size),
    }))
  }

  packed(slot: string, buffer: ArrayBuffer) {
    return this.of(slot, true).map(({ shape, at }) => {
      const array = new Uint8Array(buffer, at, packedBytes(this.packing.dtype, shape.size))
      return { key: shape.name, array }
    })
  }

  private of(slot: string, packs: boolean): Kept[] {
    return this.kept.filter((kept) => kept.slot === slot && kept.packs === packs)
  }

  /**
   * What the module imports. `parts`: addresses of the parts of the slots. `tensorAt`: the number of the tensor whose record
   * has an address. `seed`: that of the step under way.
   */
  imports(
    memory: WebAssembly.Memory,
    parts: readonly number[],
    tensorAt: (record: number) => number,
    seed: () => number,
  ) {
    const { dtype } = this.packing
    const packer = new Packer(memory, this.tables, this.room, this.precision === 'f64')
    const heap = new Uint8Array(memory.buffer)
    const sites = this.slots.map(siteOf)
    const bytes = BYTES[this.precision]
    const partOf = (slot: number, record: number, begin: number) => {
      // Addresses and indices are unsigned.
      const tensor = tensorAt(record >>> 0)
      const { packs, at, shape, first: start } = this.kept[slot * this.shapes.length + tensor]
      const first = (begin >>> 0) - start
      return { tensor, packs, plain: at + bytes * first, place: { bytes: at, size: shape.size, first } }
    }
    return {
      unpack: (slot: number, record: number, begin: number, end: number) => {
        const { packs, place, plain } = partOf(slot, record, begin)
        if (packs) packer.unpack(dtype, place, end - begin, parts[slot])
        else heap.copyWithin(parts[slot], plain, plain + bytes * (end - begin))
      },
      pack: (slot: number, record: number, begin: number, end: number) => {
        const { tensor, packs, place, plain } = partOf(slot, record, begin)
        const draw = { seed: seed(), tensor, site: sites[slot] }
        if (packs) packer.pack(dtype, parts[slot], end - begin, place, draw)
        else heap.copyWithin(plain, parts[slot], parts[slot] + bytes * (end - begin))
      },
    }
  }
}
