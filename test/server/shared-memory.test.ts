/** Tensors by way of a file: what is told and answered is the same as without, and what is wrong changes nothing. */
import { ftruncateSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { configSchema } from '../../src/server/config.js'
import { type RunningServer, startServer } from '../../src/server/index.js'
import { Grpc, refusal, refused, silent, tensorSession } from './clients.js'

const N = 3000
const SLOT_BYTES = 16_000
const SLOTS = 4
const directory = mkdtempSync(join(tmpdir(), 'asktell-shared-'))
const start = (config: object) =>
  startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, drainSeconds: 1, store: 'memory', ...config }), {
    log: silent,
    onReady: () => {},
  })

let server: RunningServer
let grpc: Grpc
beforeAll(async () => {
  server = await start({ sharedDirectory: directory, sharedBytes: 1 << 20, maxGradientBytes: 100_000 })
  grpc = new Grpc(server.grpcPort)
})
afterAll(async () => {
  grpc.client.close()
  await server.close()
  rmSync(directory, { recursive: true })
})

type Offer = { memory: string; path: string; slotBytes: bigint; slots: number }
async function share(request = { slotBytes: BigInt(SLOT_BYTES), slots: SLOTS }, by = grpc) {
  const call = by.serverStream('shareMemory', request)
  const offer = await new Promise<Offer>((resolve, reject) => call.on('data', resolve).on('error', reject))
  return { ...offer, call }
}

/** The memory as a client has it, opened before its name is gone. */
class Memory {
  readonly descriptor: number
  constructor(readonly offer: Offer & { call: { cancel(): void } }) {
    this.descriptor = openSync(offer.path, 'r+')
  }
  startOf = (slot: number) => 4096 + slot * (64 + Number(this.offer.slotBytes))
  put(slot: number, generation: bigint, values: Float32Array, offset = 0) {
    writeSync(this.descriptor, BigUint64Array.of(generation), 0, 8, this.startOf(slot))
    writeSync(this.descriptor, values, 0, values.byteLength, this.startOf(slot) + 64 + offset)
  }
  get(slot: number, length: number) {
    const [header, values] = [new BigUint64Array(1), new Float32Array(length)]
    readSync(this.descriptor, header, 0, 8, this.startOf(slot))
    readSync(this.descriptor, values, 0, values.byteLength, this.startOf(slot) + 64)
    return { generation: header[0], values }
  }
}

const gradient = (seed: number) => Float32Array.from({ length: N }, (_, i) => Math.sin(seed + i))
const extent = (slot: number, generation: bigint, offset = 0, length = 4 * N) => ({
  slot,
  generation,
  offset: BigInt(offset),
  length: BigInt(length),
})
type Shared = { memory: string; slot?: number; generation?: bigint }
const step = (name: string, queryId: string, tensor: object, shared?: Shared, requestId = '') => ({
  name,
  requestId,
  shared,
  observations: [{ queryId, gradients: [{ tensors: [{ name: 'w', dtype: 1, ...tensor }] }] }],
})

let memory: Memory
let session = ''
let query = ''
beforeEach(async () => {
  memory = new Memory(await share())
  const config = { learningRate: 0.5 }
  const created = await grpc.unary('createSession', { session: { ...tensorSession([N]), config } })
  session = created.name
  query = (await grpc.unary('ask', { name: session })).queries[0].id
})
afterEach(() => memory.offer.call.cancel())

const revision = async () => (await grpc.unary('getSession', { name: session })).revision
const tensorsOf = (answer: Awaited<ReturnType<Grpc['unary']>>) => {
  const { kind } = (answer as { queries: { points: { kind: { value?: unknown } }[] }[] }).queries[0].points[0]
  return (kind.value as { tensors: { data: Uint8Array; shared?: object }[] }).tensors
}
const floats = (data: Uint8Array) => new Float32Array(new Uint8Array(data).buffer)

