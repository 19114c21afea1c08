/** The package `webgpu` (Dawn), where the user installed it, and the device that it finds. */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export const PACKAGE = 'webgpu'

/** What the engine uses of the package. */
type Dawn = { create(options: string[]): GPU; globals: object }

export type Adapter = { gpu: GPU; adapter: GPUAdapter; about: string }

/** @throws Error that says what is missing. */
export async function findAdapter(): Promise<Adapter> {
  const path = createRequire(import.meta.url).resolve(PACKAGE)
  const { create, globals }: Dawn = await import(pathToFileURL(path).href)
  Object.assign(globalThis, globals)
  const gpu = create(['enable-dawn-features=disable_workgroup_init'])
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) throw new Error('it finds no adapter: there is no GPU with a driver for Vulkan, Metal or Direct3D 12')
  const { vendor, architecture, device, description } = adapter.info
  return { gpu, adapter, about: [vendor, architecture, device, description].filter(Boolean).join(' ') }
}

/** A device with the largest buffers that the adapter has. */
export function openDevice({ adapter }: Adapter): Promise<GPUDevice> {
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits
  return adapter.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } })
}
