/** State in plain arrays of JavaScript, for engines that copy it to where they compute. */
import type { FloatArray, Tensors } from '../../core/tensor.js'
import type { Domain, Program } from '../language/program.js'
import type { Slots } from './engine.js'
import { domainSize, type TensorShape } from './shapes.js'

type Floats = Float32ArrayConstructor | Float64ArrayConstructor
type State = { x: Tensors; slots: Slots }

/** Slots of kind scalar and global are float64 whatever the engine computes tensors in. */
export class PlainArrays {
  constructor(
    private readonly program: Program,
    private readonly shapes: readonly TensorShape[],
    private readonly floats: Floats,
  ) {}

  allocate(): State {
    return this.state((slot) => (_, size, floats) => {
      const initial = slot === 'x' ? 0 : (this.program.source.slots[slot].initial ?? 0)
      return new floats(size).fill(initial)
    })
  }

  adopt({ x, slots }: State): State {
    return this.state((slot) => (key, _, floats) => floats.from((slot === 'x' ? x : slots[slot])[key]))
  }

  inputBuffer(): Tensors {
    return this.arrays('tensor', (_, size, floats) => new floats(size))
  }

  private state(make: (slot: string) => (key: string, size: number, floats: Floats) => FloatArray): State {
    const slots = Object.entries(this.program.source.slots).map(
      ([name, { kind }]) => [name, this.arrays(kind, make(name))] as const,
    )
    return { x: this.arrays('tensor', make('x')), slots: Object.fromEntries(slots) }
  }

  private arrays(domain: Domain, make: (key: string, size: number, floats: Floats) => FloatArray) {
    if (domain === 'global') return { all: make('all', 1, Float64Array) }
    const floats = domain === 'scalar' ? Float64Array : this.floats
    return Object.fromEntries(
      this.shapes.map((shape) => [shape.name, make(shape.name, domainSize(domain, shape), floats)]),
    )
  }
}
