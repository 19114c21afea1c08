/** Gradients of many megabytes in messages of 1 MiB, received, assembled and checked, on one stream. */
import { generate, startEcho } from '../lib/load.js'
import { interleave } from '../lib/measure.js'
import { built, Child } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

const MIB = 1 << 20
const MESSAGES = 64
const ROUND = 4

export const intake: Row = {
  name: 'intake',
  title: 'gradient intake in messages of 1 MiB',
  async run({ effort, say }) {
    say('intake')
    const stock = new Child(process.execPath, [built('peers/grpcjs.js')])
    const [server, echo] = [await startAsktell(), await startEcho()]
    try {
      const { port: sink } = await stock.read<{ port: number }>()
      const elements = (MESSAGES * MIB) / 4
      const options = { method: 'sgd', space: zeros(elements), direction: 'minimize', durability: 'snapshot' } as const
      const { name } = await server.client.createSession(options)
      const bytes = 4 * elements
      const subject = (name: string, ...args: (string | number)[]) => ({
        name,
        async run() {
          let seconds = 0
          for (let k = 0; k < ROUND; k++) seconds += (await generate(...args)).seconds
          return seconds / ROUND / bytes
        },
      })
      const samples = await interleave(
        [
          subject('asktell', 'intake', server.port, OPTIMIZE, name, elements),
          subject('stock', 'intake', sink, '/peer.Sink/Optimize', '-', elements),
          subject('raw', 'echo', echo.port, bytes, 1, 1),
        ],
        effort,
      )
      const line = (theirs: string, against: string, extra: Partial<Line>): Line => ({
        ...compare({
          row: 'intake',
          what: `gradient of ${MESSAGES} MiB`,
          unit: 'GB/s',
          figure: (seconds) => 1e-9 / seconds,
          samples,
          ours: 'asktell',
          theirs,
          against,
        }),
        ...extra,
      })
      return [
        line('stock', 'stock grpc-js, keeps nothing', {
          mark: 2.5,
          note: 'asktell also assembles the gradient and checks it for numbers that are not finite',
        }),
        line('raw', 'raw TCP', { limit: true }),
      ]
    } finally {
      await Promise.all([stock.close(), server.close(), echo.close()])
    }
  },
}
