/** What is particular to the webgpu engine: float32 on a device, in a thread of its own. */
import { beforeAll, expect, test } from 'vitest'
import type { AsktellError } from '../../../src/core/errors.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { engineFor, loadEngine, probeEngine } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { Program, RuleSource } from '../../../src/optimizers/language/program.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { of, Session, vectors } from '../session.js'
import { spec } from './compare.js'
import { findVulkan } from './vulkan.js'

beforeAll(async () => {
  await findVulkan()
  await loadEngine('webgpu')
})

const rule = (text: string, slots: RuleSource['slots'] = {}): Program =>
  compileRule({ text, slots, hyperparameters: [] })
const on = (program: Program, g: Tensors, t = 1) => {
  const manifest = Object.entries(g).map(([name, { length }]) => spec(name, length))
  const kernel = engineFor('webgpu').compile(program, manifest, 'f32')
  const { x, slots } = kernel.allocate()
  kernel.run({ x, slots, inputs: { g }, scalars: { t }, seed: 7 })
  return { x, slots, reports: kernel.reports() }
}

test('functions are within a few units in the last place, whatever the device has of them', () => {
  const inputs = Float32Array.from({ length: 4001 }, (_, i) => Math.sinh((i - 2000) / 200) / 250)
  const wide = Float32Array.from({ length: 1501 }, (_, i) => (i - 700) / 8)
  const cases = {
    exp: [wide, 88],
    log: [inputs, 1e9],
    tanh: [inputs, 1e9],
    sin: [inputs, 1e9],
    cos: [inputs, 1e9],
  } as const
  for (const [fn, [values, most]] of Object.entries(cases)) {
    const g = { a: values.filter((value) => Math.abs(value) <= most) }
    const found = on(rule(`x = ${fn}(g)`), g).x.a
    for (const [i, value] of g.a.entries()) {
      const right = Math[fn as 'exp'](value)
      // What is denormal may be zero; sines lose what their argument loses to a multiple of pi.
      const slack = fn === 'sin' || fn === 'cos' ? 1e-7 * (1 + Math.abs(value) / 10) : 2 ** -126
      if (!Object.is(found[i], right))
        expect(Math.abs(found[i] - right), `${fn}(${value})`).toBeLessThanOrEqual(slack + 5e-7 * Math.abs(right))
    }
  }
})

test('what is not finite is what float64 makes of it', () => {
  const g = { a: Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -2, 200) }
  for (const fn of ['exp', 'log', 'tanh', 'sqrt', 'sin', 'isfinite', 'sign', 'abs'] as const) {
    const program = rule(`x = ${fn}(g)`)
    const manifest = [spec('a', 6)]
    const reference = engineFor('interpreter').compile(program, manifest, 'f64')
    const { x, slots } = reference.allocate()
    reference.run({ x, slots, inputs: { g }, scalars: { t: 1 } })
    const expected = Array.from(x.a, Math.fround)
    const found = Array.from(on(program, g).x.a)
    expected.forEach((value, i) => {
      if (Number.isFinite(value)) expect(found[i], `${fn}(${g.a[i]})`).toBeCloseTo(value, 6)
      else expect(found[i], `${fn}(${g.a[i]})`).toBe(value)
    })
  }
})

test('norms whose squares leave the range of f32', () => {
  const program = rule('report n = norm(g, all)\nreport d = dot(g, g/2, all)\nreport z = dot(g, 0*g, all)\nx = g')
  for (const scale of [1e30, 1e-30, 1]) {
    const g = { a: Float32Array.from({ length: 10_001 }, (_, i) => scale * Math.sin(i + 1)) }
    const squares = g.a.reduce((sum, value) => sum + value * value, 0)
    const { n, d, z } = on(program, g).reports
    expect(n / Math.sqrt(squares)).toBeCloseTo(1, 5)
    expect(d / (squares / 2)).toBeCloseTo(1, 5)
    expect(z).toBe(0)
  }
})

test('more workgroups than WebGPU takes in one direction', () => {
  const names = Array.from({ length: 66_000 }, (_, k) => `t${k}`)
  const g = Object.fromEntries(names.map((name, k) => [name, Float32Array.of(k)]))
  const { x } = on(rule('x = g*size'), g)
  expect(names.every((name, k) => x[name][0] === k)).toBe(true)
})

