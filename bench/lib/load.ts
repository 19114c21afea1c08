/** The load generator: see the head of load/load.c. */
import { Child, compileC, runJson } from './process.js'

/** Seconds of all counted round trips together, and of one. */
export type LoadResult = { seconds: number; count: number; p50: number; p99: number }

export const generate = async (...args: (string | number)[]): Promise<LoadResult> =>
  runJson<LoadResult>(await compileC('load/load.c'), args)

/** A TCP server in C that reads a request's bytes and writes a reply's: what no protocol can beat. */
export async function startEcho(): Promise<{ port: number; close(): Promise<void> }> {
  const child = new Child(await compileC('load/load.c'), ['echo-server'])
  const { port } = await child.read<{ port: number }>()
  return { port, close: () => child.terminate() }
}