describe('a file', () => {
  it('is for this user alone, holds nothing, and loses its name when a call has used it', async () => {
    const { path, memory: name } = memory.offer
    expect(path).toBe(join(directory, `asktell-${name}`))
    expect(name).toMatch(/^[0-9a-f]{32}$/)
    const { mode, size } = statSync(path)
    expect(mode & 0o777).toBe(0o600)
    expect(size).toBe(memory.startOf(SLOTS))
    expect(memory.get(0, N)).toEqual({ generation: 0n, values: new Float32Array(N) })
    memory.put(0, 1n, gradient(1))
    await grpc.unary('step', step(session, query, { shared: extent(0, 1n) }, { memory: name }))
    await vi.waitFor(() => expect(readdirSync(directory)).not.toContain(`asktell-${name}`))
  })

  it('is gone with the call that asked for it', async () => {
    const other = await share()
    other.call.on('error', () => {})
    other.call.cancel()
    await vi.waitFor(() => expect(readdirSync(directory)).not.toContain(`asktell-${other.memory}`))
    const shared = { memory: other.memory }
    const refusal = await refused(grpc.unary('step', step(session, query, { shared: extent(0, 1n) }, shared)))
    expect(refusal).toMatchObject({ code: 9, reason: 'SHARED_MEMORY_LOST', paths: ['shared.memory'] })
  })

  it('is refused when it would be none, or too large for what is left', async () => {
    const of = (slotBytes: bigint, slots: number) =>
      share({ slotBytes, slots }).then(
        () => undefined,
        (error) => refusal(error),
      )
    expect(await of(0n, 2)).toMatchObject({ code: 3, paths: ['slot_bytes'] })
    expect(await of(-5n, 2)).toMatchObject({ code: 3, paths: ['slot_bytes'] })
    for (const slots of [0, -1, 65]) expect(await of(100n, slots)).toMatchObject({ code: 3, paths: ['slots'] })
    expect(await of(1n << 20n, 1)).toMatchObject({ code: 8, reason: 'QUOTA_EXCEEDED' })
    // What ended is free again.
    for (let i = 0; i < 20; i++) {
      const { call, memory: name } = await share({ slotBytes: 300_000n, slots: 2 })
      call.on('error', () => {})
      call.cancel()
      await vi.waitFor(() => expect(readdirSync(directory)).not.toContain(`asktell-${name}`))
    }
  })

  it('is not offered without a directory, and a directory that is none stops the start', async () => {
    const plain = await start({})
    const client = new Grpc(plain.grpcPort)
    const error = await share(undefined, client).catch(refusal)
    expect(error).toMatchObject({ code: 12, reason: 'UNSUPPORTED' })
    client.client.close()
    await plain.close()
    for (const sharedDirectory of [join(directory, 'none'), '/proc/version'])
      await expect(start({ sharedDirectory })).rejects.toMatchObject({
        reason: 'CONFIG_INVALID',
        issues: [{ path: 'sharedDirectory' }],
      })
  })
})

