import { ErrorFeedback, HeldCopy } from './lossy.js'
import { isMessage, type Observation, type StepResult } from './query.js'
import type { StepOptions, StreamOptions } from './session.js'
import type { Tensors } from './tensors.js'

type Send = (options: StepOptions) => Promise<StepResult>

/** Steps whose tensors travel in an encoding, with what that needs to be remembered between them. */
export function encodedSteps(send: Send, encoding: StreamOptions['encoding'], density?: number): Send {
  if (encoding === undefined) return send
  const { gradients, parameters } =
    typeof encoding === 'string' ? { gradients: encoding, parameters: encoding } : encoding
  const feedback = gradients && new ErrorFeedback(gradients, density)
  const held = parameters && new HeldCopy()
  /** Of queries that have no answer yet. */
  const purposes = new Map<string, string>()
  const encoded = (o: Observation): Observation => {
    const purpose = purposes.get(o.queryId ?? '')
    purposes.delete(o.queryId ?? '')
    const encode = (gradient: Tensors, point: number) => feedback?.encode(gradient, `${purpose} ${point}`) ?? gradient
    return { ...o, gradients: o.gradients?.map((g, point) => (isMessage(g) ? g : encode(g, point))) }
  }
  return async (options) => {
    const result = await send({
      encoding: parameters,
      held,
      ...options,
      observations: options.observations?.map(encoded),
    })
    for (const { id, purpose } of result.queries) purposes.set(id, purpose)
    return result
  }
}
