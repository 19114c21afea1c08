import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pruners as catalogue } from '../../../src/blackbox/catalogue.gen.js'
import { bracketSizes } from '../../../src/blackbox/pruning/hyperband.js'
import { signedRankTest } from '../../../src/blackbox/pruning/signed-rank.js'
import type { AnyPruner } from '../../../src/core/pruner.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Direction } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

const pruners = new Map(catalogue.map((pruner) => [pruner.id, pruner]))
const get = (id: string) => pruners.get(id) as AnyPruner
type Status = 'ok' | 'pruned' | 'failed'
/** A report [trial, step, value, decision], null being NaN, or an end [trial, status, value]. */
type Entry = [number, number, number | null, boolean] | [number, Status, number?]
const golden = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8')) as {
  cases: { pruner: string; config: object; direction: Direction; events: Entry[] }[]
  signedRank: { differences: number[]; p: number }[]
}

function start(id: string, config: object = {}, direction: Direction = 'minimize') {
  const pruner = get(id)
  const run = { config: parseConfig(pruner.config, config), direction }
  expect(pruner.check?.(run.config) ?? []).toEqual([])
  let state: Tree = pruner.init(run)
  return {
    report(trial: number, step: number, value: number): boolean {
      const outcome = pruner.step(run, state, { type: 'report', trial, step, value })
      state = decodeTree(encodeTree(outcome.state))
      expect(outcome.decision.reason).not.toBe('')
      return outcome.decision.prune
    },
    finish(trial: number, status: Status = 'ok', value?: number) {
      state = pruner.step(run, state, { type: 'finished', trial, status, value }).state
    },
  }
}
/** A trial that reports these values at steps 0, 1, ...: the decisions. */
const reports = ({ report }: ReturnType<typeof start>, trial: number, values: number[]) =>
  values.map((value, step) => report(trial, step, value))

describe("Optuna's decisions on 40 noisy trials, four at a time", () => {
  it.each(golden.cases.map((c) => [`${c.pruner} ${JSON.stringify(c.config)} ${c.direction}`, c] as const))(
    '%s',
    (_, { pruner, config, direction, events }) => {
      const { report, finish } = start(pruner, config, direction)
      events.forEach((entry, i) => {
        if (entry.length === 4) expect(report(entry[0], entry[1], entry[2] ?? Number.NaN), `event ${i}`).toBe(entry[3])
        else finish(entry[0], entry[1], entry[2])
      })
      expect(events.filter((entry) => entry[3] === true).length).toBeGreaterThan(5)
    },
  )
})

describe('median and percentile', () => {
  it('judge by the best value so far, not the last', () => {
    const session = start('median', { nStartupTrials: 1 })
    reports(session, 0, [5, 5, 5])
    session.finish(0)
    expect(reports(session, 1, [4, 9, 9])).toEqual([false, false, false])
    expect(session.report(2, 0, 6)).toBe(true)
  })

  it('the first report of a step stands', () => {
    const { report, finish } = start('median', { nStartupTrials: 1 })
    report(0, 1, 5)
    report(0, 1, 100)
    finish(0)
    expect(report(1, 1, 50)).toBe(true)
  })

  it('a percentile lies between its neighbours: of 1, 2, 3, 5 the 25th is 1.75, the median 2.5, the 100th 5', () => {
    for (const [percentile, bound] of [
      [25, 1.75],
      [50, 2.5],
      [0, 1],
      [100, 5],
    ]) {
      const { report, finish } = start('percentile', { percentile, nStartupTrials: 4 })
      for (const [trial, value] of [5, 1, 3, 2].entries()) {
        report(trial, 0, value)
        finish(trial)
      }
      expect([report(10, 0, bound), report(11, 0, bound + 0.01)]).toEqual([false, true])
    }
  })

  it('to maximize, the best quarter is the upper one: of 1, 2, 3, 5 the bound is 3.5', () => {
    const { report, finish } = start('percentile', { nStartupTrials: 4 }, 'maximize')
    for (const [trial, value] of [5, 1, 3, 2].entries()) {
      report(trial, 0, value)
      finish(trial)
    }
    expect([report(10, 0, 3.5), report(11, 0, 3.4)]).toEqual([false, true])
  })
})

