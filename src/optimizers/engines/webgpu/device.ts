/** Kernels in the memory of a device: buffers, pipelines, and the run of one stage. Asynchronous, as WebGPU is. */
import { KEYS_AT } from './layout.js'
import type { Answer, Run, Setup } from './messages.js'

/** Workgroups in one direction: WebGPU guarantees so many. */
const MOST_GROUPS = 65_535
/** A buffer that is bound has at least one entry. */
const LEAST_BYTES = 16

/** Nothing where the manifest has no elements for it. */
type Pass = { pipeline: GPUComputePipeline; bindings: GPUBindGroup; groups: [number, number] } | undefined

export class Device {
  private readonly layout: GPUBindGroupLayout
  /** By code: kernels of one rule share them whatever their manifests. */
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>()

  constructor(readonly gpu: GPUDevice) {
    const types = ['storage', 'read-only-storage', 'read-only-storage', 'read-only-storage', 'storage'] as const
    this.layout = gpu.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
    })
  }

  async open(setup: Setup): Promise<DeviceKernel> {
    const { gpu } = this
    gpu.pushErrorScope('out-of-memory')
    const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage
    const buffer = (size: number, usage: number) =>
      gpu.createBuffer({ size: Math.max(LEAST_BYTES, size), usage: usage | COPY_DST })
    const buffers = {
      memory: buffer(4 * setup.elements, STORAGE | COPY_SRC),
      numbers: buffer(4 * setup.numbers, STORAGE),
      facts: buffer(setup.facts.byteLength, STORAGE),
      partials: buffer(4 * setup.partials, STORAGE | COPY_SRC),
      state: buffer(4 * setup.state, MAP_READ),
      sums: buffer(4 * setup.partials, MAP_READ),
    }
    const tables = setup.tables.map((entries) => {
      const table = buffer(entries.byteLength, STORAGE)
      gpu.queue.writeBuffer(table, 0, entries as BufferSource)
      return table
    })
    const kernel = new DeviceKernel(gpu, buffers, tables)
    const lack = await gpu.popErrorScope()
    try {
      if (lack) throw new OutOfMemory(lack.message)
      await this.prepare(kernel, setup)
    } catch (error) {
      kernel.close()
      throw error
    }
    return kernel
  }

  /** Writes the facts and makes the pipelines. */
  private async prepare(kernel: DeviceKernel, setup: Setup): Promise<void> {
    const { gpu } = this
    const { buffers, tables } = kernel
    gpu.queue.writeBuffer(buffers.facts, 0, setup.facts as BufferSource)
    kernel.passes = await Promise.all(
      setup.shaders.map(async ({ code, table }): Promise<Pass> => {
        const { memory, numbers, facts, partials } = buffers
        const bound = [memory, numbers, facts, tables[table], partials]
        const groups = setup.tables[table].length / 4
        if (groups === 0) return undefined
        const rows = Math.ceil(groups / MOST_GROUPS)
        return {
          pipeline: await this.pipeline(code),
          bindings: gpu.createBindGroup({
            layout: this.layout,
            entries: bound.map((each, binding) => ({ binding, resource: { buffer: each } })),
          }),
          groups: [Math.ceil(groups / rows), rows],
        }
      }),
    )
  }

  private pipeline(code: string): Promise<GPUComputePipeline> {
    let pipeline = this.pipelines.get(code)
    if (!pipeline) {
      pipeline = this.gpu.createComputePipelineAsync({
        layout: this.gpu.createPipelineLayout({ bindGroupLayouts: [this.layout] }),
        compute: { module: this.gpu.createShaderModule({ code }) },
      })
      this.pipelines.set(code, pipeline)
      pipeline.catch(() => this.pipelines.delete(code))
      if (this.pipelines.size > CACHED_PIPELINES) this.pipelines.delete(this.pipelines.keys().next().value as string)
    }
    return pipeline
  }
}
/** Users' rules come and go. */
const CACHED_PIPELINES = 1024

export class OutOfMemory extends Error {}

type Buffers = Record<'memory' | 'numbers' | 'facts' | 'partials' | 'state' | 'sums', GPUBuffer>

export class DeviceKernel {
  private cargo?: ArrayBuffer

  /** By shader. */
  passes: readonly Pass[] = []

  constructor(
    private readonly gpu: GPUDevice,
    readonly buffers: Buffers,
    readonly tables: readonly GPUBuffer[],
  ) {}

  async run({ numbers, keys, shaders, partials, upload, download }: Run): Promise<Answer> {
    const { gpu, buffers } = this
    const { queue } = gpu
    if (upload) {
      const { buffer, first } = upload
      queue.writeBuffer(buffers.memory, 4 * first, buffer, 4 * first)
      this.cargo = buffer
    }
    queue.writeBuffer(buffers.numbers, 0, numbers as BufferSource)
    queue.writeBuffer(buffers.facts, 4 * KEYS_AT, keys as BufferSource)
    const encoder = gpu.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (const shader of shaders) {
      const found = this.passes[shader]
      if (!found) continue
      pass.setPipeline(found.pipeline)
      pass.setBindGroup(0, found.bindings)
      pass.dispatchWorkgroups(...found.groups)
    }
    pass.end()
    const { first, count } = partials
    if (count > 0) encoder.copyBufferToBuffer(buffers.partials, 4 * first, buffers.sums, 0, 4 * count)
    if (download) encoder.copyBufferToBuffer(buffers.memory, 0, buffers.state, 0, buffers.state.size)
    queue.submit([encoder.finish()])
    const answer: Answer = {}
    if (count > 0) answer.partials = await read(buffers.sums, 4 * count, (values) => values.slice())
    if (download && this.cargo) {
      const state = this.cargo
      await read(buffers.state, buffers.state.size, (values) => new Float32Array(state).set(values))
      answer.state = state
      this.cargo = undefined
    }
    return answer
  }

  close(): void {
    for (const each of [...Object.values(this.buffers), ...this.tables]) each.destroy()
  }
}

async function read<T>(buffer: GPUBuffer, bytes: number, take: (values: Float32Array) => T): Promise<T> {
  await buffer.mapAsync(GPUMapMode.READ, 0, bytes)
  const result = take(new Float32Array(buffer.getMappedRange(0, bytes)))
  buffer.unmap()
  return result
}
