/** The TypeScript of docs/guide.md: type-checked with everything else, and run by examples.test.ts. */
import { Client, categorical, float, int, minimize, tensors } from '../../clients/typescript/src/index.js'

const { value, params, trials } = await minimize(
  async ({ rate, units }, trial) => {
    let loss = 1
    for (let epoch = 1; epoch <= 5; epoch++) {
      loss = (Math.log10(rate as number) + 2) ** 2 + 1 / epoch + 1 / (units as number)
      await trial.report(epoch, loss) // ends the trial when the pruner says so
    }
    return loss
  },
  { rate: float(1e-5, 1, { log: true }), units: int(1, 64), kind: categorical(['relu', 'tanh']) },
  { maxEvaluations: 20, workers: 4, method: 'tpe', pruner: { method: 'median' }, seed: 0 },
)
console.log(value, params, trials.length)

// Gradients, over one stream.
const client = new Client()
const session = await client.createSession({
  method: 'adam',
  config: { learningRate: 0.1 },
  space: tensors({ w: Float32Array.of(1, -2) }),
})
const stream = session.stream()
let { queries } = await stream.step()
for (let step = 0; step < 50; step++) {
  const [{ id, points }] = queries
  const w = points[0].tensors?.w as Float32Array
  ;({ queries } = await stream.step({ observations: [{ queryId: id, gradients: [{ w: w.map((x) => 2 * x) }] }] }))
}
stream.close()
console.log((await session.estimate()).points[0].point.tensors)
client.close()
