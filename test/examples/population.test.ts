/** The example, as a user would run it: a server process, real digits, a population whose members are gradient sessions. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../clients/typescript/src/index.js'
import { tune } from '../../examples/population/tune.js'
import { type StartedProcess, startProcess } from '../server-process.js'

let server: StartedProcess
let client: Client
beforeAll(async () => {
  server = await startProcess()
  client = new Client(server.target)
}, 60_000)
afterAll(async () => {
  client?.close()
  await server?.stop()
})

describe.each(['pbt', 'pb2'])('%s tunes the learning rate of gradient sessions', (method) => {
  it('forks the sessions of better members, and learns', async () => {
    const { intervals, best, test, schedule } = await tune(client, { method, intervals: 3, steps: 10 })
    expect(intervals).toHaveLength(12)
    const exploits = intervals.filter(({ purpose }) => purpose === 'exploit')
    expect(exploits.length).toBeGreaterThan(0)
    for (const { parent, steps, session, learningRate } of intervals.filter(({ purpose }) => purpose !== 'start')) {
      const from = intervals.find(({ trial }) => trial === parent)!
      expect(steps).toBe(from.steps + 10)
      const { forkedFrom, config } = await client.session(session).get()
      expect(forkedFrom.split('@')[0]).toBe(from.session)
      expect(config).toMatchObject({ learningRate })
    }
    for (const { parent, trial } of exploits) {
      const first = 4 * (Math.floor(trial / 4) - 1)
      const generation = intervals.slice(first, first + 4)
      const from = intervals.find((interval) => interval.trial === parent)!
      expect(from.accuracy).toBe(Math.max(...generation.map(({ accuracy }) => accuracy)))
    }
    expect(schedule).toHaveLength(best.steps / 10)
    // Better than any learning rate after its first interval, and on digits that no session has seen.
    const first = Math.max(...intervals.slice(0, 4).map(({ accuracy }) => accuracy))
    expect(best.accuracy).toBeGreaterThan(first)
    expect(test).toBeGreaterThan(best.accuracy - 0.1)
  }, 60_000)
})

it('trials carry their parents', async () => {
  const session = await client.createSession({
    method: 'pbt',
    space: { x: { type: 'float', low: 0, high: 1 } },
    config: { populationSize: 2 },
  })
  for (let i = 0; i < 4; i++) {
    const { queries } = await session.ask(1)
    await session.tell([{ queryId: queries[0].id, values: [queries[0].trial!] }])
  }
  const parents = []
  for await (const { number, parent } of session.trials()) parents.push([number, parent])
  expect(parents.slice(0, 2)).toEqual([
    [0, undefined],
    [1, undefined],
  ])
  for (const [number, parent] of parents.slice(2)) expect(parent).toBeLessThan(number as number)
})
