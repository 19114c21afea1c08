import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take minutes. */
const LONG = [
  'chaos/kill',
  'conformance/methods',
  'chaos/fuzz',
  'presets/adam-relatives',
  'transforms/gradient-noise',
  'engines/threads',
]

/** Those first: no worker is to be left alone with one at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONG.some((name) => moduleId.endsWith(`${name}.test.ts`))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'clients/typescript/test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Files share the modules of their worker: nothing in the project is global, and loading takes as long as many a file's tests.
    isolate: false,
    sequence: { sequencer: LongFirst },
  },
})
