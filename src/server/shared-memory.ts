/**
 * Tensors of clients on this host, in files that the server makes and fills with zeros, so that no page is missing when a
 * client writes to it. A file belongs to one caller, and lasts as long as the call that asked for it; its layout is in
 * service.proto.
 */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, readSync, statSync, writeSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { AsktellError } from '../core/errors.js'
import type { Shared } from '../core/gen/asktell/v1/service_pb.js'
import { type SharedMemory, SharedMemorySchema, type ShareMemoryRequest } from '../core/gen/asktell/v1/service_pb.js'
import type { Extent, ExtentSchema, Tensors } from '../core/gen/asktell/v1/tensor_pb.js'
import { type Call, linked } from './call.js'
import { count, fail, int64, quote } from './codec/basics.js'
import { borrow } from './codec/staging.js'
import { allowance } from './codec/tensors.js'
import { draining } from './errors.js'

const HEAD = 4096
const HEADER = 64
const PAGE = 4096
const ZEROS = new Uint8Array(1 << 20)
const MOST_SLOTS = 64
/** Fewer bytes than this travel in the message. */
const LEAST = 4096

export class SharedMemories {
  private readonly files = new Map<string, SharedFile>()
  private used = 0

  /** Throws CONFIG_INVALID when files cannot be made in the directory. */
  constructor(
    private readonly directory: string | undefined,
    private readonly mostBytes: number,
    private readonly mostRead: number,
  ) {
    if (directory === undefined) return
    try {
      if (!statSync(directory).isDirectory()) throw new Error('it is no directory')
      accessSync(directory, constants.W_OK | constants.X_OK)
    } catch (cause) {
      const message = `no files can be made in ${quote(directory)}: ${(cause as Error).message}`
      throw new AsktellError('CONFIG_INVALID', `sharedDirectory: ${message}`, {
        issues: [{ path: 'sharedDirectory', message }],
        cause,
      })
    }
  }

  /** A new file for the caller, which is gone when the call ends. */
  async share(request: ShareMemoryRequest, call: Call): Promise<AsyncGenerator<SharedMemory>> {
    const { directory } = this
    if (directory === undefined)
      throw new AsktellError('UNSUPPORTED', 'this server shares no memory: its operator has named no sharedDirectory')
    const { slots } = request
    if (!(slots >= 1 && slots <= MOST_SLOTS)) fail('slots', `expected 1 to ${MOST_SLOTS}, got ${slots}`)
    const asked = count(request.slotBytes, 'slot_bytes')
    if (asked === 0) fail('slot_bytes', 'expected a number above 0')
    const stride = Math.ceil((HEADER + asked) / PAGE) * PAGE
    const bytes = HEAD + stride * slots
    if (this.used + bytes > this.mostBytes)
      throw new AsktellError('QUOTA_EXCEEDED', `expected at most ${this.mostBytes - this.used} bytes, got ${bytes}`)
    this.used += bytes
    const memory = randomBytes(16).toString('hex')
    const path = join(directory, `asktell-${memory}`)
    const { signal, release } = linked(call.signal, call.draining)
    let file: SharedFile | undefined
    const end = async () => {
      release()
      this.used -= bytes
      this.files.delete(memory)
      file?.close()
      await rm(path, { force: true })
    }
    try {
      file = new SharedFile(await filled(path, memory, bytes), path, stride, slots, call.principal)
      if (signal.aborted) throw draining()
    } catch (error) {
      await end()
      const { code, message } = error as NodeJS.ErrnoException
      throw code === 'ENOSPC' ? new AsktellError('QUOTA_EXCEEDED', message, { cause: error }) : error
    }
    this.files.set(memory, file)
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    const gone = ended.then(end)
    const offer = create(SharedMemorySchema, { memory, path, slotBytes: int64(stride - HEADER), slots })
    return (async function* () {
      yield offer
      await gone
      if (call.draining.aborted) throw draining()
    })()
  }

  /** The memory that a call names; undefined when it names none. */
  of(shared: Shared | undefined, path: string, { principal }: Call): SharedFile | undefined {
    if (!shared) return undefined
    const file = this.files.get(shared.memory)
    // To others it is as if there were none.
    if (!file || file.principal !== principal) return lost(`${path}.memory`, 'there is no such memory any more')
    file.hide()
    return file
  }

  /** Reads the tensors of sets that lie in a file. Throws before anything is changed. */
  read(file: SharedFile | undefined, sets: readonly Tensors[], path: string): void {
    const reserve = allowance(this.mostRead, path)
    for (const [i, { tensors }] of sets.entries())
      for (const [k, tensor] of tensors.entries()) {
        if (!tensor.shared) continue
        const at = `${path}[${i}].tensors[${k}]`
        if (!file) fail(`${at}.shared`, 'the call names no shared memory')
        if (tensor.data.length > 0) fail(`${at}.data`, 'expected none beside shared')
        tensor.data = file.read(tensor.shared, `${at}.shared`, reserve)
      }
  }
}

