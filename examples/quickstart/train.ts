/** Trains a network on digits through a remote gradient session: gradients go out, parameters come back. */
import type { Client, Session } from '../../clients/typescript/src/index.js'
import { tensors } from '../../clients/typescript/src/index.js'
import type { Digits } from '../digits/data.js'
import {
  accuracy,
  batchAt,
  initialWeights,
  lossAndGradient,
  shapes,
  type Weights,
  zerosLike,
} from '../digits/network.js'

export type Training = {
  method: string
  config: Record<string, number | boolean>
  width: number
  batch: number
  steps: number
}

/** Calls `onStep` after every step with its loss; stops early when that returns false. */
export async function train(
  client: Client,
  digits: Digits,
  { method, config, width, batch, steps }: Training,
  onStep?: (step: number, loss: number, weights: Weights) => Promise<boolean | undefined> | boolean | undefined,
): Promise<{ weights: Weights; session: Session }> {
  const start = initialWeights(width)
  const shape = shapes(width)
  const space = tensors(
    Object.fromEntries(
      Object.entries(start).map(([name, values]) => [name, { values, shape: shape[name as keyof Weights] }]),
    ),
  )
  const session = await client.createSession({
    method,
    space,
    config,
    // A lost step costs less than a journal of every gradient: the server snapshots, and names the step to resume from.
    durability: 'snapshot',
    displayName: `digits, ${method}, ${width} hidden units`,
    offers: ['gradient'],
  })
  const stream = session.stream()
  const gradient = zerosLike(start)
  let { queries } = await stream.step()
  let weights = start
  for (let step = 0; step < steps; step++) {
    const [query] = queries
    weights = query.points[0].tensors as unknown as Weights
    const loss = lossAndGradient(weights, digits, batchAt(step, batch, digits.count), gradient)
    ;({ queries } = await stream.step({ observations: [{ queryId: query.id, gradients: [gradient] }] }))
    if (onStep && (await onStep(step + 1, loss, weights)) === false) break
  }
  weights = (queries[0]?.points[0].tensors as unknown as Weights) ?? weights
  stream.close()
  await session.update({ state: 'done' })
  return { weights, session }
}

export { accuracy }
