/** Large sessions compute on all cores in memory that threads share: through a crash, with the bits of one thread. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Client, type StepResult, type Tensors, tensors } from '../../clients/typescript/src/index.js'
import { startProcess, temporaryDirectory } from '../server-process.js'

const N = 1_050_007

/** A session of four steps, with a crash between: its hash, and that of a copy by way of a file. */
async function life(flags: readonly string[], encoding?: 'block-int8') {
  const folder = temporaryDirectory()
  const server = await startProcess(flags)
  let client = new Client(server.target)
  try {
    let session = await client.createSession({
      id: 'large',
      method: 'adam',
      config: { transforms: [{ id: 'clip-norm' }] },
      space: tensors({ w: Float32Array.from({ length: N }, (_, i) => Math.cos(i)), b: new Float32Array(3) }),
      seed: 1,
      encodings: encoding && { gradients: [encoding], parameters: [encoding] },
    })
    const pointOf = ({ queries }: StepResult) => queries[0].points[0].tensors as Tensors
    let result: StepResult | undefined
    for (let lives = 0; lives < 2; lives++) {
      const stream = session.stream({ encoding })
      // After the crash the query is still out.
      const begun = await stream.step({ count: result ? 0 : 1 })
      result ??= begun
      for (let k = 0; k < 2; k++) {
        const { w, b } = pointOf(result)
        const gradient = { w: w.map((x, i) => x - Math.sin(i)), b: b.map((x) => x - 1) }
        result = await stream.step({ observations: [{ queryId: result.queries[0].id, gradients: [gradient] }] })
      }
      stream.close()
      if (lives === 1) break
      client.close()
      await server.restart('SIGKILL')
      client = new Client(server.target)
      session = client.session('large')
    }
    const { stateHash } = await session.get()
    await session.export(join(folder.path, 'exported'))
    const copy = await client.importSession(join(folder.path, 'exported'), 'copy')
    return [stateHash, (await copy.get()).stateHash]
  } finally {
    client.close()
    await server.stop()
    folder.remove()
  }
}

it.each([undefined, 'block-int8'] as const)('encoding %s', async (encoding) => {
  const folder = temporaryDirectory()
  const alone = await life(['--wasm-threads', '1'], encoding)
  const shared = await life(['--wasm-threads', '3', '--shared-directory', folder.path], encoding)
  folder.remove()
  expect(shared).toEqual(alone)
})
