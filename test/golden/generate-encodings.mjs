// Writes encodings.json: bits that the encodings of all clients are tested with. Needs a build.
import { writeFileSync } from 'node:fs'
import { ErrorFeedback } from '../../dist/clients/typescript/src/index.js'
import { ENCODINGS } from '../../dist/src/core/encodings/index.js'
import { Rng, rngStream } from '../../dist/src/core/rng.js'

const DENSITY = 0.1
const rng = new Rng(rngStream(7, 'encodings'))
const normal = (length, scale = 1) => Float32Array.from({ length }, () => scale * rng.normal())
const base64 = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength).toString('base64')

const cases = {
  ties: Float32Array.of(1, -1, 1, 0.5, -0.5, 1, -1, 0, 2.5, -2.5),
  tiny: Float32Array.of(1e-45, -3e-45, 0, 2e-44, -1e-43, 5e-40),
  huge: Float32Array.of(3.4028234663852886e38, -1.7e38, 1e30, -0, 0),
  halves: Float32Array.from({ length: 256 }, (_, i) => (i - 127.5) * (127 / 127.5)),
  zeros: new Float32Array(9),
  one: Float32Array.of(-3),
  normal: normal(600),
  small: normal(257, 1e-6),
}

const encode = Object.entries(cases).flatMap(([name, values]) =>
  Object.entries(ENCODINGS).map(([encoding, codec]) => {
    const data = codec.encode(values, DENSITY)
    const decoded = new Float32Array(values.length)
    codec.decode(data, decoded, 0, values.length)
    const bits = { values: base64(values), data: base64(data), decoded: base64(decoded) }
    return { name, encoding, density: DENSITY, ...bits }
  }),
)
const feedback = Object.keys(ENCODINGS).map((encoding) => {
  const kept = new ErrorFeedback(encoding, DENSITY)
  const steps = Array.from({ length: 3 }, () => {
    const w = normal(300)
    return { values: base64(w), data: base64(kept.encode({ w }).tensors[0].data) }
  })
  return { encoding, density: DENSITY, steps }
})
writeFileSync(new URL('encodings.json', import.meta.url), `${JSON.stringify({ encode, feedback }, null, 2)}\n`)
