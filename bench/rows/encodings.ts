/**
 * Lossy encodings: a step of remote Adam over one stream from the TypeScript client, gradient in one encoding and parameters
 * back as deltas in it, beside the same in f32. Encoding and decoding on both sides are part of it.
 */
import { encodePieces, LOSSY, type Lossy } from '../../clients/typescript/src/encodings/index.js'
import type { FloatArray, Session, Tensors } from '../../clients/typescript/src/index.js'
import { interleave } from '../lib/measure.js'
import { compare } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { startAsktell, zeros } from '../lib/server.js'

const STEPS = 20
const DENSITY = 0.01

/** Of half the squared distance to a point. */
function gradientAt(w: FloatArray, minimum: Float32Array): Float32Array {
  const gradient = new Float32Array(w.length)
  for (let i = 0; i < gradient.length; i++) gradient[i] = w[i] - minimum[i]
  return gradient
}

function apart(a: FloatArray, b: FloatArray): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return Math.sqrt(sum / a.length)
}

/** One more run of steps over a stream of its own, to its end: seconds per step, and what the client holds. */
async function run(session: Session, minimum: Float32Array, encoding?: Lossy) {
  const stream = session.stream({ encoding })
  let { queries } = await stream.step()
  const begun = performance.now()
  for (let i = 0; i < STEPS; i++) {
    const [{ id, points }] = queries
    const gradients = [{ w: gradientAt((points[0].tensors as Tensors).w, minimum) }]
    ;({ queries } = await stream.step({ observations: [{ queryId: id, gradients }] }))
  }
  const seconds = (performance.now() - begun) / 1000 / STEPS
  const held = (queries[0].points[0].tensors as Tensors).w
  // Whoever asks next gets the same query.
  await session.tell({ queryId: queries[0].id, status: 'cancelled' })
  stream.close()
  return { seconds, held }
}

export const encodings: Row = {
  name: 'encodings',
  title: 'gradients in and deltas out, with loss',
  async run({ quick, effort, say }) {
    const n = quick ? 100_000 : 2_500_000
    const minimum = Float32Array.from({ length: n }, (_, i) => Math.sin(1 + i))
    const server = await startAsktell()
    try {
      const start = (encoding?: Lossy) =>
        server.client.createSession({
          method: 'adam',
          config: { learningRate: 0.01 },
          space: zeros(n),
          durability: 'snapshot',
          encodings: encoding && { gradients: [encoding], parameters: [encoding], density: DENSITY },
        })
      const subjects = await Promise.all(
        [undefined, ...LOSSY].map(async (name) => ({ name, session: await start(name) })),
      )
      say(`encodings: ${n} parameters`)
      const behind = new Map<Lossy | undefined, number>()
      const samples = await interleave(
        subjects.map(({ name, session }) => ({
          name: name ?? 'f32',
          run: async () => {
            const { seconds, held } = await run(session, minimum, name)
            const { w } = (await session.estimate()).points[0].point.tensors as Tensors
            behind.set(name, apart(w, held))
            return seconds
          },
        })),
        effort,
      )
      return LOSSY.map((name) => {
        const bytes = encodePieces(minimum, name, DENSITY).reduce((sum, { data }) => sum + data.length, 0)
        const left = behind.get(name)?.toExponential(1)
        return compare({
          row: 'encodings',
          what: `Adam, ${n.toLocaleString('en-US')} parameters, ${name}`,
          unit: 'steps/s',
          figure: (seconds) => 1 / seconds,
          against: 'f32',
          note:
            `${name}: ${bytes.toLocaleString('en-US')} bytes each way, f32 ${(4 * n).toLocaleString('en-US')}; after ${STEPS} ` +
            `steps of at most 0.01 the client is ${left} from the parameters (root mean square)`,
          samples,
          ours: name,
          theirs: 'f32',
        })
      })
    } finally {
      await server.close()
    }
  },
}
