/** Gradients of many megabytes in messages of 1 MiB, received, assembled and checked, on one stream. */
import { generate, startEcho } from '../lib/load.js'
import { interleave } from '../lib/measure.js'
import { built, Child, python, source } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

const MIB = 1 << 20
const MESSAGES = 64
/** Gradients per turn. */
const TURN = 4

export const intake: Row = {
  name: 'intake',
  title: 'gradient intake in messages of 1 MiB',
  async run({ effort, say, version }) {
    say('intake')
    const stock = new Child(process.execPath, [built('peers/grpcjs.js')])
    const grpcio = new Child(await python(), [source('load/intake.py')])
    const [server, echo] = [await startAsktell(), await startEcho()]
    try {
      const { port: sink } = await stock.read<{ port: number }>()
      version('grpcio', (await grpcio.read<{ grpcio: string }>()).grpcio)
      const elements = (MESSAGES * MIB) / 4
      const options = { method: 'sgd', space: zeros(elements), direction: 'minimize', durability: 'snapshot' } as const
      const { name } = await server.client.createSession(options)
      const bytes = 4 * elements
      const subject = (name: string, once: () => Promise<number>) => ({
        name,
        async run() {
          let seconds = 0
          for (let k = 0; k < TURN; k++) seconds += await once()
          return seconds / TURN / bytes
        },
      })
      const native = async (...args: (string | number)[]) => (await generate(...args)).seconds
      const ours = [server.port, OPTIMIZE, name, elements]
      const theirs = [sink, '/peer.Sink/Optimize', '-', elements]
      const samples = await interleave(
        [
          subject('asktell, grpcio', () => grpcio.ask(...ours)),
          subject('stock, grpcio', () => grpcio.ask(...theirs)),
          subject('asktell', () => native('intake', ...ours)),
          subject('stock', () => native('intake', ...theirs)),
          subject('raw', () => native('echo', echo.port, bytes, 1, 1)),
        ],
        effort,
      )
      const line = (ours: string, theirs: string, against: string, extra: Partial<Line> = {}): Line => ({
        ...compare({
          row: 'intake',
          what: `${MESSAGES} MiB, client ${ours.includes('grpcio') ? 'grpcio' : 'load.c'}`,
          unit: 'GB/s',
          figure: (seconds) => 1e-9 / seconds,
          samples,
          ours,
          theirs,
          against,
        }),
        ...extra,
      })
      const note = 'asktell also assembles the gradient and checks it for numbers that are not finite'
      return [
        line('asktell, grpcio', 'stock, grpcio', 'stock grpc-js, keeps nothing', { note }),
        line('asktell', 'stock', 'stock grpc-js, keeps nothing', { mark: 2.5 }),
        line('asktell', 'raw', 'raw TCP', { limit: true }),
      ]
    } finally {
      await Promise.all([stock.close(), grpcio.close(), server.close(), echo.close()])
    }
  },
}
