/** Tensors by way of shared memory, for a client on the server's host: the calls then carry only where they lie. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import { create, type MessageShape } from '@bufbuild/protobuf'
import {
  type SharedMemory as Offer,
  SharedSchema,
  type StepRequestSchema,
  type StepResponse,
} from './gen/asktell/v1/service_pb.js'
import { type Extent, ExtentSchema, type Tensor } from './gen/asktell/v1/tensor_pb.js'

/** Sessions with fewer bytes of tensors than this send them with their calls. */
export const LEAST = 1 << 15
/** Bytes that a file should have at most, beyond the least number of slots. */
const MOST_BYTES = 256 << 20
const [HEAD, HEADER, PAGE] = [4096, 64, 4096]
const EMPTY = new Uint8Array()

/** Slots for tensors of so many bytes. */
export const slotsFor = (bytes: number) => ({
  slotBytes: BigInt(bytes),
  slots: Math.max(3, Math.min(8, Math.floor(MOST_BYTES / bytes))),
})

type Request = Pick<MessageShape<typeof StepRequestSchema>, 'observations' | 'shared'>
type Slot = { index: number; generation: bigint }

/** A file that the server has made for this client. Throws when it is not there, or not what the server should have made. */
export class SharedMemory {
  readonly slotBytes: number
  readonly name: string
  private readonly descriptor: number
  private readonly stride: number
  private readonly free: number[]
  private readonly header = new BigUint64Array(1)
  private generation = 0n
  private leases = 0
  private closed = false

  constructor({ memory, path, slotBytes, slots }: Offer) {
    this.name = memory
    this.slotBytes = Number(slotBytes)
    this.stride = HEADER + this.slotBytes
    this.free = Array.from({ length: slots }, (_, i) => i)
    const size = HEAD + this.stride * slots
    // A path from elsewhere must not make this process write to a file of another purpose.
    if (!/^[0-9a-f]{32}$/.test(memory) || basename(path) !== `asktell-${memory}`)
      throw new Error(`expected a file asktell-${memory}, got ${path}`)
    this.descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)
    try {
      const found = fstatSync(this.descriptor)
      const ours = found.isFile() && found.uid === process.geteuid?.() && found.nlink === 1
      if (!ours || (found.mode & 0o777) !== 0o600 || found.size !== size)
        throw new Error(`${path} is not a file of ${size} bytes for this user alone`)
      const head = Buffer.alloc(memory.length)
      readSync(this.descriptor, head, 0, head.length, 0)
      if (head.toString('latin1') !== memory) throw new Error(`${path} does not begin with its name`)
    } catch (error) {
      closeSync(this.descriptor)
      throw error
    }
  }

  /** Slots for one call; undefined when none is free. */
  lease(tells: boolean, answers: boolean): Lease | undefined {
    if (this.closed) return undefined
    const told = tells ? this.take() : undefined
    const answer = answers ? this.take() : undefined
    if (!told && !answer) return undefined
    this.leases++
    return new Lease(this, told, answer)
  }

  private take(): Slot | undefined {
    const index = this.free.pop()
    return index === undefined ? undefined : { index, generation: ++this.generation }
  }

  release(...slots: readonly (Slot | undefined)[]): void {
    for (const slot of slots) if (slot) this.free.push(slot.index)
    this.leases--
    if (this.closed && this.leases === 0) closeSync(this.descriptor)
  }

  /** Once no call uses it any more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    if (this.leases === 0) closeSync(this.descriptor)
  }

  mark({ index }: Slot, generation: bigint): void {
    this.header[0] = generation
    writeSync(this.descriptor, this.header, 0, 8, HEAD + index * this.stride)
  }
  holds({ index }: Slot): bigint {
    readSync(this.descriptor, this.header, 0, 8, HEAD + index * this.stride)
    return this.header[0]
  }
  write({ index }: Slot, offset: number, bytes: Uint8Array): void {
    const start = HEAD + index * this.stride + HEADER + offset
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.descriptor, bytes, done, bytes.length - done, start + done)
  }
  read({ index }: Slot, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const start = HEAD + index * this.stride + HEADER + offset
    for (let done = 0; done < length; ) {
      const read = readSync(this.descriptor, bytes, done, length - done, start + done)
      if (read === 0) throw new Error('the shared memory has been cut short')
      done += read
    }
    return bytes
  }
}

/** What one call has of the memory: a slot to tell in and one for the answer. */
export class Lease {
  constructor(
    readonly memory: SharedMemory,
    private readonly told: Slot | undefined,
    private readonly answer: Slot | undefined,
  ) {}

  /** The request with its large tensors in the memory, as far as they fit. It shares what it can with the request. */
  share<R extends Request>(request: R): R {
    const { memory, told, answer } = this
    const { index: slot = 0, generation = 0n } = answer ?? {}
    let used = 0
    const place = (tensor: Tensor): Tensor => {
      const { length } = tensor.data
      if (!told || length < PAGE || length > memory.slotBytes - used) return tensor
      memory.write(told, used, tensor.data)
      const { index: slot, generation } = told
      const shared = create(ExtentSchema, { slot, generation, offset: BigInt(used), length: BigInt(length) })
      used += Math.ceil(length / HEADER) * HEADER
      return { ...tensor, data: EMPTY, shared }
    }
    if (told) memory.mark(told, 0n)
    const observations = request.observations.map((observation) => {
      const [gradients, products] = [observation.gradients, observation.products].map((sets) =>
        sets.map((set) => ({ ...set, tensors: set.tensors.map(place) })),
      )
      return { ...observation, gradients, products }
    })
    if (told) memory.mark(told, told.generation)
    return { ...request, observations, shared: create(SharedSchema, { memory: memory.name, slot, generation }) }
  }

  /** Puts the bytes of an answer's tensors to where they would have come. */
  fill(response: StepResponse): void {
    for (const tensor of tensorsOf(response)) {
      if (!tensor.shared) continue
      tensor.data = this.bytes(tensor.shared)
      tensor.shared = undefined
    }
  }

  private bytes({ slot, generation, offset, length }: Extent): Uint8Array {
    const { answer } = this
    if (slot !== answer?.index || generation !== answer.generation)
      throw new Error(`the server names slot ${slot}, generation ${generation}, which it was not given`)
    if (this.memory.holds(answer) !== generation) throw new Error(`slot ${slot} does not hold generation ${generation}`)
    return this.memory.read(answer, Number(offset), Number(length))
  }

  release(): void {
    this.memory.release(this.told, this.answer)
  }
}

const tensorsOf = (response: StepResponse): Tensor[] =>
  response.queries.flatMap(({ points }) =>
    points.flatMap(({ kind }) => (kind.case === 'tensors' ? kind.value.tensors : [])),
  )

const sizeOf = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { data }) => sum + data.length, 0)

/** Bytes of the tensors that a request tells. */
export const toldBytes = ({ observations }: Pick<Request, 'observations'>): number =>
  sizeOf(observations.flatMap(({ gradients, products }) => [...gradients, ...products].flatMap((set) => set.tensors)))
/** Bytes of the tensors of an answer, once it is filled. */
export const answeredBytes = (response: StepResponse): number => sizeOf(tensorsOf(response))
