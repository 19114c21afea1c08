/** What a gradient session takes beside what it must hold. */
import { readFileSync } from 'node:fs'
import { generate } from '../lib/load.js'
import { ratio } from '../lib/measure.js'
import { Unavailable } from '../lib/process.js'
import type { Line } from '../lib/report.js'
import type { Row } from '../lib/row.js'
import { OPTIMIZE, startAsktell, zeros } from '../lib/server.js'

/** Parameters, two moments and a gradient, in f32. */
const LEAST = 16
const STEPS = 3

export const memory: Row = {
  name: 'memory',
  title: 'memory of an Adam session',
  async run({ quick, say }) {
    if (process.platform !== 'linux') throw new Unavailable('resident memory is read from /proc')
    const lines: Line[] = []
    for (const elements of quick ? [10e6] : [10e6, 100e6]) {
      const millions = `${elements / 1e6} M`
      say(`memory: ${millions} parameters`)
      const server = await startAsktell()
      try {
        const session = (size: number) =>
          server.client.createSession({
            method: 'adam',
            space: zeros(size),
            direction: 'minimize',
            durability: 'snapshot',
          })
        const steps = async (size: number) =>
          generate('step', server.port, OPTIMIZE, 'asktell', (await session(size)).name, size, STEPS)
        // What a server takes that has a session, but no tensors to speak of.
        await steps(1000)
        const before = resident(server.pid, 'VmRSS')
        await steps(elements)
        const per = (bytes: number) => (bytes - before) / elements
        const [kept, peak] = [per(resident(server.pid, 'VmRSS')), per(resident(server.pid, 'VmHWM'))]
        const line = { row: 'memory', unit: 'B', theirs: LEAST, limit: true }
        const against = 'parameters, moments and a gradient in f32'
        for (const [name, bytes] of Object.entries({ after: kept, 'at most in': peak }))
          lines.push({
            ...line,
            what: `Adam ${millions}, per parameter ${name} ${STEPS} steps`,
            ours: bytes,
            against,
            ratio: ratio([LEAST], [bytes]),
          })
      } finally {
        await server.close()
      }
    }
    return lines
  },
}

/** Bytes of a line of /proc/PID/status. */
const resident = (pid: number, name: 'VmRSS' | 'VmHWM'): number =>
  1024 * Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
