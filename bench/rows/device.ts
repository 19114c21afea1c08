/** Adam in f32 on a device: the share of its copy bandwidth that the webgpu engine reaches, tensors being there. */
import { probeEngine } from '../../src/optimizers/engines/index.js'
import { interleave } from '../lib/measure.js'
import { built, Child, Unavailable } from '../lib/process.js'
import { compare, type Line, unavailable } from '../lib/report.js'
import type { Options } from '../lib/row.js'

const SIZES = [
  { elements: 1_000_000, name: '1 M', steps: 50 },
  { elements: 10_000_000, name: '10 M', steps: 20 },
  { elements: 100_000_000, name: '100 M', steps: 10 },
]
/** The share of the bandwidth that a fused pass reaches on a GPU. */
const MARK = 0.85

export async function device({ quick, effort, say, version }: Options): Promise<Line[]> {
  const adapter = await probeEngine('webgpu').catch((error: Error) => {
    throw new Unavailable(error.message)
  })
  version('adapter', adapter)
  const child = new Child(process.execPath, [built('workers/device.js')])
  try {
    const worst = await child.ask('check')
    if (!(worst <= 2e-6)) throw new Error(`the device differs from the wasm engine by ${worst}: it is not measured`)
    const lines: Line[] = []
    for (const { elements, name, steps } of quick ? SIZES.slice(0, 1) : SIZES) {
      say(`kernel: ${name} parameters on ${adapter}`)
      const what = `Adam ${name} on the device`
      const against = 'copies of as many bytes'
      const seconds = await child.ask('alloc', elements)
      if (seconds < 0) {
        lines.push(unavailable('kernel', what, against, `${adapter} has no buffer for ${name} parameters`))
        continue
      }
      const subject = (name: string) => ({ name, run: async () => (await child.ask(name, steps)) / steps })
      const samples = await interleave([subject('step'), subject('copy')], effort)
      const figure = (seconds: number) => elements / seconds / 1e9
      const note = `on ${adapter}`
      lines.push(
        compare({
          row: 'kernel',
          what,
          against,
          unit: 'G/s',
          samples,
          ours: 'step',
          theirs: 'copy',
          figure,
          limit: true,
          mark: MARK,
          note,
        }),
      )
    }
    return lines
  } finally {
    await child.close()
  }
}
