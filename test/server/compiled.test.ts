/** Compiled rules are kept beside the data: a server that starts again has them, whole or not at all. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Client, tensors } from '../../clients/typescript/src/index.js'
import { startProcess, temporaryDirectory } from '../server-process.js'

it('a server that starts again has the rules that it compiled, and makes anew what a crash left in pieces', async () => {
  const folder = temporaryDirectory()
  /** The compiled rules after a session of Adam has taken a step, and its parameters. */
  const life = async () => {
    const server = await startProcess([], folder.path)
    const client = new Client(server.target)
    try {
      const session = await client.createSession({
        method: 'adam',
        space: tensors({ w: new Float32Array(3) }),
        seed: 1,
      })
      const { queries } = await session.ask()
      await session.tell({ queryId: queries[0].id, gradients: [{ w: Float32Array.of(1, 2, 3) }] })
      const { stateHash } = await session.get()
      const [build, ...others] = readdirSync(join(folder.path, 'compiled'))
      expect(others).toEqual([])
      const files = readdirSync(join(folder.path, 'compiled', build)).map((name) =>
        join(folder.path, 'compiled', build, name),
      )
      return { stateHash, files }
    } finally {
      client.close()
      await server.process.kill()
    }
  }
  try {
    const first = await life()
    expect(first.files.length).toBeGreaterThan(0)
    const written = first.files.map((file) => statSync(file).mtimeMs)
    const whole = first.files.map((file) => readFileSync(file))

    const second = await life()
    expect(second).toEqual(first)
    expect(second.files.map((file) => statSync(file).mtimeMs)).toEqual(written)

    for (const [i, file] of first.files.entries()) writeFileSync(file, whole[i].subarray(0, whole[i].length / 2))
    expect(await life()).toEqual(first)
    expect(first.files.map((file) => readFileSync(file))).toEqual(whole)
  } finally {
    folder.remove()
  }
})
