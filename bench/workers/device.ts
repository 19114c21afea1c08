/**
 * The shaders of the preset `adam` on the device, tensors staying there, and copies that move as many bytes: the device's own,
 * and a shader's, which some devices are faster with. Answers each line with seconds; to `check`, with the largest
 * difference from the wasm engine after some steps of the whole engine.
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
const COPY_SHADER = `
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 256u;
  if (i < arrayLength(&source)) { target_[i] = source[i]; }
}`
/** Workgroups in a row of the copy. */
const COPY_ROW = 4096
const ENGINES = ['wasm', 'webgpu'] as const
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

/** Copies of so many bytes from one buffer to another, piece by piece where they are more than a buffer is to have. */
async function copies(bytes: number) {
  const size = Math.min(MOST_COPIED, 16 * Math.ceil(bytes / 16))
  const pieces = Array.from({ length: Math.ceil(bytes / size) }, (_, k) => Math.min(size, bytes - k * size))
  const { COPY_SRC, COPY_DST, STORAGE } = GPUBufferUsage
  const [from, to] = [COPY_SRC, COPY_DST].map((usage) => gpu.createBuffer({ size, usage: usage | STORAGE }))
  const module = gpu.createShaderModule({ code: COPY_SHADER })
  const pipeline = await gpu.createComputePipelineAsync({ layout: 'auto', compute: { module } })
  const bound = pieces.map((piece) => {
    const part = { offset: 0, size: 16 * Math.ceil(piece / 16) }
    const entries = [from, to].map((buffer, binding) => ({ binding, resource: { buffer, ...part } }))
    const groups = Math.ceil(piece / 16 / 256)
    return {
      bindings: gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }),
      groups: [Math.min(groups, COPY_ROW), Math.ceil(groups / COPY_ROW)] as const,
    }
  })
  const submit = (record: (encoder: GPUCommandEncoder) => void) => {
    const encoder = gpu.createCommandEncoder()
    record(encoder)
    gpu.queue.submit([encoder.finish()])
  }
  return {
    copy: () =>
      submit((encoder) => {
        for (const piece of pieces) encoder.copyBufferToBuffer(from, 0, to, 0, 4 * Math.ceil(piece / 4))
      }),
    shaderCopy: () =>
      submit((encoder) => {
        const pass = encoder.beginComputePass()
        pass.setPipeline(pipeline)
        for (const { bindings, groups } of bound) {
          pass.setBindGroup(0, bindings)
          pass.dispatchWorkgroups(...groups)
        }
        pass.end()
      }),
    close: () => [from, to].forEach((buffer) => void buffer.destroy()),
  }
}

let opened: ({ kernel: DeviceKernel; run: Run } & Awaited<ReturnType<typeof copies>>) | undefined

/** Steps of the engines as sessions run them, with the gradient and the state in the memory of the host. */
const engines = new Map<string, () => void>()
async function openEngines(elements: number): Promise<void> {
  const tensors = tensorsOf(elements)
  const composition = composed(tensors)
  for (const engine of ENGINES) {
    await loadEngine(engine)
    const kernel = kernelOf(composition, tensors, engine, 'f32')
    const state = kernel.allocate()
    const g = kernel.inputBuffer('g')
    g.w.fill(1e-3)
    let t = 0
    engines.set(engine, () => kernel.run({ ...state, inputs: { g }, scalars: scalarsAt(composition, ++t) }))
  }
}

const commands: { [name: string]: (count: number) => Promise<unknown> } = {
  async check() {
    const { elements, steps } = CHECKED
    const tensors = tensorsOf(elements)
    const composition = composed(tensors)
    const results: Float32Array[] = []
    for (const engine of ENGINES) {
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
    const moved = await copies(elements * COPIED_BYTES)
    await kernel.run({ ...wanted.run, download: false })
    await done()
    const close = () => {
      kernel.close()
      moved.close()
    }
    opened = { ...moved, kernel, run: { ...wanted.run, upload: undefined, download: false }, close }
  },
  async engines(elements) {
    await openEngines(elements)
  },
  async wasm(steps) {
    for (let k = steps; k > 0; k--) engines.get('wasm')!()
  },
  async webgpu(steps) {
    for (let k = steps; k > 0; k--) engines.get('webgpu')!()
  },
  async step(steps) {
    for (let k = steps; k > 0; k--) await opened!.kernel.run(opened!.run)
    await done()
  },
  async copy(times) {
    for (let k = times; k > 0; k--) opened!.copy()
    await done()
  },
  async shaderCopy(times) {
    for (let k = times; k > 0; k--) opened!.shaderCopy()
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
