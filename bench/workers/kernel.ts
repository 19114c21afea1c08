/**
 * The wasm engine on the rule of the preset `adam`, answering the lines that the peers answer. Argument: "norm" when the
 * gradient's norm is reported, as sessions do by default; "bf16" or "int8" for moments in fewer bytes. Then the threads, where they
 * are not all.
 */
import { openSync, readSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Tensors } from '../../src/core/tensor.js'
import { NOTHING_TOLD } from '../../src/optimizers/compose.js'
import type { Kernel, KernelState } from '../../src/optimizers/engines/engine.js'
import { loadEngines, useThreads } from '../../src/optimizers/engines/index.js'
import { packingOf } from '../../src/optimizers/packing.js'
import { adam, method } from '../../src/optimizers/presets/adam.js'
import { kernelOf, program } from '../../src/optimizers/step-program.js'

const [, , option = '', threads] = process.argv
if (threads) useThreads(Number(threads))
await loadEngines()

const stateDtype = ['bf16', 'int8'].includes(option) ? option : 'full'
const config = method.config.parse({ reportNorm: option === 'norm', stateDtype })

class Adam {
  private readonly kernel: Kernel
  private readonly scalars
  readonly g: Tensors
  private readonly state: KernelState
  private t = 0

  constructor(elements: number) {
    const tensors = [{ name: 'w', shape: [elements], dtype: 'f32' as const }]
    const space = { kind: 'tensors' as const, tensors }
    const composition = program(adam.rule, config, space)
    this.kernel = kernelOf(composition, tensors, 'wasm', 'f32', packingOf(adam.rule, config, space))
    this.scalars = composition.scalars
    this.state = this.kernel.allocate()
    this.g = this.kernel.inputBuffer('g')
  }

  get x() {
    return this.state.x
  }

  step() {
    const { learningRate } = config
    const t = ++this.t
    const at = {
      t,
      learningRate,
      rateSum: t * learningRate,
      restart: false,
      uniform: 0.5,
      told: NOTHING_TOLD,
      reports: {},
    }
    this.kernel.run({ ...this.state, inputs: { g: this.g }, scalars: { ...this.scalars(at), t }, seed: t })
  }
}

let current: Adam | undefined

const commands: { [name: string]: (...args: string[]) => void } = {
  alloc(elements) {
    current = undefined
    current = new Adam(Number(elements))
    const g = current.g.w
    for (let i = 0; i < g.length; i++) g[i] = 1e-3 * ((i % 2003) - 1001)
  },
  run(steps) {
    for (let k = Number(steps); k > 0; k--) current!.step()
  },
  check(input, output, elements, steps) {
    const adam = new Adam(Number(elements))
    const file = openSync(input, 'r')
    const read = (to: Tensors) => readSync(file, to.w as Float32Array)
    read(adam.x)
    for (let k = Number(steps); k > 0; k--) {
      read(adam.g)
      adam.step()
    }
    writeFileSync(output, adam.x.w as Float32Array)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = line.split(' ')
  const begun = performance.now()
  commands[command](...args)
  console.log((performance.now() - begun) / 1000)
}