describe('threshold', () => {
  it('stops what is outside the limits or NaN; the limits themselves are inside', () => {
    const { report } = start('threshold', { lower: 0, upper: 1 })
    expect([0, 1, 0.5, -0.1, 1.1, Number.NaN].map((value, trial) => report(trial, 1, value))).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ])
  })

  it('judges the first report in each interval after the warm-up', () => {
    const session = start('threshold', { upper: 0, nWarmupSteps: 2, intervalSteps: 3 })
    const judged = reports(session, 0, Array(9).fill(1)).flatMap((prune, step) => (prune ? [step] : []))
    expect(judged).toEqual([2, 5, 8])
  })
})

describe('patient', () => {
  it('alone: stops when patience + 1 reports are all worse than the best before them by more than minDelta', () => {
    const values = [3, 1, 2, 1.2, 1.5, 1.6]
    expect(reports(start('patient', { patience: 1 }), 0, values)).toEqual([false, false, false, true, true, true])
    expect(reports(start('patient', { patience: 1, minDelta: 0.2 }), 0, values)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ])
    expect(reports(start('patient', { patience: 3 }), 0, values)).toEqual([false, false, false, false, false, true])
  })

  it('equal values are no worse', () => {
    expect(reports(start('patient', { patience: 0 }), 0, [1, 1, 1])).toEqual([false, false, false])
  })

  it('around another pruner: stops where both agree, and the other one sees all reports', () => {
    const wrapped = { method: 'median', config: { nStartupTrials: 1 } }
    const session = start('patient', { patience: 0, wrapped })
    reports(session, 0, [1, 1, 1, 1])
    session.finish(0)
    // The median alone stops trial 1 at once; it improves until its last report.
    expect(reports(session, 1, [9, 8, 7, 7.5])).toEqual([false, false, false, true])
    // Patience alone stops trial 2 at its second report; it is better than the median.
    expect(reports(session, 2, [0.1, 0.2, 0.3])).toEqual([false, false, false])
  })
})

describe('asha', () => {
  it('of nine trials that end the first rung in turn from bad to good, all go on; from good to bad, the first', () => {
    const rising = start('asha', { reductionFactor: 3 })
    const falling = start('asha', { reductionFactor: 3 })
    const trials = Array.from({ length: 9 }, (_, i) => i)
    expect(trials.map((i) => falling.report(i, 1, 9 - i))).toEqual(trials.map(() => false))
    expect(trials.map((i) => rising.report(i, 1, i))).toEqual(trials.map((i) => i > 0))
  })

  it('a report far ahead ends several rungs at once', () => {
    const { report } = start('asha', { reductionFactor: 2 })
    report(0, 8, 0)
    expect([1, 2, 4, 8].map((step) => report(1, step, 1))).toEqual([true, true, true, true])
    expect(report(2, 8, -1)).toBe(false)
  })
})

