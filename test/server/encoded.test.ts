import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { create } from '@bufbuild/protobuf'
import { expect, it } from 'vitest'
import { Client, tensors } from '../../clients/typescript/src/index.js'
import { FileChunkSchema, OptimizeRequestSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { Loans } from '../../src/core/loan.js'
import { Encoded } from '../../src/server/codec/encoded.js'
import { markLent } from '../../src/server/codec/staging.js'
import { startProcess, temporaryDirectory } from '../server-process.js'

const BULK = 40_000
/** The bytes are the last of the message. */
const chunk = (fill: number) =>
  Encoded.of(FileChunkSchema, create(FileChunkSchema, { data: new Uint8Array(BULK).fill(fill) }))

it('writes a message as a frame, in pieces of which none is empty, and says once that it is done', async () => {
  const twoTensors = create(OptimizeRequestSchema, {
    message: {
      case: 'step',
      value: {
        name: 'sessions/s',
        observations: [
          { queryId: 'q', gradients: [{ tensors: [1, 2].map((n) => ({ data: new Uint8Array(BULK).fill(n) })) }] },
        ],
      },
    },
  })
  for (const make of [() => chunk(3), () => Encoded.of(OptimizeRequestSchema, twoTensors)]) {
    const written: Buffer[] = []
    const sink = new Writable({
      write(bytes, _, next) {
        written.push(bytes)
        next()
      },
    })
    let done = 0
    await new Promise<void>((resolve) =>
      make().writeTo(sink, () => {
        done++
        resolve()
      }),
    )
    await new Promise((resolve) => setImmediate(resolve))
    expect(done).toBe(1)
    for (const piece of written) expect(piece.length).toBeGreaterThan(0)
    const body = make().toBuffer()
    const header = Buffer.from([0, 0, 0, 0, 0])
    header.writeUInt32BE(body.length, 1)
    expect(Buffer.concat(written).equals(Buffer.concat([header, body]))).toBe(true)
  }
})

it('nothing is copied for a reader that is gone', async () => {
  const array = new Uint8Array(8 << 20)
  const loans = new Loans()
  const loan = loans.lend(array)
  const message = create(FileChunkSchema, { data: markLent(array.subarray(), loan) })
  const sink = new Writable({ write: (_bytes, _, next) => next(new Error('gone')) }).on('error', () => {})
  await new Promise<void>((resolve) => Encoded.of(FileChunkSchema, message).writeTo(sink, () => resolve()))
  loans.settle()
  array.fill(9)
  const rest = new Uint8Array(4)
  loan.read(rest)
  expect([...rest]).toEqual([9, 9, 9, 9])
})

it('an export of many megabytes arrives as it left, time and again', async () => {
  const server = await startProcess()
  const folder = temporaryDirectory()
  const client = new Client(server.target)
  try {
    const n = BULK / 4
    const session = await client.createSession({
      method: 'sgd',
      space: tensors({ w: new Float32Array(n) }),
      direction: 'minimize',
    })
    const stream = session.stream()
    let { queries } = await stream.step({})
    for (let t = 0; t < 200; t++) {
      const told = { queryId: queries[0].id, gradients: [{ w: new Float32Array(n).fill(t) }] }
      ;({ queries } = await stream.step({ observations: [told] }))
    }
    stream.close()
    const files = Array.from({ length: 8 }, (_, i) => join(folder.path, `${i}`))
    for (const file of files) await session.export(file)
    const [first, ...others] = files.map((file) => readFileSync(file))
    expect(first.length).toBeGreaterThan(200 * BULK)
    for (const other of others) expect(other.equals(first)).toBe(true)
    const copy = await client.importSession(files[0])
    expect((await copy.get()).stateHash).toBe((await session.get()).stateHash)
  } finally {
    client.close()
    await server.stop()
    folder.remove()
  }
})
