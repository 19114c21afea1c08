/** Lossy encodings against a real server process: Adam gets there, and the client's copy stays the session's. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedProcess, startProcess } from '../../../test/server-process.js'
import {
  type AsktellError,
  Client,
  ErrorFeedback,
  type FloatArray,
  float,
  HeldCopy,
  type Lossy,
  type StepResult,
  type Tensors,
  tensors,
} from '../src/index.js'

let server: StartedProcess
let client: Client

beforeAll(async () => {
  server = await startProcess()
  client = new Client(server.target, { retries: 20 })
})
afterAll(async () => {
  client.close()
  await server.stop()
})

const LOSSY: readonly Lossy[] = ['block-int8', 'sign', 'top-k']
const SIZES = { a: 300, b: 7 }
/** The gradient of sum_i c_i (x_i - y_i)^2 / 2, with c from 0.5 to 2 and y within 1 of 0. */
const at = (tensors: Tensors): Record<string, FloatArray> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, x]) => [name, x.map((v, i) => (0.5 + (i % 4) / 2) * (v - Math.sin(1 + i)))]),
  )
const worst = (tensors: Tensors) =>
  Math.max(...Object.values(tensors).map((x) => Math.max(...x.map((v, i) => Math.abs(v - Math.sin(1 + i))))))
const pointOf = ({ queries }: StepResult) => queries[0].points[0].tensors as Record<string, FloatArray>

type Encodings = { gradients?: Lossy[]; parameters?: Lossy[]; density?: number }
const started = (
  encodings?: Encodings,
  { learningRate = 0.05, steps = 400, durability = 'snapshot' as 'journal' | 'snapshot' } = {},
) =>
  client.createSession({
    method: 'adam',
    config: { learningRate, schedule: { id: 'linear', steps } },
    space: tensors({ a: new Float32Array(SIZES.a), b: new Float64Array(SIZES.b) }),
    durability,
    encodings,
  })

describe('Adam gets to the minimum of a quadratic', () => {
  it.each(LOSSY)('with gradients and deltas in %s', async (encoding) => {
    // Deltas of equal magnitude lag behind steps of very different ones: signs want shorter steps.
    const learningRate = encoding === 'sign' ? 0.02 : 0.05
    const encodings = { gradients: [encoding], parameters: [encoding], density: 0.1 }
    const session = await started(encodings, { learningRate, steps: 600 })
    const stream = session.stream({ encoding })
    let step = await stream.step()
    for (let i = 0; i < 600; i++)
      step = await stream.step({ observations: [{ queryId: step.queries[0].id, gradients: [at(pointOf(step))] }] })
    stream.close()
    const estimate = (await session.estimate()).points[0].point.tensors as Tensors
    expect(worst(estimate)).toBeLessThan(0.02)
    expect(worst(pointOf(step))).toBeLessThan(0.02)
  })
})

describe('a copy', () => {
  it('comes whole, then by deltas, and follows the parameters as they come to rest', async () => {
    const session = await started({ parameters: ['block-int8'] }, { steps: 20 })
    const held = new HeldCopy()
    let step = await session.step({ held, encoding: 'block-int8' })
    const first = held.version
    expect(first).toBeGreaterThan(0n)
    for (let i = 0; i < 20; i++) {
      const observations = [{ queryId: step.queries[0].id, gradients: [at(pointOf(step))] }]
      step = await session.step({ observations, held, encoding: 'block-int8' })
    }
    expect(held.version).toBe(first + 20n)
    // The learning rate has come to 0: deltas are now what the last ones left out.
    for (let i = 0; i < 3; i++) {
      const observations = [{ queryId: step.queries[0].id, gradients: [at(pointOf(step))] }]
      step = await session.step({ observations, held, encoding: 'block-int8' })
    }
    const estimate = (await session.estimate()).points[0].point.tensors as Tensors
    for (const [name, x] of Object.entries(pointOf(step)))
      x.forEach((v, i) => {
        expect(Math.abs(v - estimate[name][i])).toBeLessThan(2e-7)
      })
  })

  it('comes whole again after a lost answer, and after a restart', async () => {
    const session = await started({ parameters: ['sign'] }, { durability: 'journal' })
    const held = new HeldCopy()
    let step = await session.step({ omitTensors: true })
    const ask = async () => {
      const observations = [{ queryId: step.queries[0].id, status: 'cancelled' as const }]
      step = await session.step({ observations, held, encoding: 'sign' })
      return pointOf(step)
    }
    await ask()
    const lost = held.version
    await ask()
    expect(held.version).toBe(lost + 1n)
    held.version = lost
    const whole = await ask()
    expect([lost, lost + 1n, lost + 2n]).not.toContain(held.version)
    expect(whole.a).toEqual(((await session.estimate()).points[0].point.tensors as Tensors).a)
    const before = held.version
    const { stateHash } = await session.get()
    await server.restart()
    expect((await session.get()).stateHash).toBe(stateHash)
    await ask()
    expect(held.version).not.toBe(before + 1n)
    const fork = await session.fork()
    expect(fork.info?.encodings).toEqual(session.info?.encodings)
  })

  it('follows in plain floats too, without being agreed on', async () => {
    const session = await started()
    const held = new HeldCopy()
    let step = await session.step({ held, encoding: 'bf16' })
    for (let i = 0; i < 50; i++) {
      const observations = [{ queryId: step.queries[0].id, gradients: [at(pointOf(step))] }]
      step = await session.step({ observations, held, encoding: 'bf16' })
    }
    const { a } = (await session.estimate()).points[0].point.tensors as Tensors
    // A delta is at most a step, 0.05, and bf16 rounds it by 2^-9 of that.
    pointOf(step).a.forEach((x, i) => {
      expect(Math.abs(x - a[i])).toBeLessThan(0.05 * 2 ** -8)
    })
  })
})