/** A file of zeros that begins with the name of its memory, for this user alone. */
async function filled(path: string, memory: string, bytes: number): Promise<FileHandle> {
  const handle = await open(path, 'wx+', 0o600)
  try {
    for (let at = 0; at < bytes; at += ZEROS.length)
      await handle.write(ZEROS, 0, Math.min(ZEROS.length, bytes - at), at)
    await handle.write(memory, 0, 'latin1')
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

const lost = (path: string, message: string): never => fail(path, message, 'SHARED_MEMORY_LOST')

export class SharedFile {
  private readonly header = new BigUint64Array(1)
  /** The generation that was last put into each slot, from its beginning on. */
  private readonly put: bigint[]
  private readonly writing = new Set<number>()
  private hidden = false
  private closed = false

  constructor(
    private readonly handle: FileHandle,
    private readonly path: string,
    private readonly stride: number,
    private readonly slots: number,
    readonly principal: string,
  ) {
    this.put = Array.from({ length: slots }, () => 0n)
  }

  /** The caller has opened it: nobody else shall, and nothing is left behind when the server dies. */
  hide(): void {
    if (this.hidden) return
    this.hidden = true
    rm(this.path, { force: true }).catch(() => {})
  }

  close(): void {
    this.closed = true
    this.handle.close().catch(() => {})
  }

  private startOf(slot: number): number {
    return HEAD + slot * this.stride
  }
  private holds(slot: number): bigint {
    return readSync(this.handle.fd, this.header, 0, 8, this.startOf(slot)) === 8 ? this.header[0] : 0n
  }
  private mark(slot: number, generation: bigint): void {
    this.header[0] = generation
    writeSync(this.handle.fd, this.header, 0, 8, this.startOf(slot))
  }
  private slot(slot: number, path: string): number {
    return slot >= 0 && slot < this.slots ? slot : fail(`${path}.slot`, `expected 0 to ${this.slots - 1}, got ${slot}`)
  }

  /** A copy of bytes, as they were put there together. */
  read(extent: Extent, path: string, reserve: (bytes: number) => void): Uint8Array {
    if (this.closed) return lost(path, 'there is no such memory any more')
    const { generation } = extent
    const slot = this.slot(extent.slot, path)
    const room = this.stride - HEADER
    const offset = count(extent.offset, `${path}.offset`)
    if (offset > room) fail(`${path}.offset`, `expected at most ${room}, got ${offset}`)
    const length = count(extent.length, `${path}.length`)
    if (length > room - offset) fail(`${path}.length`, `expected at most ${room - offset}, got ${length}`)
    if (generation < 1n) fail(`${path}.generation`, `expected a number above 0, got ${generation}`)
    reserve(length)
    const check = () => {
      const held = this.holds(slot)
      if (held !== generation)
        lost(`${path}.generation`, `slot ${slot} holds generation ${held}, expected ${generation}`)
    }
    check()
    const bytes = borrow(length)
    const start = this.startOf(slot) + HEADER + offset
    for (let at = 0; at < length; ) {
      const read = readSync(this.handle.fd, bytes, at, length - at, start + at)
      if (read === 0) lost(path, 'the file has been cut short')
      at += read
    }
    // The writer may have begun anew meanwhile.
    check()
    return bytes
  }

  /**
   * The slot that a call has given for the tensors of its answer. Undefined when it has given none, or one that was used
   * since: what a late or repeated call is answered with does not go over what came after it.
   */
  answer({ slot: index, generation }: Shared, path: string): SharedAnswer | undefined {
    if (generation === 0n) return undefined
    const slot = this.slot(index, path)
    if (generation < 0n) fail(`${path}.generation`, `expected 0 or more, got ${generation}`)
    let at = 0
    return {
      place: (bytes) => {
        if (this.closed || bytes.byteLength < LEAST || bytes.byteLength > this.stride - HEADER - at) return undefined
        if (at === 0) {
          if (this.put[slot] >= generation || this.writing.has(slot)) return undefined
          this.writing.add(slot)
          this.put[slot] = generation
          this.mark(slot, 0n)
        }
        const [offset, length] = [at, bytes.byteLength]
        const start = this.startOf(slot) + HEADER + offset
        for (let done = 0; done < length; ) done += writeSync(this.handle.fd, bytes, done, length - done, start + done)
        at = Math.ceil((offset + length) / HEADER) * HEADER
        return { slot, generation, offset: int64(offset), length: int64(length) }
      },
      done: () => {
        if (at === 0) return
        at = 0
        this.writing.delete(slot)
        if (!this.closed) this.mark(slot, generation)
      },
    }
  }
}

export type SharedAnswer = {
  /** Puts bytes there; undefined where they go with the message. */
  place(bytes: Uint8Array): MessageInitShape<typeof ExtentSchema> | undefined
  /** All is there. */
  done(): void
}
