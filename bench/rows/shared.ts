/**
 * A remote Adam step with the tensors in shared memory: beside the bytes alone over TCP, and beside the same server without.
 * With load.c on the client's side, which writes its gradient there and copies the parameters out, and with the TypeScript
 * client as a user has it.
 */
import { closeSync, openSync } from 'node:fs'
import type { SharedMemory } from '../../clients/typescript/src/gen/asktell/v1/service_pb.js'
import { Asktell } from '../../clients/typescript/src/gen/asktell/v1/service_pb.js'
import type { Client, Tensors } from '../../clients/typescript/src/index.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { generate, startEcho } from '../lib/load.js'
import { interleave } from '../lib/measure.js'
import { Unavailable } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

const SIZES = [
  { name: '10 kB', elements: 2_500, steps: 5000 },
  { name: '1 MB', elements: 250_000, steps: 200 },
  { name: '10 MB', elements: 2_500_000, steps: 30 },
]
const DIRECTORY = '/dev/shm'
const HEADER = 64

/** Memory of two slots, open in this process so that a child can open it after its name is gone. */
async function share(port: number, bytes: number) {
  const transport = new Transport(`127.0.0.1:${port}`)
  const call = transport.serverStream(Asktell.method.shareMemory, { slotBytes: BigInt(bytes), slots: 2 })
  const offer = await new Promise<SharedMemory>((resolve, reject) => call.on('data', resolve).on('error', reject))
  const descriptor = openSync(offer.path, 'r+')
  return {
    memory: offer.memory,
    file: `/proc/${process.pid}/fd/${descriptor}`,
    stride: HEADER + Number(offer.slotBytes),
    close() {
      closeSync(descriptor)
      call.cancel()
      transport.close()
    },
  }
}

const adam = (elements: number) =>
  ({ method: 'adam', space: zeros(elements), direction: 'minimize', durability: 'snapshot' }) as const

/** Seconds per step of the TypeScript client. */
async function steps(client: Client, elements: number, count: number): Promise<number> {
  const session = await client.createSession(adam(elements))
  const gradient = Float32Array.from({ length: elements }, (_, i) => Math.sin(i))
  const stream = session.stream()
  let { queries } = await stream.step()
  let begun = 0
  for (let i = -3; i < count; i++) {
    if (i === 0) begun = performance.now()
    const told = { queryId: queries[0].id, gradients: [{ w: gradient }] }
    ;({ queries } = await stream.step({ observations: [told] }))
    if ((queries[0].points[0].tensors as Tensors).w.length !== elements) throw new Error('an answer without parameters')
  }
  const seconds = (performance.now() - begun) / 1000 / count
  stream.close()
  await session.delete()
  return seconds
}

export const shared: Row = {
  name: 'shared',
  title: 'remote Adam step with tensors in shared memory',
  async run({ quick, effort, say }) {
    const [server, plain, echo] = [
      await startAsktell('--shared-directory', DIRECTORY).catch((error: Error) => {
        throw new Unavailable(error.message)
      }),
      await startAsktell(),
      await startEcho(),
    ]
    try {
      const lines: Line[] = []
      for (const { name, elements, steps: most } of SIZES) {
        say(`shared: ${name}`)
        const count = quick ? Math.ceil(most / 10) : most
        const bytes = 4 * elements
        const memory = await share(server.port, bytes)
        const [with_, without] = [
          await server.client.createSession(adam(elements)),
          await plain.client.createSession(adam(elements)),
        ]
        const { memory: id, file, stride } = memory
        const samples = await interleave(
          [
            {
              name: 'shared',
              run: async () =>
                (await generate('shared', server.port, OPTIMIZE, with_.name, elements, id, file, stride, count))
                  .seconds / count,
            },
            { name: 'raw', run: async () => (await generate('echo', echo.port, bytes, bytes, count)).seconds / count },
            {
              name: 'message',
              run: async () =>
                (await generate('step', plain.port, OPTIMIZE, 'asktell', without.name, elements, count)).seconds /
                count,
            },
            { name: 'client', run: () => steps(server.client, elements, count) },
            { name: 'client, message', run: () => steps(plain.client, elements, count) },
          ],
          effort,
        )
        memory.close()
        const line = (
          ours: string,
          theirs: string,
          against: string,
          what: string,
          extra: Partial<Line> = {},
        ): Line => ({
          ...compare({
            row: 'shared',
            what: `${name}, ${what}`,
            unit: 'steps/s',
            figure: (seconds) => 1 / seconds,
            samples,
            ours,
            theirs,
            against,
          }),
          ...extra,
        })
        lines.push(
          line('shared', 'raw', 'raw TCP echo', 'client load.c', { limit: true }),
          line('shared', 'message', 'the tensors in the messages', 'client load.c'),
          line('client', 'client, message', 'the tensors in the messages', 'TypeScript client'),
        )
      }
      return lines
    } finally {
      await Promise.all([server.close(), plain.close(), echo.close()])
    }
  },
}
