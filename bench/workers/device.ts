/**
 * The shaders of the preset `adam` on the device, tensors staying there, and copies that move as many bytes. Answers each
 * line with seconds; to `check`, with the largest difference from the wasm engine after some steps of the whole engine.
 */
import { createInterface } from 'node:readline'
import { Rng, rngStream } from '../../src/core/rng.js'
import type { TensorSpec } from '../../src/core/tensor.js'
import { NOTHING_TOLD } from '../../src/optimizers/compose.js'
import { loadEngine } from '../../src/optimizers/engines/index.js'
import { Device, type DeviceKernel } from '../../src/optimizers/engines/webgpu/device.js'
import { WebgpuKernel } from '../../src/optimizers/engines/webgpu/kernel.js'
import type { Run, Setup } from '../../src/optimizers/engines/webgpu/messages.js'
import { findAdapter, openDevice } from '../../src/optimizers/engines/webgpu/package.js'
import { compile } from '../../src/optimizers/engines/webgpu/program.js'
import { compileRule } from '../../src/optimizers/language/check.js'
import { adam, method } from '../../src/optimizers/presets/adam.js'
import { kernelOf, program } from '../../src/optimizers/step-program.js'

/** Adam reads x, g, m and v and writes three of them; a copy reads and writes. */
const COPIED_BYTES = (7 * 4) / 2
const MOST_COPIED = 2 ** 28
/** What `alloc` answers where no buffer holds the tensors. */
const TOO_LARGE = -1
const CHECKED = { elements: 10_000, steps: 20 }

const config = method.config.parse({ reportNorm: false })
const tensorsOf = (elements: number): TensorSpec[] => [{ name: 'w', shape: [elements], dtype: 'f32' }]
const composed = (tensors: TensorSpec[]) => program(adam.rule, config, { kind: 'tensors', tensors })
const scalarsAt = (composition: ReturnType<typeof composed>, t: number) => {
  const { learningRate } = config
  const rateSum = t * learningRate
  const at = { t, learningRate, rateSum, restart: false, uniform: 0.5, told: NOTHING_TOLD, reports: {} }
  return { ...composition.scalars(at), t }
}

const found = await findAdapter()
const gpu = await openDevice(found)
const device = new Device(gpu)
const done = () => gpu.queue.onSubmittedWorkDone()

/** What the engine asks of a device to open Adam and to step once. */
function asked(elements: number): { setup: Setup; run: Run } | undefined {
  const tensors = tensorsOf(elements)
  const composition = composed(tensors)
  const rule = compileRule(composition.source)
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits
  const mostBytes = Math.min(maxBufferSize, maxStorageBufferBindingSize)
  let setup: Setup | undefined
  let run: Run | undefined
  const runner = {
    mostBytes,
    open: (_: object, wanted: Setup) => {
      setup = wanted
      return 0
    },
    run: (_: number, wanted: Run) => {
      run = wanted
      return {}
    },
  }
  const kernel = new WebgpuKernel(runner, compile(rule), rule, tensors)
  const w = Float32Array.from({ length: elements }, (_, i) => 1e-3 * (i % 2003))
  try {
    const { slots } = kernel.allocate()
    kernel.run({ x: { w }, slots, inputs: { g: { w } }, scalars: scalarsAt(composition, 1) })
  } catch {
    return undefined
  }
  return setup && run && { setup, run }
}

let opened: { kernel: DeviceKernel; run: Run; copy: () => void; close(): void } | undefined

const commands: { [name: string]: (count: number) => Promise<unknown> } = {
  async check() {
    const { elements, steps } = CHECKED
    const tensors = tensorsOf(elements)
    const composition = composed(tensors)
    const results: Float32Array[] = []
    for (const engine of ['wasm', 'webgpu'] as const) {
      await loadEngine(engine)
      const rng = new Rng(rngStream(1, 'kernel'))
      const kernel = kernelOf(composition, tensors, engine, 'f32')
      const { x, slots } = kernel.allocate()
      const g = { w: Float32Array.from({ length: elements }, () => rng.normal()) }
      for (let t = 1; t <= steps; t++) kernel.run({ x, slots, inputs: { g }, scalars: scalarsAt(composition, t) })
      results.push(x.w as Float32Array)
    }
    const [right, ours] = results
    return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - right[i])), 0)
  },
  async alloc(elements) {
    opened?.close()
    opened = undefined
    const wanted = asked(elements)
    if (!wanted) return TOO_LARGE
    const kernel = await device.open(wanted.setup)
    const bytes = elements * COPIED_BYTES
    const size = Math.min(MOST_COPIED, 4 * Math.ceil(bytes / 4))
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST
    const [from, to] = [gpu.createBuffer({ size, usage }), gpu.createBuffer({ size, usage })]
    const copy = () => {
      const encoder = gpu.createCommandEncoder()
      for (let left = bytes; left > 0; left -= size)
        encoder.copyBufferToBuffer(from, 0, to, 0, 4 * Math.ceil(Math.min(left, size) / 4))
      gpu.queue.submit([encoder.finish()])
    }
    await kernel.run({ ...wanted.run, download: false })
    await done()
    const close = () => {
      kernel.close()
      from.destroy()
      to.destroy()
    }
    opened = { kernel, run: { ...wanted.run, upload: undefined, download: false }, copy, close }
  },
  async step(steps) {
    for (let k = steps; k > 0; k--) await opened!.kernel.run(opened!.run)
    await done()
  },
  async copy(times) {
    for (let k = times; k > 0; k--) opened!.copy()
    await done()
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, count] = line.split(' ')
  const begun = performance.now()
  const answer = await commands[command](Number(count))
  console.log(JSON.stringify(answer ?? (performance.now() - begun) / 1000))
}
process.exit(0)
