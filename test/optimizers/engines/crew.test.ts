/** What threads of a crew do that fail: modules with a trap and with a loop without end stand for them. */
import { afterEach, expect, test } from 'vitest'
import { Crew } from '../../../src/optimizers/engines/wasm/crew.js'

const TYPES = [0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 4, 127, 127, 127, 127, 0, 3, 2, 1, 0]
const EXPORT = [7, 10, 1, 6, ...Buffer.from('work 0'), 0, 0]
const module = (...code: number[]) =>
  new WebAssembly.Module(Uint8Array.of(...TYPES, ...EXPORT, 10, code.length + 4, 1, code.length + 2, 0, ...code, 11))
const NOTHING = module()
const TRAP = module(0)
const ENDLESS = module(3, 64, 12, 0, 11)

const crews: Crew[] = []
afterEach(() => {
  for (const crew of crews.splice(0)) crew.dismiss()
})

const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** Runs jobs of a module until one fails; the caller's part takes a while, so that others take part. */
function untilFailure(crew: Crew, module: WebAssembly.Module): unknown {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const kernel = crew.kernel({ module, memory, address: {} }, [() => pause(5)], {})
  for (let jobs = 0; jobs < 1000; jobs++)
    try {
      crew.run(kernel, { work: 0, begin: 0, end: 20, chunk: 1, a: 0, b: 0 })
    } catch (error) {
      return error
    }
  return undefined
}

test.each([
  ['traps', TRAP, 60_000],
  ['does not end', ENDLESS, 200],
])('a thread that %s fails the job; the next has new threads', async (_, module, longestWait) => {
  const crew = new Crew(2, () => false, longestWait)
  crews.push(crew)
  for (let time = 0; time < 2; time++) {
    expect(String(untilFailure(crew, module))).toContain('a thread of the wasm engine has failed')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const done: number[] = []
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const kernel = crew.kernel({ module: NOTHING, memory, address: {} }, [(from) => done.push(from)], {})
  crew.run(kernel, { work: 0, begin: 0, end: 7, chunk: 2, a: 0, b: 0 })
  expect(done.every((from) => [0, 2, 4, 6].includes(from))).toBe(true)
})

test('where cores are taken, the caller works alone', () => {
  const crew = new Crew(2, () => true)
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const done: number[][] = []
  const kernel = crew.kernel({ module: TRAP, memory, address: {} }, [(...job) => done.push(job)], {})
  crew.run(kernel, { work: 0, begin: 3, end: 9, chunk: 2, a: 5, b: 7 })
  expect(done).toEqual([[3, 9, 5, 7]])
})

test("what the caller's own part throws comes out, and the crew goes on", () => {
  const crew = new Crew(1, () => false)
  crews.push(crew)
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
  const job = { work: 0, begin: 0, end: 3, chunk: 1, a: 0, b: 0 }
  const kernel = crew.kernel(
    { module: NOTHING, memory, address: {} },
    [
      () => {
        throw new RangeError('out of range')
      },
    ],
    {},
  )
  expect(() => crew.run(kernel, job)).toThrow('out of range')
  crew.run({ ...kernel, works: [() => {}] }, job)
})
