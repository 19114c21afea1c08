/** The engine on WebGPU, through Dawn: any GPU with Vulkan, Metal or Direct3D 12. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AsktellError } from '../../../core/errors.js'
import { builtModule } from '../../../core/thread.js'
import type { Engine } from '../engine.js'
import { DeviceThread } from './client.js'
import { WebgpuKernel } from './kernel.js'
import { type Compiled, compile } from './program.js'

/** Users' rules come and go: the oldest programs are dropped beyond this many. */
const CACHED_PROGRAMS = 512
const TRIAL_TIMEOUT = 60_000

/** @throws AsktellError UNSUPPORTED when the package is not installed, does not run here, or finds no device. */
export async function loadWebgpuEngine(): Promise<Engine> {
  await probeWebgpu()
  const thread = await DeviceThread.start()
  const cache = new Map<string, Compiled>()
  return {
    id: 'webgpu',
    compile(program, manifest, precision, packing) {
      if (precision === 'f64') {
        const message =
          'the webgpu engine computes in float32; choose precision f32 and tensors of another dtype than f64, or another engine'
        throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'config.precision', message }] })
      }
      let compiled = cache.get(program.hash)
      if (!compiled) {
        compiled = compile(program)
        cache.set(program.hash, compiled)
        if (cache.size > CACHED_PROGRAMS) cache.delete(cache.keys().next().value as string)
      }
      return new WebgpuKernel(thread, compiled, program, manifest, packing)
    },
  }
}

/**
 * What the engine runs on. Looked for in a process of its own: a driver that crashes takes its process along.
 *
 * @throws AsktellError UNSUPPORTED, with what to install.
 */
export function probeWebgpu(): Promise<string> {
  const entry = fileURLToPath(builtModule(new URL('./trial.js', import.meta.url)))
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [entry], { timeout: TRIAL_TIMEOUT }, (error, stdout, stderr) => {
      if (!error) return resolve(`${stdout.trim()}, through Dawn, in float32`)
      const cause = error.signal ? `it was ended by ${error.signal}` : stderr.trim().split('\n').at(-1)
      reject(new AsktellError('UNSUPPORTED', `the webgpu engine does not run here: ${cause}`))
    })
  })
}
