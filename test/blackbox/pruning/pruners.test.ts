import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pruner as asha } from '../../../src/blackbox/pruning/asha.js'
import { pruner as median } from '../../../src/blackbox/pruning/median.js'
import type { AnyPruner } from '../../../src/core/pruner.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Direction } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

const pruners: Record<string, AnyPruner> = { asha, median }
/** A report [trial, step, value, decision], null being NaN, or an end [trial, status]. */
type Entry = [number, number, number | null, boolean] | [number, 'ok' | 'pruned' | 'failed']
const { cases } = JSON.parse(readFileSync(new URL('../golden/pruning.json', import.meta.url), 'utf8')) as {
  cases: { pruner: string; config: object; direction: Direction; events: Entry[] }[]
}

function start(pruner: AnyPruner, config: object, direction: Direction = 'minimize') {
  const run = { config: parseConfig(pruner.config, config), direction }
  let state: Tree = pruner.init(run)
  return {
    report(trial: number, step: number, value: number): boolean {
      const outcome = pruner.step(run, state, { type: 'report', trial, step, value })
      state = decodeTree(encodeTree(outcome.state))
      expect(outcome.decision.reason).not.toBe('')
      return outcome.decision.prune
    },
    finish(trial: number, status: 'ok' | 'pruned' | 'failed') {
      state = pruner.step(run, state, { type: 'finished', trial, status }).state
    },
  }
}

describe('pruners', () => {
  it.each(cases.map((c) => [`${c.pruner} ${JSON.stringify(c.config)} ${c.direction}`, c] as const))(
    "decides as Optuna's on 40 noisy trials, four at a time: %s",
    (_, { pruner, config, direction, events }) => {
      const { report, finish } = start(pruners[pruner], config, direction)
      events.forEach((entry, i) => {
        if (entry.length === 2) finish(entry[0], entry[1])
        else expect(report(entry[0], entry[1], entry[2] ?? Number.NaN), `event ${i}`).toBe(entry[3])
      })
      expect(events.filter((entry) => entry[3] === true).length).toBeGreaterThan(5)
    },
  )

  it('median: judges by the best value so far, not the last', () => {
    const { report, finish } = start(median, { nStartupTrials: 1 })
    for (const [step, value] of [5, 5, 5].entries()) report(0, step, value)
    finish(0, 'ok')
    expect([report(1, 0, 4), report(1, 1, 9), report(1, 2, 9)]).toEqual([false, false, false])
    expect(report(2, 0, 6)).toBe(true)
  })

  it('median: the first report of a step stands', () => {
    const { report, finish } = start(median, { nStartupTrials: 1 })
    report(0, 1, 5)
    report(0, 1, 100)
    finish(0, 'ok')
    expect(report(1, 1, 50)).toBe(true)
  })

  it('asha: of nine trials that end the first rung in turn from bad to good, all go on; from good to bad, the first', () => {
    const rising = start(asha, { reductionFactor: 3 })
    const falling = start(asha, { reductionFactor: 3 })
    const trials = Array.from({ length: 9 }, (_, i) => i)
    expect(trials.map((i) => falling.report(i, 1, 9 - i))).toEqual(trials.map(() => false))
    expect(trials.map((i) => rising.report(i, 1, i))).toEqual(trials.map((i) => i > 0))
  })

  it('asha: a report far ahead ends several rungs at once', () => {
    const { report } = start(asha, { reductionFactor: 2 })
    report(0, 8, 0)
    expect([1, 2, 4, 8].map((step) => report(1, step, 1))).toEqual([true, true, true, true])
    expect(report(2, 8, -1)).toBe(false)
  })
})
