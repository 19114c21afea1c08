/**
 * Guan, Li, Shi, Meng, "XGrad: Boosting Gradient-Based Optimizers With Weight Prediction", 2023, algorithm 1.
 *
 * Gradients are asked at x - lr*s*d, where d is the direction of the rule's last step: what its state says, which for SGD is
 * the momentum and for Adam m/(1 - beta1^t)/(sqrt(v/(1 - beta2^t)) + eps). Decoupled weight decay is not part of it.
 */
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, defineDriver } from './driver.js'

const fields = {
  steps: real('Steps s to look ahead; 0 is the rule by itself.', { default: 1, min: 0, source: 'section 4.1' }),
}
type Config = PartConfig<typeof fields>

/** x + s*(x - before)*lr/rate: the last step at the learning rate of the next. */
const predict = ({ steps }: Config, rate: number): Piece => ({
  text: 'x = rate > 0 ? w + s*lr/rate*(w - x) : w',
  inputs: ['w'],
  scalars: () => ({ s: steps, rate }),
})

const ask: Ask = { point: 'predicted', purpose: 'step' }

export const xgrad = defineDriver({
  id: 'xgrad',
  summary: 'One gradient per step, at the point where the rule is expected to be some steps later.',
  fields,
  points: () => ['predicted'],
  begin(_, drive) {
    drive.copy(drive.x, 'predicted')
    return ask
  },
  advance(config, drive, gradient) {
    const { learningRate } = drive
    drive.copy(drive.x, 'predicted')
    drive.decay('predicted')
    drive.update(gradient)
    drive.run(predict(config, learningRate), 'predicted', { w: drive.x }, { project: true })
    return ask
  },
})
