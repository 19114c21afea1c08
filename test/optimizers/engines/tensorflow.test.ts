import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blocksOf } from '../../../src/optimizers/engines/blocks.js'
import type { Graph } from '../../../src/optimizers/engines/graph.js'
import { engineFor, loadEngine } from '../../../src/optimizers/engines/index.js'
import { tensorShape } from '../../../src/optimizers/engines/shapes.js'
import { loadTensorFlow } from '../../../src/optimizers/engines/tensorflow/package.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { Domain } from '../../../src/optimizers/language/program.js'
import { spec } from './compare.js'

beforeAll(async () => {
  await loadEngine('tensorflow')
})

describe('the package', () => {
  const directory = mkdtempSync(join(tmpdir(), 'asktell-tensorflow-'))
  afterAll(() => rmSync(directory, { recursive: true }))
  /** A module beside which packages with these texts are installed. */
  function beside(name: string, packages: { [name: string]: string }): string {
    for (const [id, text] of Object.entries(packages)) {
      const at = join(directory, name, 'node_modules', id)
      mkdirSync(at, { recursive: true })
      writeFileSync(join(at, 'package.json'), JSON.stringify({ name: id, main: 'index.js' }))
      writeFileSync(join(at, 'index.js'), text)
    }
    return join(directory, name, 'main.js')
  }
  const real = JSON.stringify(createRequire(import.meta.url).resolve('@tensorflow/tfjs'))
  const working = `module.exports = require(${real})`

  test('none: what to install', async () => {
    await expect(loadTensorFlow(beside('none', {}))).rejects.toThrow(/npm install @tensorflow\/tfjs-node \(CPU\)/)
  })
  test('a binary that is missing: what the package says', async () => {
    const text = "throw new Error('The native addon module can not be found')"
    const broken = beside('missing', { '@tensorflow/tfjs-node': text, '@tensorflow/tfjs': working })
    await expect(loadTensorFlow(broken)).rejects.toThrow(
      /tfjs-node is installed and does not run: Error: The native addon module can not be found/,
    )
  })
  test('a binary that ends the process that loads it', async () => {
    const broken = beside('crash', { '@tensorflow/tfjs-node-gpu': "process.kill(process.pid, 'SIGILL')" })
    await expect(loadTensorFlow(broken)).rejects.toThrow(/tfjs-node-gpu is installed and does not run: .*SIGILL/)
  })
  test('the next that works is taken, and says why', async () => {
    const packages = { '@tensorflow/tfjs-node-gpu': "throw new Error('no CUDA')", '@tensorflow/tfjs-node': working }
    const { tf, about } = await loadTensorFlow(beside('next', packages))
    expect(tf.getBackend()).toBe('cpu')
    expect(about).toMatch(/^@tensorflow\/tfjs-node 4.*no CUDA$/)
  })
})

describe('blocks', () => {
  const shapes = [spec('a', 2, 3), spec('b', 10), spec('e', 0), spec('c', 4)].map(tensorShape)
  const cut = (domains: Domain[], most: number) =>
    blocksOf({ nodes: domains.map((domain) => ({ domain })) } as unknown as Graph, shapes, most).map(
      ({ size, first, pieces, shape }) => [
        first,
        size,
        pieces.map(({ tensor, from, to }) => `${tensor}:${from}-${to}`).join(' '),
        shape.tensor.join('x'),
      ],
    )
  test('tensors are one array where nothing tells them apart', () => {
    expect(cut(['tensor', 'global'], 8)).toEqual([
      [0, 8, '0:0-6 1:0-2', '8'],
      [8, 8, '1:2-10', '8'],
      [16, 4, '3:0-4', '4'],
    ])
  })
  test('numbers per tensor keep tensors apart, rows and columns keep them whole', () => {
    expect(cut(['tensor', 'scalar'], 8)).toEqual([
      [0, 6, '0:0-6', '6'],
      [6, 8, '1:0-8', '8'],
      [14, 2, '1:8-10', '2'],
      [16, 4, '3:0-4', '4'],
    ])
    expect(cut(['tensor', 'row'], 4)).toEqual([
      [0, 6, '0:0-6', '1x2x3'],
      [6, 10, '1:0-10', '10'],
      [16, 4, '3:0-4', '4'],
    ])
  })
})

describe('the kernel', () => {
  const run = (text: string, g: number[], engine: 'tensorflow' | 'interpreter' = 'tensorflow') => {
    const program = compileRule({ text, slots: {}, hyperparameters: [] })
    const kernel = engineFor(engine).compile(program, [spec('w', g.length)], 'f32')
    const { x, slots } = kernel.allocate()
    kernel.run({ x, slots, inputs: { g: { w: Float32Array.from(g) } }, scalars: { t: 1 }, seed: 99 })
    return { x: [...x.w], reports: kernel.reports() }
  }

  test('refuses float64, which TensorFlow.js has not', () => {
    const program = compileRule({ text: 'x = g', slots: {}, hyperparameters: [] })
    expect(() => engineFor('tensorflow').compile(program, [spec('w', 2)], 'f64')).toThrow(/computes in float32/)
  })
  test('norms and products hold where float32 squares do not', () => {
    for (const size of [1e-30, 1e-42, 1e25]) {
      const { norm, dot } = run('report norm = norm(g, all)\nreport dot = dot(g, g, all)\nx = g', [
        3 * size,
        4 * size,
      ]).reports
      expect(norm / (5 * size)).toBeCloseTo(1, 2)
      expect(dot / (25 * size * size)).toBeCloseTo(1, 2)
    }
  })
  test('random fields are those of every engine', () => {
    for (const field of ['normal', 'uniform', 'rademacher', 'exponential']) {
      const text = `a = ${field}()\nx = ${field}() + 2*a`
      const expected = run(text, new Array(33).fill(0), 'interpreter').x
      run(text, new Array(33).fill(0)).x.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i], 5)
      })
    }
  })
  test('many elements are cut into blocks that agree with the whole', () => {
    const count = 2 ** 20 + 12_345
    const program = compileRule({
      text: 'x = x + g/norm(g)\nreport most = max(g, all)',
      slots: {},
      hyperparameters: [],
    })
    const kernel = engineFor('tensorflow').compile(program, [spec('w', count)], 'f32')
    const { x, slots } = kernel.allocate()
    const g = { w: Float32Array.from({ length: count }, (_, i) => (i % 5) - 2) }
    kernel.run({ x, slots, inputs: { g }, scalars: { t: 1 } })
    const norm = Math.sqrt(g.w.reduce((sum, value) => sum + value * value, 0))
    for (const i of [0, 2 ** 20 - 1, 2 ** 20, count - 1]) expect(x.w[i]).toBeCloseTo(g.w[i] / norm, 9)
    expect(kernel.reports()).toEqual({ most: 2 })
  })
  test('leaves no tensor behind', async () => {
    const { tf } = await loadTensorFlow()
    run('x = x + g/norm(g)', [1, 2])
    expect(tf.memory().numTensors).toBe(0)
  })
})
