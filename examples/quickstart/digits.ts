/** A network trained through a remote Adam session: gradients go out on a stream, parameters come back. */
import type { Client } from '../../clients/typescript/src/index.js'
import { loadDigits } from '../digits/data.js'
import { accuracy } from '../digits/network.js'
import type { PartResult, Report } from './part.js'
import { train } from './train.js'

const STEPS = 1000

export async function run(client: Client, report: Report): Promise<PartResult> {
  const { train: digits, test } = loadDigits()
  const curve = { name: 'training loss of the digits network', x: [] as number[], y: [] as number[] }
  let smooth = Math.log(10)
  const begin = performance.now()
  const { weights, session } = await train(
    client,
    digits,
    { method: 'adam', config: { learningRate: 0.003 }, width: 64, batch: 64, steps: STEPS },
    (step, loss) => {
      smooth = 0.95 * smooth + 0.05 * loss
      if (step % 10 === 0) {
        curve.x.push(step)
        curve.y.push(smooth)
        report({ done: step, total: STEPS, note: `loss ${smooth.toFixed(3)}` })
      }
      return true
    },
  )
  const seconds = (performance.now() - begin) / 1000
  return {
    session: session.name,
    curve,
    rows: [
      ['digits to learn from, held out', `${digits.count}, ${test.count}`],
      ['parameters on the server', String(Object.values(weights).reduce((n, part) => n + part.length, 0))],
      ['remote Adam steps', `${STEPS} in ${seconds.toFixed(1)} s`],
      ['held-out digits recognized', `${(100 * accuracy(weights, test)).toFixed(1)}%`],
    ],
  }
}
