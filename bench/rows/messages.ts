/** Small messages: tell and ask of a cheap method, each answered when it is on disk. */
import { float } from '../../clients/typescript/src/index.js'
import { generate } from '../lib/load.js'
import { interleave } from '../lib/measure.js'
import { built, Child } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, STEP, startAsktell } from '../lib/server.js'

const SHAPES = [
  { callers: 1, sessions: 1, count: 500 },
  { callers: 64, sessions: 1, count: 5000 },
  { callers: 64, sessions: 64, count: 5000 },
]

export const messages: Row = {
  name: 'messages',
  title: 'tell and ask with the durable store',
  async run({ quick, effort, say }) {
    const bare = new Child(process.execPath, [built('peers/grpcjs.js')])
    const server = await startAsktell()
    try {
      const { port } = await bare.read<{ port: number }>()
      const space = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`x${i}`, float(0, 1)]))
      const lines: Line[] = []
      for (const { callers, sessions, count } of SHAPES) {
        say(`messages: ${callers} callers, ${sessions} sessions`)
        const prefix = `${callers}-of-${sessions}-`
        for (let i = 0; i < sessions; i++)
          await server.client.createSession({ id: `${prefix}${i}`, method: 'random', space, direction: 'minimize' })
        const name = `sessions/${prefix}`
        const calls = quick ? count / 5 : count
        for (const kind of ['unary', 'stream'] as const) {
          const [path, peer] = kind === 'unary' ? [STEP, '/peer.Sink/Step'] : [OPTIMIZE, '/peer.Sink/Optimize']
          const subject = (subject: string, port: number, path: string) => ({
            name: subject,
            run: async () => (await generate(kind, port, path, name, sessions, callers, calls)).seconds / calls,
          })
          const samples = await interleave([subject('asktell', server.port, path), subject('bare', port, peer)], effort)
          lines.push(
            compare({
              row: 'messages',
              what: `${kind}, ${callers} caller${callers > 1 ? 's' : ''}, ${sessions} session${sessions > 1 ? 's' : ''}`,
              unit: '/s',
              figure: (seconds) => 1 / seconds,
              against: 'bare grpc-js, no work, nothing stored',
              limit: true,
              samples,
              ours: 'asktell',
              theirs: 'bare',
            }),
          )
        }
      }
      return lines
    } finally {
      await Promise.all([bare.close(), server.close()])
    }
  },
}
