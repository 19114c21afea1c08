/** What the host gives to a module, and what of a module threads may share out. */
import type { Hosted } from './lanes.js'

export const HOST: Readonly<Record<Hosted, (a: number, b: number) => number>> = {
  sin: Math.sin,
  cos: Math.cos,
  '^': (a, b) => a ** b,
}

/** The units of a job from `from` to `to`. `a`, `b`: what else the job says. */
export type Work = (from: number, to: number, a: number, b: number) => void

/** The functions of a module that threads may share out, by number. */
export function worksOf(exports: WebAssembly.Exports): Work[] {
  const works: Work[] = []
  for (;;) {
    const work = exports[`work ${works.length}`] as Work | undefined
    if (!work) return works
    works.push(work)
  }
}
