/**
 * Adam in f32 on a device, tensors being there: the share of its copy bandwidth that the webgpu engine reaches, and torch's
 * fused Adam where the Python of the peers has one for the device.
 */
import { probeEngine } from '../../src/optimizers/engines/index.js'
import { interleave, median } from '../lib/measure.js'
import { built, Child, python, runJson, source, Unavailable } from '../lib/process.js'
import { compare, type Line, unavailable } from '../lib/report.js'
import type { Options } from '../lib/row.js'

const SIZES = [
  { elements: 1_000_000, name: '1 M', steps: 50 },
  { elements: 10_000_000, name: '10 M', steps: 20 },
  { elements: 100_000_000, name: '100 M', steps: 10 },
]
/** The share of the bandwidth that a fused pass is to reach on a GPU with the largest tensors, which no cache holds. */
const MARK = 0.85

export async function device({ quick, effort, say, version }: Options): Promise<Line[]> {
  const adapter = await probeEngine('webgpu').catch((error: Error) => {
    throw new Unavailable(error.message)
  })
  version('adapter', adapter)
  const child = new Child(process.execPath, [built('workers/device.js')])
  const torch = await cuda(version)
  try {
    const worst = await child.ask('check')
    if (!(worst <= 2e-6)) throw new Error(`the device differs from the wasm engine by ${worst}: it is not measured`)
    const lines: Line[] = []
    for (const { elements, name, steps } of quick ? SIZES.slice(0, 1) : SIZES) {
      say(`kernel: ${name} parameters on ${adapter}`)
      const note = `on ${adapter}; of copies, the faster of the device's own and a shader's`
      const what = `Adam ${name} on the device`
      const against = 'copies of as many bytes'
      const seconds = await child.ask('alloc', elements)
      if (seconds < 0) {
        lines.push(unavailable('kernel', what, against, `${adapter} has no buffer for ${name} parameters`))
        continue
      }
      const subject = (name: string) => ({ name, run: async () => (await child.ask(name, steps)) / steps })
      const subjects = [subject('step'), subject('copy'), subject('shaderCopy')]
      if (torch) {
        await torch.ask('alloc', elements)
        subjects.push({ name: 'torch', run: async () => (await torch.ask('run', steps)) / steps })
      }
      const samples = await interleave(subjects, effort)
      const line = (theirs: string, rest: Pick<Line, 'against' | 'limit' | 'mark'>) => {
        const figure = (seconds: number) => elements / seconds / 1e9
        return compare({ row: 'kernel', what, unit: 'G/s', samples, ours: 'step', theirs, figure, note, ...rest })
      }
      const faster = median(samples.copy) < median(samples.shaderCopy) ? 'copy' : 'shaderCopy'
      if (torch) lines.push(line('torch', { against: 'torch fused on the device' }))
      lines.push(line(faster, { against, limit: true, mark: elements >= 1e8 ? MARK : undefined }))
    }
    const { elements, name, steps } = SIZES[quick ? 0 : 1]
    say(`kernel: ${name} parameters, whole steps`)
    await child.ask('engines', elements)
    const whole = (name: string) => ({ name, run: async () => (await child.ask(name, steps)) / steps })
    lines.push(
      compare({
        row: 'kernel',
        what: `Adam ${name}, a whole step of the engine`,
        unit: 'G/s',
        figure: (seconds) => elements / seconds / 1e9,
        samples: await interleave([whole('webgpu'), whole('wasm')], effort),
        ours: 'webgpu',
        against: 'the wasm engine, which computes where gradients arrive',
        theirs: 'wasm',
        note: 'gradient and state of a whole step cross the bus',
      }),
    )
    return lines
  } finally {
    await child.close()
    await torch?.close()
  }
}

/** torch on a device with CUDA, or nothing. */
async function cuda(version: Options['version']): Promise<Child | undefined> {
  const probe = ['-c', 'import json, torch; print(json.dumps(torch.cuda.is_available()))']
  try {
    const interpreter = await python()
    if (!(await runJson<boolean>(interpreter, probe))) return undefined
    const child = new Child(interpreter, [source('peers/adam_torch.py'), 'fused', '1', 'cuda'])
    version('torch', (await child.read<{ torch: string }>()).torch)
    return child
  } catch {
    return undefined
  }
}
