/**
 * Makes a method of one that asks for a gradient at a time. Of players, a gradient is the operator F of the game: each
 * tensor's part is that of its own player's loss.
 */
import type { Issue } from '../../core/errors.js'
import type { Method, Run } from '../../core/method.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Flat, spaceOf } from '../flat.js'
import { type Described, type Turns, type TurnsState, turnsMethod } from '../turns.js'

/** Where a gradient is wanted, and what for; each on a sample of its own unless a key says otherwise. */
export type Ask = {
  at: Float64Array
  purpose: string
  sampleKey?: string
  /** Whether the loss is wanted too. */
  value?: boolean
}

/** A method as data. Between an ask and its answer, `own` stays as it is. */
export type Steps<C, S extends Tree> = Omit<Described<C, S>, 'needs'> & {
  needs?: Described<C, S>['needs']
  ask(run: Run<C>, flat: Flat, own: S): Ask
  /** Takes the gradient of a loss to minimize, and the loss where it was wanted. */
  learn(run: Run<C>, flat: Flat, own: S, gradient: Float64Array, value?: number): void
  finished?: Turns<C, S>['finished']
}

export function stepsMethod<C, S extends Tree>(preset: Steps<C, S>): Method<C, TurnsState<S> & Tree> {
  return turnsMethod<C, S>({
    ...preset,
    family: 'gradient',
    needs: preset.needs ?? (() => ['gradient']),
    ask(run, flat, own) {
      const { at, purpose, sampleKey, value } = preset.ask(run, flat, own)
      return {
        points: [at],
        wants: value ? [{ kind: 'gradient' }, { kind: 'value' }] : [{ kind: 'gradient' }],
        purpose,
        sampleKey,
      }
    },
    learn(run, flat, own, { gradients, values }) {
      const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
      const told = values?.[0][0]
      const gradient = flat.vector(gradients![0]).map((g) => sign * g)
      preset.learn(run, flat, own, gradient, told === undefined ? undefined : sign * told)
    },
  })
}

/** What is wrong with names that should be tensors of the space. */
export function checkNames(names: readonly string[], problem: Problem, at: string): Issue[] {
  const known = new Set(spaceOf(problem).tensors.map(({ name }) => name))
  return names.flatMap((name, i) =>
    known.has(name) ? [] : [{ path: `${at}[${i}]`, message: `"${name}" is not a tensor of the space` }],
  )
}

/** What speaks against a space with bounds, for methods that keep to none. */
export function checkUnbounded(id: string, problem: Problem): Issue[] {
  const { low, high } = spaceOf(problem)
  if (low === undefined && high === undefined) return []
  return [{ path: low === undefined ? 'space.high' : 'space.low', message: `${id} keeps to no bounds` }]
}
