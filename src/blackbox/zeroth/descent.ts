/** Lets any gradient method of the catalogue take the steps along estimates of a gradient: a session within a session. */
import { z } from 'zod'
import { AsktellError, type Issue } from '../../core/errors.js'
import type { AnyMethod, Run } from '../../core/method.js'
import { field, parseConfig } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { methods } from '../../optimizers/catalogue.gen.js'
import type { Flat } from '../../optimizers/flat.js'

const byId = new Map<string, AnyMethod>(methods.map((method) => [method.id, method]))

export const optimizer = field(
  z.strictObject({ id: z.string().default('sgd'), config: z.record(z.string(), z.unknown()).default({}) }).prefault({}),
  'The gradient method that steps along the estimates: its id and its config.',
  { source: 'ours' },
)
export type Optimizer = { optimizer: z.infer<typeof optimizer> }

/** The inner session: the state of the gradient method, and its config and memo within those of the outer one. */
function inner({ config, problem, engine, memo }: Run<Optimizer>): { method: AnyMethod; run: Run<unknown> } {
  const method = byId.get(config.optimizer.id) as AnyMethod
  let run = memo.get('descent') as Run<unknown> | undefined
  if (!run) {
    const objectives = [{ name: problem.objectives[0].name, direction: 'minimize' as const }]
    run = {
      config: parseConfig(method.config, config.optimizer.config),
      problem: { ...problem, objectives },
      engine,
      memo: new Map(),
    }
    memo.set('descent', run)
  }
  return { method, run }
}

export function checkOptimizer({ optimizer: { id, config } }: Optimizer, problem: Problem): Issue[] {
  const method = byId.get(id)
  const at = 'config.optimizer'
  if (!method) return [{ path: `${at}.id`, message: `there is no gradient method "${id}"` }]
  try {
    const parsed = parseConfig(method.config, config, `${at}.config`) as { driver?: { id: string } }
    // Presets have a driver, and the view `x` that the iterate is read from.
    if (parsed.driver?.id !== 'step' || method.needs(parsed, problem).some((want) => want !== 'gradient'))
      return [
        {
          path: `${at}.config.driver`,
          message: 'expected a rule that asks for nothing but the gradient at the iterate, by "step"',
        },
      ]
    return (method.check?.(parsed, problem) ?? []).map(({ path, message }) => ({
      path: path.startsWith('config') ? `${at}.${path}` : path,
      message,
    }))
  } catch (error) {
    if (!(error instanceof AsktellError)) throw error
    return [...error.issues]
  }
}

export function startDescent(run: Run<Optimizer>, seed: number): Tree {
  const { method, run: within } = inner(run)
  return method.step(within, method.init(within, seed), [{ type: 'capacity', count: 1 }]).state
}

/** The state after a step along an estimate, which answers the open query. */
export function descend(run: Run<Optimizer>, state: Tree, flat: Flat, gradient: Float64Array): Tree {
  const { method, run: within } = inner(run)
  const queryId = (state as { open: string }).open
  const query = { id: queryId, points: [], wants: [] }
  const observation = { queryId, status: 'ok' as const, gradients: [flat.tensors(gradient)] }
  return method.step(within, state, [{ type: 'observation', query, observation }]).state
}

/** The iterate. */
export function iterate(run: Run<Optimizer>, state: Tree, flat: Flat): Float64Array {
  const { method, run: within } = inner(run)
  return flat.vector(method.view!(within, state, 'x'))
}
