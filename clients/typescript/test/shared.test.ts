/** The TypeScript client takes to shared memory by itself where there is some, and goes on without where there is none. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { configSchema } from '../../../src/server/config.js'
import { type RunningServer, startServer } from '../../../src/server/index.js'
import { silent } from '../../../test/server/clients.js'
import { Client, type Lossy, type StepResult, type Tensors, tensors } from '../src/index.js'
import { SharedMemory } from '../src/shared.js'

const N = 20_000
const directory = mkdtempSync(join(tmpdir(), 'asktell-shared-'))
const start = (config: object = {}) =>
  startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, drainSeconds: 1, store: 'memory', ...config }), {
    log: silent,
    onReady: () => {},
  })

let sharing: RunningServer
let plain: RunningServer
const clients: Client[] = []
beforeAll(async () => {
  sharing = await start({ sharedDirectory: directory })
  plain = await start()
})
afterAll(async () => {
  for (const client of clients) client.close()
  await Promise.all([sharing.close(), plain.close()])
  rmSync(directory, { recursive: true })
})

const connected = ({ grpcPort }: { grpcPort: number }) => {
  const client = new Client(`127.0.0.1:${grpcPort}`, { retries: 20 })
  clients.push(client)
  return client
}
/** The memory that a client has. */
const memoryOf = (client: Client) => (client as unknown as { transport: { memory?: SharedMemory } }).transport.memory
const pointOf = ({ queries }: StepResult) => queries[0].points[0].tensors as Tensors
const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength)
const created = (client: Client, encoding?: Lossy) =>
  client.createSession({
    method: 'adam',
    space: tensors({ w: new Float32Array(N), b: new Float64Array(3000) }),
    seed: 1,
    encodings: encoding && { gradients: [encoding], parameters: [encoding] },
  })
const gradientAt = ({ w, b }: Tensors) => ({ w: w.map((x, i) => x - Math.sin(i)), b: b.map((x, i) => x - Math.cos(i)) })

/** What a few steps come to, over a stream or by calls. */
async function run(client: Client, streamed: boolean, encoding?: Lossy, between = async (_: number) => {}) {
  const session = await created(client, encoding)
  const stream = session.stream({ encoding })
  const step = streamed ? stream.step : session.step.bind(session)
  let result = await step()
  const points = []
  for (let i = 0; i < 6; i++) {
    await between(i)
    const [{ id: queryId }] = result.queries
    result = await step({ observations: [{ queryId, gradients: [gradientAt(pointOf(result))] }] })
    points.push(pointOf(result))
  }
  stream.close()
  return { points, hash: (await session.get()).stateHash }
}

it.each<[string, boolean, Lossy?]>([
  ['by calls', false],
  ['over a stream', true],
  ['over a stream with block-int8', true, 'block-int8'],
])('steps %s come to the same, with and without', async (_, streamed, encoding) => {
  const [with_, without] = [connected(sharing), connected(plain)]
  const shares = async (i: number) => {
    if (i > 0) await vi.waitFor(() => expect(memoryOf(with_)).toBeDefined())
  }
  const found = await run(with_, streamed, encoding, shares)
  const expected = await run(without, streamed, encoding)
  expect(memoryOf(without)).toBeUndefined()
  expect(found.hash).toBe(expected.hash)
  found.points.forEach(({ w, b }, i) => {
    expect(bytes(w).equals(bytes(expected.points[i].w))).toBe(true)
    expect(bytes(b).equals(bytes(expected.points[i].b))).toBe(true)
  })
})

it('many steps at once on one client get answers of their own, those without a slot in their messages', async () => {
  const client = connected(sharing)
  const results = await Promise.all(Array.from({ length: 12 }, (_, i) => run(client, i % 2 === 0)))
  expect(memoryOf(client)).toBeDefined()
  for (const { hash } of results) expect(hash).toBe(results[0].hash)
})

it.each([false, true])('a memory that the server no longer has is done without (stream: %s)', async (streamed) => {
  const client = connected(sharing)
  const expected = await run(connected(plain), streamed)
  const found = await run(client, streamed, undefined, async (i) => {
    if (i === 0 || i > 3) return
    await vi.waitFor(() => expect(memoryOf(client)).toBeDefined())
    if (i < 3) return
    // As after a restart: no call of the memory is known to the server.
    Object.assign(memoryOf(client)!, { name: 'f'.repeat(32) })
  })
  expect(found.hash).toBe(expected.hash)
})

it('a server whose directory is not reachable is used without', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'asktell-elsewhere-'))
  const server = await start({ sharedDirectory: elsewhere })
  // Files that this client cannot open by the path that it is told: as on another host.
  vi.spyOn(process, 'geteuid').mockReturnValue(4321)
  try {
    const client = connected(server)
    const { hash } = await run(client, true)
    expect(memoryOf(client)).toBeUndefined()
    expect(hash).toBe((await run(connected(plain), true)).hash)
    await vi.waitFor(() => expect(readdirSync(elsewhere)).toEqual([]))
  } finally {
    vi.restoreAllMocks()
    await server.close()
    rmSync(elsewhere, { recursive: true })
  }
})

it('writes to no file but one that was made for it', () => {
  const memory = 'a'.repeat(32)
  const path = join(directory, `asktell-${memory}`)
  const offer = { memory, path, slotBytes: 4032n, slots: 1 }
  const open = (changes: object = {}) => new SharedMemory({ ...offer, ...changes } as never)
  expect(() => open()).toThrow('ENOENT')
  expect(() => open({ path: '/etc/passwd' })).toThrow('expected a file')
  expect(() => open({ memory: '../x', path: join(directory, 'asktell-../x') })).toThrow('expected a file')
  writeFileSync(path, Buffer.alloc(8192, 'b'), { mode: 0o600 })
  expect(() => open()).toThrow('does not begin with its name')
  expect(() => open({ slots: 2 })).toThrow('is not a file of')
  chmodSync(path, 0o640)
  expect(() => open()).toThrow('is not a file of')
  const other = 'c'.repeat(32)
  symlinkSync(path, join(directory, `asktell-${other}`))
  expect(() => open({ memory: other, path: join(directory, `asktell-${other}`) })).toThrow('ELOOP')
  rmSync(path)
  rmSync(join(directory, `asktell-${other}`))
})