describe('successive halving', () => {
  const config = { nTrials: 9, reductionFactor: 3 }

  it('runs on while its fate is open, and stops once as many were better as go on', () => {
    const { report } = start('successive-halving', config)
    // Three of nine go on from the first rung.
    expect([9, 8, 7, 6].map((value, trial) => report(trial, 1, value))).toEqual([false, false, false, false])
    // Trial 0 learns at its next report that 8, 7 and 6 were better; trial 1 does not know yet.
    expect([report(0, 2, 0), report(1, 2, 0)]).toEqual([true, false])
    // One more takes the last place; trial 2 is third, and trials 5 to 8 may be better.
    expect([report(4, 1, 1), report(1, 3, 0), report(2, 2, 0)]).toEqual([false, true, false])
  })

  it('a rung counts only those that are certain to be in it', () => {
    const { report } = start('successive-halving', config)
    for (const [trial, value] of [10, 11, 12].entries()) report(trial, 1, value)
    // At the end of the second rung, from which one goes on, 0 is better than 1, but may not get there.
    expect([report(0, 3, 1), report(1, 3, 2)]).toEqual([false, false])
    for (let trial = 3; trial < 9; trial++) report(trial, 1, 20 + trial)
    expect([report(1, 4, 0), report(0, 4, 0)]).toEqual([true, false])
  })

  it('trials that fail or report NaN leave their places to others; one that ends early counts with its value', () => {
    const { report, finish } = start('successive-halving', { nTrials: 4, reductionFactor: 2 })
    report(0, 1, 3)
    expect(report(1, 1, Number.NaN)).toBe(false)
    report(2, 0, 0)
    finish(2, 'failed')
    report(3, 0, 1)
    finish(3, 'ok', 5)
    // 0 and 3 go on, and 0 is the best at the end of the second rung.
    expect([report(1, 2, 0), report(0, 2, 4)]).toEqual([true, false])
  })

  it('leaves the survivors of synchronous halving, in whatever order trials report', () => {
    const trials = Array.from({ length: 27 }, (_, trial) => trial)
    const value = (trial: number, step: number) => Math.sin(13 * trial * (1 + Math.log(step)))
    let survivors = trials
    for (const step of [1, 3, 9])
      survivors = [...survivors].sort((a, b) => value(a, step) - value(b, step)).slice(0, survivors.length / 3)
    for (const stride of [1, 5, 11]) {
      const { report } = start('successive-halving')
      const running = new Set(trials)
      const at = new Map(trials.map((trial) => [trial, 0]))
      // Each trial of the order goes a few steps further in turn.
      for (let turn = 0; running.size > 1 && turn < 10_000; turn++) {
        const trial = (turn * stride) % 27
        if (!running.has(trial)) continue
        for (let more = 1 + (turn % 3); more > 0 && running.has(trial); more--) {
          const step = (at.get(trial) as number) + 1
          at.set(trial, step)
          if (report(trial, step, value(trial, step))) running.delete(trial)
        }
      }
      expect([...running]).toEqual(survivors)
    }
  })
})

describe('hyperband', () => {
  it('has the brackets of algorithm 1: for R = 81, eta = 3 those of 81, 34, 15, 8 and 5 trials', () => {
    expect(bracketSizes(1, 81, 3)).toEqual([81, 34, 15, 8, 5])
    // 243 = 3^5, whose logarithm in floating point is below 5.
    expect(bracketSizes(1, 243, 3)).toHaveLength(6)
    expect(bracketSizes(5, 9, 3)).toEqual([1])
  })

  it('fills the brackets in turn: R = 4, eta = 2 has those of 4, 3 and 3 trials, whose first rungs end at 1, 2 and 4', () => {
    expect(bracketSizes(1, 4, 2)).toEqual([4, 3, 3])
    for (const [first, end] of [
      [0, 1],
      [4, 2],
      [7, 4],
      [10, 1],
    ]) {
      const { report } = start('hyperband', { maxResource: 4, reductionFactor: 2 })
      expect(report(first, end, 0)).toBe(false)
      const decisions = [1, 2, 3, 4].map((step) => report(first + 1, step, 1))
      expect(decisions.indexOf(true)).toBe(end - 1)
    }
  })

  it('without maxResource stops nothing until a trial is complete, whose steps are then a full run', () => {
    const { report, finish } = start('hyperband', { reductionFactor: 2 })
    for (let step = 0; step < 4; step++) report(0, step, 0)
    expect([report(1, 1, 1), report(1, 2, 1), report(2, 1, 2)]).toEqual([false, false, false])
    finish(2, 'failed')
    expect(report(1, 3, 1)).toBe(false)
    finish(0)
    report(3, 1, 0)
    expect(report(1, 4, 1)).toBe(true)
  })
})