test('many rows, and more sums than are joined at once', () => {
  const lines = ['r = rowMean(g)', 'x = r']
  for (let k = 1; k <= 6; k++) lines.push(`report n${k} = norm(g + ${k}, all)`)
  const rows = 5003
  const g = { a: Float32Array.from({ length: 2 * rows }, (_, i) => i % 1000) }
  const manifest = [spec('a', rows, 2)]
  const kernel = engineFor('webgpu').compile(rule(lines.join('\n')), manifest, 'f32')
  const { x, slots } = kernel.allocate()
  kernel.run({ x, slots, inputs: { g }, scalars: { t: 1 } })
  expect(x.a.every((value, i) => value === 2 * Math.floor((i % 1000) / 2) + 0.5)).toBe(true)
  for (let k = 1; k <= 6; k++) {
    const norm = Math.sqrt(g.a.reduce((sum, value) => sum + (value + k) ** 2, 0))
    expect(kernel.reports()[`n${k}`] / norm).toBeCloseTo(1, 5)
  }
})

test('the same bits on every run, also of sums', () => {
  const program = rule('n = norm(g)\nx = g/n + sum(g, all) + normal()')
  const g = { a: Float32Array.from({ length: 50_001 }, (_, i) => Math.sin(i * i)), b: Float32Array.of(1, 2, 3) }
  const [first, second] = [on(program, g), on(program, g)]
  expect(second.x).toEqual(first.x)
})

test('a session goes on from its state with the same bits', () => {
  const config = { precision: 'f32', learningRate: 0.1, transforms: [{ id: 'clip-norm', threshold: 1 }] }
  const walk = of((x) => Array.from(x, (value, i) => (i + 1) * value))
  const make = () => new Session(adam, vectors([1, -2, 3]), { config, engine: 'webgpu' })
  const whole = make().steps(10, walk)
  const restarted = make().steps(4, walk)
  restarted.restart()
  expect(restarted.steps(6, walk).x).toEqual(whole.x)
})

test('a state that changed between two runs is seen', () => {
  const program = rule('m = m + g\nx = x - m', { m: { kind: 'tensor' } })
  const kernel = engineFor('webgpu').compile(program, [spec('a', 3)], 'f32')
  const { x, slots } = kernel.allocate()
  const run = () => kernel.run({ x, slots, inputs: { g: { a: Float32Array.of(1, 2, 3) } }, scalars: { t: 1 } })
  run()
  run()
  expect([...x.a, ...slots.m.a]).toEqual([-3, -6, -9, 2, 4, 6])
  slots.m.a[1] = 10
  run()
  expect([...x.a, ...slots.m.a]).toEqual([-6, -18, -18, 3, 12, 9])
})

test('float64 and what no buffer holds are refused', () => {
  const program = rule('x = x - g')
  const refused = (act: () => unknown, path: string, message: RegExp) => {
    let error: AsktellError | undefined
    try {
      act()
    } catch (thrown) {
      error = thrown as AsktellError
    }
    expect(error?.reason).toBe('METHOD_UNSUITABLE')
    expect(error?.issues[0]).toMatchObject({ path, message: expect.stringMatching(message) })
  }
  refused(() => engineFor('webgpu').compile(program, [spec('a', 3)], 'f64'), 'config.precision', /computes in float32/)
  const large = engineFor('webgpu').compile(program, [spec('a', 2 ** 31)], 'f32')
  refused(() => large.allocate(), 'space.tensors', /at most .* GiB/)
})

test('without a device the engine says so', async () => {
  const { VK_DRIVER_FILES } = process.env
  try {
    process.env.VK_DRIVER_FILES = '/nowhere.json'
    await expect(probeEngine('webgpu')).rejects.toMatchObject({
      reason: 'UNSUPPORTED',
      message: expect.stringContaining('it finds no adapter'),
    })
  } finally {
    if (VK_DRIVER_FILES === undefined) delete process.env.VK_DRIVER_FILES
    else process.env.VK_DRIVER_FILES = VK_DRIVER_FILES
  }
})
