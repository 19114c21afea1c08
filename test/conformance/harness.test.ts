/** The harness catches what it is there to catch: methods with one fault each. */
import { describe, expect, it } from 'vitest'
import { method as random } from '../../src/blackbox/sampling/random.js'
import type { AnyMethod, Outcome } from '../../src/core/method.js'
import type { Query } from '../../src/core/query.js'
import { problem } from '../problems/index.js'
import { BrokenContract, type Options, play } from './harness.js'

/** Random search whose outcomes are tampered with. */
const faulty = (tamper: (outcome: Outcome<unknown>, memo: Map<string, unknown>) => Outcome<unknown>): AnyMethod => ({
  ...(random as AnyMethod),
  step: (run, state, events) => tamper((random as AnyMethod).step(run, state, events), run.memo),
})
const faultyQuery = (tamper: (query: Query) => Query) =>
  faulty((outcome) => ({ ...outcome, queries: outcome.queries.map(tamper) }))
const run = (method: AnyMethod, options: Partial<Options> = {}, name = 'branin') =>
  play(method, {}, problem(name), { maxEvaluations: 20, width: 2, ...options })

describe('the harness', () => {
  it('lets a sound method pass', () => {
    expect(run(random).evaluations).toBe(20)
    expect(run(random, { restart: true }).trace).toEqual(run(random).trace)
  })

  it.each<[string, AnyMethod, string]>([
    ['an id twice', faultyQuery((q) => ({ ...q, id: 'q' })), 'was used before'],
    ['a want beyond its needs', faultyQuery((q) => ({ ...q, wants: [{ kind: 'gradient' }] })), 'not among its needs'],
    [
      'a point outside of the space',
      faultyQuery((q) => ({ ...q, points: [{ kind: 'params', params: { x1: 99, x2: 0 } }] })),
      'outside of the space: params.x1',
    ],
    [
      'a point that lacks a parameter',
      faultyQuery((q) => ({ ...q, points: [{ kind: 'params', params: { x1: 0 } }] })),
      'outside of the space: params.x2',
    ],
    ['fewer queries than wanted without a word', faulty((o) => ({ ...o, queries: o.queries.slice(1) })), 'no word why'],
    [
      'no queries at all',
      faulty((o) => ({ ...o, queries: [], short: { reason: 'tired', until: 'never' } })),
      'nothing is open',
    ],
    [
      'more queries than wanted',
      faulty((o) => ({
        ...o,
        queries: o.queries.flatMap((q) => [q, { ...q, id: `${q.id}b` }, { ...q, id: `${q.id}c` }]),
      })),
      'queries for a capacity',
    ],
    [
      'a view without a hook',
      faultyQuery((q) => ({ ...q, points: [{ kind: 'view', name: 'x' }] })),
      'without a view hook',
    ],
  ])('catches %s', (_, method, message) => {
    expect(() => run(method)).toThrow(BrokenContract)
    expect(() => run(method)).toThrow(message)
  })

  it('catches state that cannot be stored', () => {
    const method = faulty((o) => ({ ...o, state: { ...(o.state as object), when: new Date(0) } }))
    expect(() => run(method)).toThrow('state at state.when: Date is not a plain record')
  })

  it('shows what is remembered outside of the state: a restart changes the trace', () => {
    const forgetful = faulty((outcome, memo) => {
      const count = ((memo.get('count') as number) ?? 0) + 1
      memo.set('count', count)
      return { ...outcome, queries: outcome.queries.map((q) => ({ ...q, purpose: `${count}` })) }
    })
    expect(run(forgetful, { restart: true }).trace).not.toEqual(run(forgetful).trace)
  })

  it('shows dependence on values: a bent objective changes what is asked', () => {
    const greedy: AnyMethod = {
      ...(random as AnyMethod),
      step(r, state, events) {
        const outcome = (random as AnyMethod).step(r, state, events)
        const told = events.find((e) => e.type === 'observation')
        const value = told?.type === 'observation' ? (told.observation.values?.[0]?.[0] ?? 0) : 0
        return { ...outcome, queries: outcome.queries.map((q) => ({ ...q, purpose: `${value}` })) }
      },
    }
    const bent = problem('branin', { transform: Math.cbrt })
    const plain = run(greedy).asked
    expect(play(greedy, {}, bent, { maxEvaluations: 20, width: 2 }).asked).not.toBe(plain)
    expect(play(random, {}, bent, { maxEvaluations: 20, width: 2 }).asked).toBe(run(random).asked)
  })

  it('injects faults: every status is met, and answers come out of order', () => {
    const statuses = new Set<string>()
    const order: number[] = []
    const spy: AnyMethod = {
      ...(random as AnyMethod),
      step(r, state, events) {
        for (const event of events)
          if (event.type === 'observation') {
            statuses.add(event.observation.status)
            order.push(event.query.trial!)
          }
        return (random as AnyMethod).step(r, state, events)
      },
    }
    run(spy, { faults: ['failed', 'infeasible', 'pruned', 'cancelled'], maxEvaluations: 200, width: 4 })
    expect([...statuses].sort()).toEqual(['cancelled', 'failed', 'infeasible', 'ok', 'pruned'])
    expect(order).not.toEqual([...order].sort((a, b) => a - b))
  })
})
