import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { until } from '../../src/server/call.js'

const reason = () => new Error('stopped')

it('a stream that may be stopped keeps none of the items that have passed', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const passed: WeakRef<object>[] = []
  async function* source() {
    for (let i = 0; i < 100; i++) yield { i }
  }
  for await (const item of until(source(), new AbortController().signal, reason)) {
    passed.push(new WeakRef(item))
    if (passed.length < 100) continue
    await new Promise((resolve) => setTimeout(resolve))
    collect()
    expect(passed.filter((ref) => ref.deref()).length).toBeLessThan(5)
  }
  expect(passed).toHaveLength(100)
})

it('a stream stops in the middle of a wait, and between two items', async () => {
  const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<number>>(() => {}) }) }
  const waiting = new AbortController()
  const next = until(never, waiting.signal, reason).next()
  waiting.abort()
  await expect(next).rejects.toThrow('stopped')

  async function* numbers() {
    yield 1
    yield 2
  }
  const between = new AbortController()
  const stream = until(numbers(), between.signal, reason)
  expect(await stream.next()).toEqual({ value: 1, done: false })
  between.abort()
  await expect(stream.next()).rejects.toThrow('stopped')
})