describe('a step', () => {
  it('has the answer that it has without, whatever lies where', async () => {
    const { memory: name } = memory.offer
    const pieces = fc
      .uniqueArray(fc.integer({ min: 1, max: N - 1 }), { maxLength: 3 })
      .map((cuts) => cuts.toSorted((a, b) => a - b))
    let generation = 10n
    await fc.assert(
      fc.asyncProperty(
        pieces,
        fc.integer({ min: 0, max: 1000 }),
        fc.integer({ min: 0, max: 3 }),
        async (cuts, seed, slot) => {
          const values = gradient(seed)
          const make = () =>
            grpc.unary('createSession', { session: { ...tensorSession([N]), method: 'adam', seed: 1n } })
          const [plain, shared] = [await make(), await make()]
          const ask = async (name: string) => (await grpc.unary('ask', { name })).queries[0].id
          const data = new Uint8Array(values.buffer)
          const expected = await grpc.unary('step', step(plain.name, await ask(plain.name), { data }))
          // Pieces of the tensor, apart from each other, the last first.
          const bounds = [0, ...cuts, N]
          generation += 2n
          const parts = bounds.slice(0, -1).map((from, i) => ({ from, to: bounds[i + 1], at: 4 * from + 8 * i }))
          for (const { from, to, at } of parts) memory.put(slot, generation, values.subarray(from, to), at)
          const tensors = parts.reverse().map(({ from, to, at }) => ({
            name: 'w',
            dtype: 1,
            offset: BigInt(from),
            shared: extent(slot, generation, at, 4 * (to - from)),
          }))
          const room = { memory: name, slot: (slot + 1) % SLOTS, generation: generation + 1n }
          const found = await grpc.unary('step', {
            name: shared.name,
            shared: room,
            observations: [{ queryId: await ask(shared.name), gradients: [{ tensors }] }],
          })
          const [tensor] = tensorsOf(found as never)
          expect(tensor.data).toHaveLength(0)
          expect(tensor.shared).toMatchObject(extent(room.slot, room.generation))
          const got = memory.get(room.slot, N)
          expect(got.generation).toBe(room.generation)
          expect(got.values).toEqual(floats(tensorsOf(expected as never)[0].data))
          const hash = async (name: string) => (await grpc.unary('getSession', { name })).stateHash
          expect(await hash(shared.name)).toBe(await hash(plain.name))
        },
      ),
      { numRuns: 8 },
    )
  })

  it('that is repeated gets the stored answer, and never over what came after it', async () => {
    const { memory: name } = memory.offer
    memory.put(0, 1n, gradient(1))
    const request = step(session, query, { shared: extent(0, 1n) }, { memory: name, slot: 1, generation: 2n }, 'once')
    const first = await grpc.unary('step', request)
    const { values } = memory.get(1, N)
    expect(tensorsOf(first as never)[0].shared).toMatchObject(extent(1, 2n))
    // The same message again: its answer comes with it.
    const again = await grpc.unary('step', request)
    expect(again).toMatchObject({ repeatedRequest: true, revision: first.revision })
    expect(floats(tensorsOf(again as never)[0].data)).toEqual(values)
    // The slot has another answer since: a late call does not touch it.
    const renew = async (queryId: string, generation: bigint) => {
      const shared = { memory: name, slot: 1, generation }
      return grpc.unary('step', { name: session, shared, observations: [{ queryId, status: 5 }] })
    }
    const newer = await renew(first.queries[0].id, 4n)
    expect(tensorsOf(newer as never)[0].shared).toMatchObject(extent(1, 4n))
    const late = await renew(newer.queries[0].id, 3n)
    expect(floats(tensorsOf(late as never)[0].data)).toEqual(values)
    expect(memory.get(1, N).generation).toBe(4n)
    const before = await revision()
    memory.put(0, 3n, gradient(2))
    // The slot holds another gradient: that one is not told in place of the first.
    expect(await refused(grpc.unary('step', { ...request, requestId: 'other' }))).toMatchObject({
      reason: 'SHARED_MEMORY_LOST',
      paths: ['observations[0].gradients[0].tensors[0].shared.generation'],
    })
    // With the bytes in it, the request is still the same.
    const data = new Uint8Array(gradient(1).buffer)
    const inline = await grpc.unary('step', step(session, query, { data }, undefined, 'once'))
    expect(inline).toMatchObject({ repeatedRequest: true, revision: first.revision })
    expect(await revision()).toBe(before)
  })

  it.each<[string, object, string]>([
    ['a slot that is none', { slot: SLOTS }, 'slot'],
    ['a slot before the first', { slot: -1 }, 'slot'],
    ['a generation that is none', { generation: 0n }, 'generation'],
    ['another generation', { generation: 8n }, 'generation'],
    ['an offset before the slot', { offset: -4n }, 'offset'],
    ['an offset behind the slot', { offset: 1n << 40n }, 'offset'],
    ['an offset that no number holds', { offset: 1n << 62n }, 'offset'],
    ['a length below 0', { length: -4n }, 'length'],
    ['a length beyond the slot', { offset: 12_000n }, 'length'],
    ['a length beyond all', { length: 1n << 50n }, 'length'],
  ])('of %s is refused and changes nothing', async (_, wrong, field) => {
    memory.put(0, 1n, gradient(1))
    const before = await revision()
    const tensor = { shared: { ...extent(0, 1n), ...wrong } }
    const request = step(session, query, tensor, { memory: memory.offer.memory })
    const { paths, reason } = await refused(grpc.unary('step', request))
    expect(paths).toEqual([`observations[0].gradients[0].tensors[0].shared.${field}`])
    expect(reason).toBe(
      field === 'generation' && !('generation' in wrong && wrong.generation === 0n)
        ? 'SHARED_MEMORY_LOST'
        : 'INVALID_ARGUMENT',
    )
    expect(await revision()).toBe(before)
  })

  it('of too few bytes, of numbers that are not finite, of bytes twice or of a memory that is not named is refused', async () => {
    const { memory: name } = memory.offer
    const at = 'observations[0].gradients[0]'
    const before = await revision()
    const paths = async (tensor: object, shared?: Shared) =>
      (await refused(grpc.unary('step', step(session, query, tensor, shared)))).paths
    memory.put(0, 1n, gradient(1).fill(Number.NaN, 7, 8))
    expect(await paths({ shared: extent(0, 1n, 0, 400) }, { memory: name })).toEqual([at])
    expect((await paths({ shared: extent(0, 1n) }, { memory: name }))[0]).toContain(at)
    expect(await paths({ shared: extent(0, 1n), data: new Uint8Array(4) }, { memory: name })).toEqual([
      `${at}.tensors[0].data`,
    ])
    expect(await paths({ shared: extent(0, 1n) })).toEqual([`${at}.tensors[0].shared`])
    expect(await paths({ shared: extent(0, 1n) }, { memory: '../../etc/passwd' })).toEqual(['shared.memory'])
    expect(await paths({ shared: extent(0, 1n) }, { memory: name, slot: 9, generation: 1n })).toEqual(['shared.slot'])
    expect(await paths({ shared: extent(0, 1n) }, { memory: name, generation: -1n })).toEqual(['shared.generation'])
    // One slot for many tensors: more bytes than a step may hold.
    const many = Array.from({ length: 9 }, () => ({ name: 'w', dtype: 1, shared: extent(0, 1n) }))
    const large = {
      name: session,
      shared: { memory: name },
      observations: [{ queryId: query, gradients: [{ tensors: many }] }],
    }
    expect(await refused(grpc.unary('step', large))).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    ftruncateSync(memory.descriptor, 4096 + 100)
    expect(
      await refused(grpc.unary('step', step(session, query, { shared: extent(0, 1n) }, { memory: name }))),
    ).toMatchObject({ reason: 'SHARED_MEMORY_LOST' })
    expect(await revision()).toBe(before)
  })
})
