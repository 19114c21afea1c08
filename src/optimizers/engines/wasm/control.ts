/**
 * The job that the threads of a crew share, in shared memory. A job is open while its chunks are taken. Threads enter and
 * leave it, and the next begins when all have left: one that wakes late finds it closed, and nobody waits for it.
 */
import type { Work } from './host.js'

/** Units from `begin` to `end` of a kernel's work, taken by chunks of `chunk`. */
export type Job = { work: number; begin: number; end: number; chunk: number; a: number; b: number }

/** Words; those that several threads write have a cache line each. */
const STATE = 0
const FAILED = 1
const WAKE = 16
const NEXT = 32
const JOB = 48
const WORDS = 64
/** Of the state, beside the number of threads in the job. */
const OPEN = 1 << 30
/** Looks at a word before sleeping: some twenty microseconds, less than it takes to wake. */
const SPINS = 2000

export class Control {
  constructor(readonly words = new Int32Array(new SharedArrayBuffer(4 * WORDS))) {}

  open(kernel: number, { work, begin, end, chunk, a, b }: Job): void {
    this.words.set([kernel, work, begin, end, chunk, a, b], JOB)
    Atomics.store(this.words, NEXT, 0)
    Atomics.store(this.words, STATE, OPEN)
    Atomics.add(this.words, WAKE, 1)
    Atomics.notify(this.words, WAKE)
  }

  /** Closes the job, and waits for those in it. False: one of them has failed, or not left in so many milliseconds. */
  close(longestWait: number): boolean {
    const { words } = this
    Atomics.and(words, STATE, ~OPEN)
    for (let spins = SPINS; Atomics.load(words, STATE) !== 0; ) {
      const inside = Atomics.load(words, STATE)
      if (spins-- > 0 || inside === 0) continue
      if (Atomics.wait(words, STATE, inside, longestWait) === 'timed-out') return false
    }
    return Atomics.load(words, FAILED) === 0
  }

  /** Takes part in the job until no chunk is left. */
  take(work: Work, { begin, end, chunk, a, b }: Job): void {
    for (;;) {
      const from = begin + chunk * Atomics.add(this.words, NEXT, 1)
      if (from >= end) return
      work(from, Math.min(from + chunk, end), a, b)
    }
  }

  /** Enters the open job, if there is one, and says which. */
  enter(): { kernel: number; job: Job } | undefined {
    const { words } = this
    for (;;) {
      const state = Atomics.load(words, STATE)
      if (!(state & OPEN)) return undefined
      if (Atomics.compareExchange(words, STATE, state, state + 1) !== state) continue
      const [kernel, work, begin, end, chunk, a, b] = words.subarray(JOB)
      return { kernel, job: { work, begin, end, chunk, a, b } }
    }
  }
  leave(): void {
    if (Atomics.sub(this.words, STATE, 1) === 1) Atomics.notify(this.words, STATE)
  }
  fail(): void {
    Atomics.store(this.words, FAILED, 1)
  }

  /** What `sleep` is told, to be read ahead of `enter`. */
  get wakes(): number {
    return Atomics.load(this.words, WAKE)
  }
  /** Returns when a job was opened since. */
  sleep(wakes: number): void {
    for (let spins = SPINS; spins > 0; spins--) if (this.wakes !== wakes) return
    Atomics.wait(this.words, WAKE, wakes)
  }
}
