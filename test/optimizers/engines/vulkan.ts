/** Where there is no GPU, WebGPU runs on the software renderer of Debian's `chromium`. */
import { existsSync } from 'node:fs'
import { probeEngine } from '../../../src/optimizers/engines/index.js'

const SOFTWARE = '/usr/lib/chromium/vk_swiftshader_icd.json'

/** Call it before an engine or a server is started. */
export async function findVulkan(): Promise<void> {
  const works = await probeEngine('webgpu').then(
    () => true,
    () => false,
  )
  if (!works && existsSync(SOFTWARE)) process.env.VK_DRIVER_FILES = SOFTWARE
}
