/** Tensors that are too large for a memory: whole in arrays outside, and in the memory a part at a time. */
import { BYTES, type Precision } from './lanes.js'

/** Philox makes so many elements of a field at once. */
const TOGETHER = 4

export class Streams {
  private readonly arrays: ReadonlyMap<string, Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>

  constructor(
    private readonly locations: readonly string[],
    /** Random fields, which are drawn where they are needed. */
    private readonly fields: readonly string[],
    elements: number,
    private readonly precision: Precision,
  ) {
    const Floats = precision === 'f32' ? Float32Array : Float64Array
    this.arrays = new Map(
      locations.filter((name) => !fields.includes(name)).map((name) => [name, new Floats(elements)]),
    )
  }

  /** Where the whole of a location is; undefined where that is in the memory. */
  buffer(location: string): ArrayBuffer | undefined {
    return this.arrays.get(location)?.buffer
  }

  /** What the module imports. `parts`: addresses of the parts. `draw`: fills a field, from a multiple of four on. */
  imports(
    memory: WebAssembly.Memory,
    parts: readonly number[],
    draw: (field: number, from: number, to: number) => void,
  ) {
    const bytes = BYTES[this.precision]
    const heap = this.precision === 'f32' ? new Float32Array(memory.buffer) : new Float64Array(memory.buffer)
    const all = this.locations.map((name, i) => ({
      array: this.arrays.get(name),
      field: this.fields.indexOf(name),
      part: parts[i] / bytes,
    }))
    // Elements are unsigned.
    return {
      unpack: (location: number, _record: number, begin: number, end: number) => {
        const { array, field, part } = all[location]
        const [from, to] = [begin >>> 0, end >>> 0]
        if (array) heap.set(array.subarray(from, to), part)
        else draw(field, from - (from % TOGETHER), to)
      },
      pack: (location: number, _record: number, begin: number, end: number) => {
        const { array, part } = all[location]
        array?.set(heap.subarray(part, part + (end >>> 0) - (begin >>> 0)), begin >>> 0)
      },
    }
  }
}
