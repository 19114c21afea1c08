/** A remote Adam step: the gradient up, the parameters down, each step after the answer to the last. */
import { generate, type LoadResult, startEcho } from '../lib/load.js'
import { interleave, median, type Subject } from '../lib/measure.js'
import { Child, python, source } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Options, Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

const SIZES = [
  { name: '10 kB', elements: 2_500, steps: 5000, mark: 2 },
  { name: '1 MB', elements: 250_000, steps: 200 },
  { name: '10 MB', elements: 2_500_000, steps: 30 },
]
/** Steps before the clock starts: a server lives long, and its code is compiled by then. */
const WARM_STEPS = 10_000

export const step: Row = {
  name: 'step',
  title: 'remote Adam step, f32 gradients up and parameters down',
  async run(options) {
    const torch = new Child(await python(), [source('peers/adam_server.py'), '1'])
    const [server, echo] = [await startAsktell(), await startEcho()]
    try {
      const peer = await torch.read<{ port: number; grpcio: string; torch: string }>()
      options.version('grpcio', peer.grpcio)
      const lines: Line[] = []
      await warm(server, peer.port)
      for (const size of SIZES) lines.push(...(await measure(size, server, peer.port, echo.port, options)))
      return lines
    } finally {
      await Promise.all([torch.close(), server.close(), echo.close()])
    }
  },
}

type Server = Awaited<ReturnType<typeof startAsktell>>

async function warm({ client, port }: Server, torch: number): Promise<void> {
  const [{ elements }] = SIZES
  for (const durability of ['snapshot', 'journal'] as const) {
    const { name } = await client.createSession({
      method: 'adam',
      space: zeros(elements),
      direction: 'minimize',
      durability,
    })
    await generate('step', port, OPTIMIZE, 'asktell', name, elements, WARM_STEPS / 2)
  }
  await generate('step', torch, '/peer.Adam/Optimize', 'raw', '-', elements, WARM_STEPS)
}

async function measure(
  { name, elements, steps, mark }: (typeof SIZES)[number],
  { client, port }: Server,
  torch: number,
  echo: number,
  { quick, effort, say }: Options,
): Promise<Line[]> {
  say(`step: ${name}`)
  const count = quick ? Math.ceil(steps / 10) : steps
  const bytes = 4 * elements
  const session = async (durability: 'snapshot' | 'journal') =>
    (await client.createSession({ method: 'adam', space: zeros(elements), direction: 'minimize', durability })).name
  const [snapshot, journal] = [await session('snapshot'), await session('journal')]
  const latencies: { [subject: string]: LoadResult[] } = {}
  const subject = (name: string, ...args: (string | number)[]): Subject => ({
    name,
    async run() {
      const result = await generate(...args, count)
      ;(latencies[name] ??= []).push(result)
      return result.seconds / count
    },
  })
  const samples = await interleave(
    [
      subject('snapshot', 'step', port, OPTIMIZE, 'asktell', snapshot, elements),
      subject('torch', 'step', torch, '/peer.Adam/Optimize', 'raw', '-', elements),
      subject('echo', 'echo', echo, bytes, bytes),
      subject('journal', 'step', port, OPTIMIZE, 'asktell', journal, elements),
    ],
    effort,
  )
  const tail = (subject: string) => {
    const at = (field: 'p50' | 'p99') =>
      (1e3 * median(latencies[subject].map((result) => result[field]))).toPrecision(2)
    return `${at('p50')} ms median, ${at('p99')} ms at the 99th percentile`
  }
  const line = (ours: string, theirs: string, against: string, extra: Partial<Line> = {}): Line => ({
    ...compare({
      row: 'step',
      what: `${name}, ${ours} durability`,
      unit: '/s',
      figure: (seconds) => 1 / seconds,
      samples,
      ours,
      theirs,
      against,
    }),
    ...extra,
  })
  const note = `${name}: asktell ${tail('snapshot')}; with the journal ${tail('journal')}; Python ${tail('torch')}`
  return [
    line('snapshot', 'torch', 'Python grpcio + torch fused, stores nothing', { mark, note }),
    line('snapshot', 'echo', 'raw TCP echo', { limit: true }),
    line('journal', 'torch', 'Python grpcio + torch fused, stores nothing'),
  ]
}
