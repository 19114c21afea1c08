/** What the queries of gradient methods want, and what was told of it. */
import type { Observation } from '../core/query.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import { elements, type TensorSpec, type Tensors } from '../core/tensor.js'
import type { Told } from './compose.js'
import type { Answer, Ask, Asked } from './drivers/driver.js'

const GRADIENT: readonly Asked[] = [{ kind: 'gradient' }]
export const wantsOf = ({ wants = GRADIENT }: Ask): readonly Asked[] => wants
/** Whether it asks the gradient of a step. */
export const asksGradient = (ask: Ask): boolean => !ask.aside && wantsOf(ask).some(({ kind }) => kind === 'gradient')

const signOf = ({ objectives }: Problem): 1 | -1 => (objectives[0].direction === 'maximize' ? -1 : 1)

/**
 * What was told, of a loss to minimize: negated where the objective is maximized. A tensor that was not told is zero. An
 * observation that lacks something wanted gives none.
 */
export function answerOf(observation: Observation, ask: Ask, problem: Problem): Answer | undefined {
  const { status, gradients, values, products, quantities } = observation
  const told = { gradient: gradients, value: values, hvp: products, quantities }
  if (status !== 'ok' || wantsOf(ask).some(({ kind }) => !told[kind])) return undefined
  const sign = signOf(problem)
  // A Fisher matrix is that of a distribution, whichever way the objective goes.
  const fisher = wantsOf(ask).some((want) => want.kind === 'hvp' && want.curvature === 'fisher')
  return {
    gradients: (gradients ?? []).map((gradient) => whole(gradient, sign, problem)),
    values: (values ?? []).map(([value]) => sign * value),
    products: (products ?? []).map((product) => whole(product, fisher ? 1 : sign, problem)),
    quantities: quantities ?? [],
  }
}

function whole(told: Tensors, sign: 1 | -1, { space }: Problem): Tensors {
  const of = ({ name, shape }: TensorSpec) => {
    const array = told[name] ?? new Float32Array(elements(shape))
    return sign < 0 ? array.map((value) => -value) : array
  }
  return Object.fromEntries((space as TensorsSpace).tensors.map((spec) => [spec.name, of(spec)]))
}

/** The values told with a gradient, negated where the objective is maximized. */
export function besides({ values, scores }: Observation, problem: Problem): Told {
  const sign = signOf(problem)
  // Without a number per example, the mean stands for all.
  const examples = scores ? (scores[0].examples ?? [scores[0].score]) : []
  return { value: values ? sign * values[0][0] : Number.NaN, examples: examples.map((value) => sign * value) }
}
