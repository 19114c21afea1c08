/**
 * A hard problem as the last of a sequence of easier ones: T. Liu, T. Yang, Q. Zhang, Q. Lei, "Optimization for Amortized
 * Inverse Problems", ICML 2023 (arXiv:2210.13983), section 3. The server sends the difficulty with every ask, in a tensor of
 * one element, and raises it when the stage is solved or its steps are used up. Each stage begins where the last ended; from
 * the last on, the rule goes on at the target.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements } from '../../core/tensor.js'
import { flatOfSpace, norm, spaceOf } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  parameter: field(
    z.string().default('lambda'),
    'Name of the tensor, of one element, that carries the difficulty. It is not optimized.',
    { source: 'ours' },
  ),
  from: real('Difficulty of the first stage.', { default: 1e-3, source: 'ours' }),
  to: real('Difficulty of the problem itself.', { default: 1, source: 'paper, section 3' }),
  schedule: field(
    z.enum(['geometric', 'linear', 'adaptive']).default('geometric'),
    'Difficulties in equal ratios, in equal differences, or by what the stages cost: a step twice as long after a stage ' +
      'that took less than a quarter of its steps, and half as long, from the last solution, after one that failed.',
    { source: 'ours' },
  ),
  stages: field(z.int().min(2).default(20), 'Stages N, of which the last is at the target; at the start if adaptive.', {
    source: 'ours',
  }),
  stageSteps: field(z.int().min(1).default(50), 'Most steps of a stage.', { source: 'ours' }),
  tolerance: real('A stage is solved when the norm of its gradient is at most this.', {
    default: 0,
    min: 0,
    source: 'ours',
  }),
}
type Config = PartConfig<typeof fields>

/** What the driver counts, among its reports. */
type Reports = { lambda: number; stage: number; stageSteps: number; increment: number }

/** An adaptive step is halved so often at most: behind that, a stage that failed passes for solved. */
const HALVINGS = 10

/** The difficulty of a stage, from 1 to `stages`. */
function difficulty({ from, to, schedule, stages }: Config, stage: number): number {
  if (stage >= stages) return to
  const share = (stage - 1) / (stages - 1)
  return schedule === 'geometric' ? from * (to / from) ** share : from + (to - from) * share
}

const reportsOf = ({ state }: Drive) => state.reports as Reports

function ask({ parameter }: Config, drive: Drive): Ask {
  drive.x[parameter][0] = reportsOf(drive).lambda
  return { point: 'x', purpose: 'step' }
}

/** Back to before a stage that failed, to try again closer. */
function retreat(drive: Drive, reports: Reports) {
  drive.copy(drive.state.points.solution, 'x')
  reports.lambda -= reports.increment
  reports.increment /= 2
  reports.lambda += reports.increment
}

/** Behind a stage that was solved or whose steps are used up. Where the target was reached, no increment is left. */
function nextStage(config: Config, drive: Drive, solved: boolean) {
  const { from, to, schedule, stages, stageSteps } = config
  const reports = reportsOf(drive)
  const used = reports.stageSteps
  const least = Math.abs(to - from) / (stages - 1) / 2 ** HALVINGS
  reports.stageSteps = 0
  if (schedule === 'adaptive' && !solved && reports.stage > 1 && Math.abs(reports.increment) > least)
    return retreat(drive, reports)
  if (reports.lambda === to) {
    reports.increment = 0
    return
  }
  reports.stage++
  if (schedule !== 'adaptive') {
    reports.lambda = difficulty(config, reports.stage)
    return
  }
  drive.copy(drive.x, 'solution')
  if (used < stageSteps / 4) reports.increment *= 2
  const next = reports.lambda + reports.increment
  const beyond = (next - to) * Math.sign(to - from) >= 0
  if (beyond) reports.increment = to - reports.lambda
  reports.lambda = beyond ? to : next
}

export const continuation = defineDriver({
  id: 'continuation',
  summary:
    'One gradient at the iterate per step, of a problem whose difficulty rises stage by stage and is told in a tensor of the ' +
    'space. Reports `lambda`, that difficulty, and `stage`; the estimate at the end of a stage is its solution.',
  fields,
  points: ({ schedule }) => (schedule === 'adaptive' ? ['solution'] : []),
  begin(config, drive) {
    const { from, to, stages } = config
    drive.state.reports = { lambda: from, stage: 1, stageSteps: 0, increment: (to - from) / (stages - 1) }
    if (config.schedule === 'adaptive') drive.copy(drive.x, 'solution')
    return ask(config, drive)
  },
  advance(config, drive, told) {
    const { parameter, tolerance, stageSteps } = config
    const gradient = { ...told, [parameter]: told[parameter].slice().fill(0) }
    const reports = reportsOf(drive)
    const underway = reports.increment !== 0
    // Where the gradient is that small, the step to come is one of the next stage.
    if (underway && norm(flatOfSpace(drive.space).vector(gradient)) <= tolerance) {
      nextStage(config, drive, true)
      return ask(config, drive)
    }
    drive.update(gradient)
    if (++reports.stageSteps >= stageSteps && underway) nextStage(config, drive, false)
    return ask(config, drive)
  },
  check({ parameter, from, to, schedule }, problem) {
    const issues: { field: string; message: string }[] = []
    const tensor = spaceOf(problem).tensors.find(({ name }) => name === parameter)
    if (!tensor || elements(tensor.shape) !== 1)
      issues.push({ field: 'parameter', message: `"${parameter}" is not a tensor of one element` })
    if (from === to) issues.push({ field: 'from', message: `expected another number than that of to, ${to}` })
    if (schedule === 'geometric' && !(from * to > 0))
      issues.push({ field: 'from', message: 'a geometric schedule needs two numbers other than 0, of one sign' })
    return issues
  },
})