describe('what is not agreed on', () => {
  const refusal = async (call: Promise<unknown>) => {
    const error = (await call.then(
      () => undefined,
      (error) => error,
    )) as AsktellError
    return [error.reason, error.issues.map(({ path }) => path)]
  }

  it('is refused when the session is created', async () => {
    const create = (encodings: object, more: object = {}) =>
      client.createSession({ method: 'adam', space: tensors({ w: new Float32Array(2) }), encodings, ...more })
    expect(await refusal(create({ gradients: ['f16'] }))).toEqual([
      'INVALID_ARGUMENT',
      ['session.encodings.gradients[0]'],
    ])
    await expect(create({ parameters: ['zip'] })).rejects.toThrow('expected one of f32')
    const body = { session: { method: 'adam', space: { tensors: {} }, encodings: { parameters: ['DTYPE_SIGN', 99] } } }
    const answer = await fetch(`${server.url}/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    expect((await answer.json()).errors[0].path).toBe('session.encodings.parameters[1]')
    expect(await refusal(create({ density: 0 }))).toEqual(['INVALID_ARGUMENT', ['session.encodings.density']])
    const search = { method: 'random', space: { x: float(0, 1) } }
    expect(await refusal(create({ parameters: ['sign'] }, search))).toEqual([
      'INVALID_ARGUMENT',
      ['session.encodings.parameters[0]'],
    ])
    const ranked = { method: 'zo-rank-sgd' }
    expect(await refusal(create({ gradients: ['sign'] }, ranked))).toEqual([
      'INVALID_ARGUMENT',
      ['session.encodings.gradients'],
    ])
  })

  it('is refused when it comes or is asked for, and changes nothing', async () => {
    const session = await started({ gradients: ['sign'], parameters: ['top-k'] })
    expect(Object.values({ ...(await session.get()).encodings, $typeName: '' })).toEqual(['', [6], [7]])
    const { queries, revision } = await session.step()
    const tell = (gradient: Parameters<ErrorFeedback['encode']>[0], encoding: Lossy) =>
      session.tell({ queryId: queries[0].id, gradients: [new ErrorFeedback(encoding).encode(gradient)] })
    const zeros = { a: new Float32Array(SIZES.a), b: new Float64Array(SIZES.b) }
    expect(await refusal(tell(zeros, 'block-int8'))).toEqual([
      'OBSERVATION_INVALID',
      ['observations[0].gradients[0].tensors[0].dtype'],
    ])
    expect(await refusal(tell({ ...zeros, a: new Float32Array(SIZES.a + 1) }, 'sign'))).toEqual([
      'OBSERVATION_INVALID',
      ['observations[0].gradients[0].tensors[0].length'],
    ])
    expect(await refusal(session.step({ encoding: 'top-k' }))).toEqual(['INVALID_ARGUMENT', ['encoding']])
    expect(await refusal(session.step({ encoding: 'sign', held: new HeldCopy() }))).toEqual([
      'INVALID_ARGUMENT',
      ['encoding'],
    ])
    expect(await refusal(session.estimate('top-k'))).toEqual(['INVALID_ARGUMENT', ['encoding']])
    expect(Number((await session.get()).revision)).toBe(revision)
  })

  it('a gradient that is no number leaves nothing behind', () => {
    const feedback = new ErrorFeedback('sign')
    feedback.encode({ w: Float32Array.of(1, 3) })
    expect(() => feedback.encode({ w: Float32Array.of(1, Number.NaN) })).toThrow('gradient w[1]')
    expect(() => feedback.encode({ w: Float64Array.of(1e39, 0) })).toThrow('gradient w[0]')
    // 1 - 2 and 3 - 2 were left; with these they are 2 and 2.
    const { data } = feedback.encode({ w: Float32Array.of(3, 1) }).tensors[0]
    expect(new DataView(data.buffer, data.byteOffset).getFloat32(0, true)).toBe(2)
  })
})

it('large gradients travel in pieces on a stream', async () => {
  const n = 1_200_128
  const session = await client.createSession({
    method: 'sgd',
    config: { learningRate: 1 },
    space: tensors({ w: new Float32Array(n) }),
    encodings: { gradients: ['block-int8'], parameters: ['block-int8'] },
  })
  const stream = session.stream({ encoding: 'block-int8' })
  const { queries } = await stream.step()
  const w = Float32Array.from({ length: n }, (_, i) => (i % 255) - 127)
  const step = await stream.step({ observations: [{ queryId: queries[0].id, gradients: [{ w }] }] })
  stream.close()
  const moved = pointOf(step).w
  for (let i = 0; i < n; i += 997) expect(moved[i]).toBeCloseTo(-w[i], 3)
})

it('error feedback has the bits that the Python client is tested with', () => {
  const golden = JSON.parse(readFileSync(new URL('../../../test/golden/encodings.json', import.meta.url), 'utf8'))
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
  expect(golden.feedback).toHaveLength(3)
  for (const { encoding, density, steps } of golden.feedback) {
    const feedback = new ErrorFeedback(encoding, density)
    for (const { values, data } of steps) {
      const w = new Float32Array(bytes(values).buffer)
      expect(feedback.encode({ w }).tensors[0].data, encoding).toEqual(bytes(data))
    }
  }
})
