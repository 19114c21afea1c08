/**
 *     npx asktell serve
 *     npm run build && node dist/examples/population/main.js [pbt | pb2] [target]
 */
import { Client } from '../../clients/typescript/src/index.js'
import { tune } from './tune.js'

const [method = 'pbt', target = '127.0.0.1:7337'] = process.argv.slice(2)
const client = new Client(target)
const percent = (share: number) => `${(100 * share).toFixed(1)}%`
const { test, schedule } = await tune(client, { method, populationSize: 6, intervals: 8, steps: 50 }, (interval) =>
  process.stdout.write(
    `trial ${interval.trial}, ${interval.purpose}${interval.parent === undefined ? '' : ` from ${interval.parent}`}: ` +
      `learning rate ${interval.learningRate.toPrecision(2)}, ${percent(interval.accuracy)} after ${interval.steps} steps\n`,
  ),
)
process.stdout.write(
  `${percent(test)} of the test digits, by the learning rates ${schedule.map((x) => x.toPrecision(2)).join(', ')}\n`,
)
client.close()
