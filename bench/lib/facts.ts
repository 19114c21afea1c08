/** What is needed to read a figure: processor, memory, versions, threads, load. Nothing that names a machine. */
import { cpus, loadavg, platform, release, totalmem } from 'node:os'
import { output } from './process.js'

export type Facts = {
  date: string
  processor: string
  cores: number
  memoryGiB: number
  system: string
  node: string
  gcc: string
  threads: string
}

export const load = (): string =>
  loadavg()
    .map((value) => value.toFixed(2))
    .join(' ')

export async function facts(): Promise<Facts> {
  const processors = cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: processors[0].model,
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split('-')[0]}`,
    node: process.versions.node,
    gcc: await output('gcc', ['-dumpfullversion']).catch(() => 'none'),
    threads: 'asktell: one thread computes and serves, gp on a worker; peers as named in their rows',
  }
}