describe('wilcoxon', () => {
  it.each(golden.signedRank.map((c) => [`${c.differences.length}: p = ${c.p}`, c] as const))(
    'has the p-value of SciPy for %s',
    (_, { differences, p }) => expect(signedRankTest(differences)).toBeCloseTo(p, 12),
  )

  it('p-values by hand', () => {
    // Of 8 signs of the ranks 1, 2, 3 one has a sum of 6, two have 5 or more, five have 3 or more.
    expect(signedRankTest([0.1, 0.2, 0.3])).toBe(1 / 8)
    expect(signedRankTest([-0.1, 0.2, 0.3])).toBe(2 / 8)
    expect(signedRankTest([-0.1, -0.2, 0.3])).toBe(5 / 8)
    // Ties: ranks 1.5, 1.5, 3; a sum of 4.5 or more: both signs of one 1.5.
    expect(signedRankTest([-1, 1, 2])).toBe(3 / 8)
    expect(signedRankTest([0, 0, 0])).toBe(1)
    // Exact with ties up to 50 differences too: 20 of one sign and size.
    expect(signedRankTest(Array(20).fill(1))).toBe(2 ** -20)
  })

  it('stops a trial that is worse on the same instances, in any order, after four of them', () => {
    const session = start('wilcoxon')
    reports(session, 0, [10, 20, 30, 40, 50])
    session.finish(0, 'ok', 30)
    // All n worse has p = 2^-n, first below 0.1 at n = 4; their mean has to be worse as well.
    expect([4, 3, 2, 1].map((step, i) => session.report(1, step, 10 * (step + 1) + i + 1))).toEqual([
      false,
      false,
      false,
      true,
    ])
    expect([0, 1, 2, 3].map((step) => session.report(2, step, 10 * (step + 1) + 1))).toEqual([
      false,
      false,
      false,
      // Worse on each of four, but of a better mean than 30: the easy instances came first.
      false,
    ])
  })

  it('compares with the best complete trial, not the last; steps that it has not are left out', () => {
    const session = start('wilcoxon', {}, 'maximize')
    reports(session, 0, [5, 5, 5, 5])
    session.finish(0, 'ok', 5)
    reports(session, 1, [1, 1, 1, 1])
    session.finish(1, 'ok', 1)
    reports(session, 2, [9, 9, 9, 9])
    session.finish(2, 'failed')
    expect(reports(session, 3, [2, 3, 2, 3])).toEqual([false, false, false, true])
    expect([7, 8, 9, 10].map((step) => session.report(4, step, 0))).toEqual([false, false, false, false])
  })
})

describe('a config that cannot work is refused, with the place', () => {
  const issues = (id: string, config: object) => {
    const pruner = get(id)
    const parsed = parseConfig(pruner.config, config)
    return (pruner.check?.(parsed) ?? []).map(({ field }) => field)
  }
  it.each([
    ['threshold', {}, ['lower']],
    ['threshold', { lower: 2, upper: 1 }, ['lower']],
    ['threshold', { lower: 1, upper: 1 }, []],
    ['hyperband', { minResource: 9, maxResource: 3 }, ['maxResource']],
    ['hyperband', { bootstrapCount: 2 }, ['bootstrapCount']],
    ['successive-halving', { nTrials: 2, reductionFactor: 3 }, ['nTrials']],
    ['patient', { wrapped: { method: 'threshold' } }, ['wrapped.config.lower']],
    ['patient', { wrapped: { method: 'median' } }, []],
  ])('%s %j', (id, config, fields) => expect(issues(id, config)).toEqual(fields))

  it.each([
    ['percentile', { percentile: 101 }, 'config.percentile'],
    ['wilcoxon', { pThreshold: -1 }, 'config.pThreshold'],
    ['patient', { wrapped: { method: 'percentile', config: { percentile: -1 } } }, 'config.wrapped.config.percentile'],
    ['patient', { wrapped: { method: 'patient' } }, 'config.wrapped.method'],
  ])('%s %j', (id, config, path) => expect(() => issues(id, config)).toThrow(`${path}: `))
})
