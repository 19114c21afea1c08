/** An asktell server as a user starts it, in a process of its own, on a data directory of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Space, SpaceSchema } from '../../clients/typescript/src/gen/asktell/v1/space_pb.js'
import { Dtype } from '../../clients/typescript/src/gen/asktell/v1/tensor_pb.js'
import { Client } from '../../clients/typescript/src/index.js'
import { atEnd, Child, ROOT } from './process.js'

export type AsktellServer = { port: number; pid: number; client: Client; close(): Promise<void> }

/**
 * All settings are the defaults. The data directory lies beside the build and not in /tmp, which may be memory: a flush
 * must reach a disk. ASKTELL_BENCH_NODE holds further options of node, such as --cpu-prof.
 */
export async function startAsktell(...further: string[]): Promise<AsktellServer> {
  const data = mkdtempSync(join(ROOT, 'dist', 'bench-data-'))
  const remove = () => rmSync(data, { recursive: true, force: true })
  atEnd.push(remove)
  const options = process.env.ASKTELL_BENCH_NODE?.split(' ') ?? []
  const cli = join(ROOT, 'dist', 'bin', 'asktell.js')
  const flags = ['--grpc-port', '0', '--http-port', '0', '--data-dir', data, '--log-level', 'warn', ...further]
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ASKTELL_')))
  const child = new Child(process.execPath, [...options, cli, 'serve', '--json', ...flags], env)
  const { grpcPort } = await child.read<{ grpcPort: number }>()
  const client = new Client(`127.0.0.1:${grpcPort}`, { timeout: 600 })
  return {
    port: grpcPort,
    pid: child.pid,
    client,
    async close() {
      client.close()
      await child.terminate()
      remove()
    },
  }
}

export const OPTIMIZE = '/asktell.v1.Asktell/Optimize'
export const STEP = '/asktell.v1.Asktell/Step'

/** One f32 tensor "w" of zeros. */
export const zeros = (elements: number): Space =>
  create(SpaceSchema, {
    kind: {
      case: 'tensors',
      value: { tensors: [{ name: 'w', shape: [BigInt(elements)], dtype: Dtype.F32 }] },
    },
  })
