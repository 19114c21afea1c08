import type { Effort } from './measure.js'
import type { Line } from './report.js'

export type Options = {
  /** Small sizes and few rounds: shows that all works, not how fast it is. */
  quick: boolean
  effort: Effort
  /** What computes asktell's rules in the row `kernel`. */
  engine: 'wasm' | 'webgpu'
  /** Says what is under way. */
  say(text: string): void
  /** Remembers a version of something that took part. */
  version(name: string, version: string): void
}
export type Row = { name: string; title: string; run(options: Options): Promise<Line[]> }
