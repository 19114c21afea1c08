/** What every pruner of the catalogues promises (core/pruner.ts), whatever its rule. */
import { describe, expect, it } from 'vitest'
import { pruners as blackbox } from '../../src/blackbox/catalogue.gen.js'
import type { AnyPruner, PrunerEvent } from '../../src/core/pruner.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { jsonSchema, parseConfig } from '../../src/core/schema.js'
import type { Direction } from '../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../src/core/tree.js'
import { pruners as optimizers } from '../../src/optimizers/catalogue.gen.js'

const pruners = [...optimizers, ...blackbox]

const TRIALS = 40
const STEPS = 27
const ALL = Array.from({ length: TRIALS }, (_, trial) => trial)

/**
 * Trials that run one after another, four at a time: trial i's value at step s is a falling part plus its own level, which
 * grows. The level of the best trial is 0.
 */
const level = (trial: number) => ((trial * 17) % TRIALS) / 4
const curve = (trial: number, step: number) => level(trial) * (1 + step / 10) + 2 / step

/** The defaults or, where they judge nothing, the pruner's recipe. */
const configOf = (pruner: AnyPruner) => parseConfig(pruner.config, pruner.recipe ?? {})

type Options = {
  direction?: Direction
  negate?: boolean
  restart?: boolean
  wild?: boolean
  trials?: readonly number[]
}
type Log = { trace: string[]; pruned: Map<number, number>; reasons: string[] }

function run(pruner: AnyPruner, options: Options = {}): Log {
  const { direction = 'minimize', negate = false, restart = false, wild = false, trials = ALL } = options
  const sign = negate ? -1 : 1
  const config = configOf(pruner)
  const rng = new Rng(rngStream(1, 'pruners'))
  let state: Tree = pruner.init({ config, direction })
  const log: Log = { trace: [], pruned: new Map(), reasons: [] }
  const step = (event: PrunerEvent) => {
    const outcome = pruner.step({ config, direction }, state, event)
    state = outcome.state as Tree
    const bytes = encodeTree(state)
    if (restart) state = decodeTree(bytes)
    log.trace.push(`${JSON.stringify(outcome.decision)} ${Buffer.from(bytes).toString('base64')}`)
    return outcome.decision
  }
  const waiting = trials.map((trial) => ({ trial, at: 0 }))
  const running = waiting.splice(0, 4)
  while (running.length > 0) {
    const slot = rng.integer(running.length)
    const job = running[slot]
    job.at++
    const value = sign * curve(job.trial, job.at)
    const { prune, reason } = step({ type: 'report', trial: job.trial, step: job.at, value })
    if (prune) {
      log.pruned.set(job.trial, job.at)
      log.reasons.push(reason)
    }
    if (!prune && job.at < STEPS) continue
    const statuses = ['failed', 'infeasible', 'cancelled'] as const
    const status = prune ? 'pruned' : wild && rng.uniform() < 0.5 ? statuses[rng.integer(3)] : 'ok'
    step({ type: 'finished', trial: job.trial, status, ...(status === 'ok' ? { value } : {}) })
    running.splice(slot, 1, ...waiting.splice(0, 1))
  }
  return log
}

describe.each(pruners.map((pruner) => [pruner.id, pruner] as const))('%s', (_, pruner) => {
  it('is described: title, summary, and a schema with words and defaults for every field', () => {
    expect(pruner.title).not.toBe('')
    expect(pruner.summary).not.toBe('')
    const schema = jsonSchema(pruner.config) as { properties?: Record<string, { description?: string }> }
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      expect(property.description, `description of ${name}`).toBeTruthy()
    expect(() => parseConfig(pruner.config, { noSuchField: 1 })).toThrow('noSuchField')
    expect(pruner.check?.(configOf(pruner)) ?? []).toEqual([])
  })

  it('the same events give the same decisions, also across restarts', () => {
    expect(run(pruner, { restart: true }).trace).toEqual(run(pruner).trace)
  })

  const { judgedBy } = pruner.facts
  if (judgedBy === 'limits')
    it('judges values as they are told, whichever way the objective is optimized', () => {
      expect([...run(pruner, { direction: 'maximize' }).pruned]).toEqual([...run(pruner).pruned])
    })
  else
    it('maximizing the negated values gives the same decisions', () => {
      expect([...run(pruner, { direction: 'maximize', negate: true }).pruned]).toEqual([...run(pruner).pruned])
    })

  it('stops trials that do badly, says why, and lets the best one end', () => {
    const { pruned, reasons } = run(pruner)
    expect(pruned.size).toBeGreaterThanOrEqual(TRIALS / 4)
    expect(pruned.has(0)).toBe(false)
    for (const reason of reasons) expect(reason).not.toBe('')
    const mean = (trials: number[]) => trials.reduce((sum, t) => sum + level(t), 0) / trials.length
    const kept = ALL.filter((t) => !pruned.has(t))
    expect(mean([...pruned.keys()])).toBeGreaterThan(mean(kept))
  })

  if (judgedBy === 'trials')
    it('never stops a trial that has nothing to be compared with', () => {
      const config = configOf(pruner)
      let state: Tree = pruner.init({ config, direction: 'minimize' })
      for (let step = 1; step <= 100; step++) {
        const event: PrunerEvent = { type: 'report', trial: 0, step, value: step }
        const outcome = pruner.step({ config, direction: 'minimize' }, state, event)
        state = outcome.state as Tree
        expect(outcome.decision.prune).toBe(false)
      }
    })
  else
    it('judges a trial by itself: without the other trials the decisions are the same', () => {
      const { pruned } = run(pruner)
      for (const trial of ALL) {
        const alone = run(pruner, { trials: [trial] }).pruned
        expect(alone.get(trial), `trial ${trial}`).toBe(pruned.get(trial))
      }
    })

  it('takes trials that end in any way, repeated and skipped steps, and trials that it never saw', () => {
    run(pruner, { wild: true })
    const config = configOf(pruner)
    let state: Tree = pruner.init({ config, direction: 'minimize' })
    const events: PrunerEvent[] = [
      { type: 'finished', trial: 9, status: 'failed' },
      { type: 'report', trial: 1, step: 5, value: 1 },
      { type: 'report', trial: 1, step: 5, value: 2 },
      { type: 'report', trial: 1, step: 3, value: 1 },
      { type: 'report', trial: 2, step: 0, value: -1e300 },
      { type: 'finished', trial: 1, status: 'ok', value: 0 },
      { type: 'report', trial: 1, step: 9, value: 1 },
    ]
    for (const event of events) state = pruner.step({ config, direction: 'minimize' }, state, event).state as Tree
    expect(encodeTree(decodeTree(encodeTree(state)))).toEqual(encodeTree(state))
  })
})
