/**
 * Regret of `gp` on standard functions after 20, 40, ... evaluations: lower median and worst of the seeds.
 *
 *     npm run build && node dist/bench/quality-gp/run.js [seeds] [evaluations] [names]
 *     python bench/quality-gp/optuna_gp.py [seeds] [evaluations] [names]     # the same with Optuna's GPSampler
 */
import { method } from '../../src/blackbox/bayes/gp.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Problem } from '../../src/core/space.js'
import { BENCHES } from './problems.js'

const [seeds = 10, evaluations = 60] = process.argv.slice(2, 4).map(Number)
const names = process.argv[4]?.split(',')

for (const { name, bounds, f, optimum } of BENCHES.filter((b) => !names || names.includes(b.name))) {
  const parameters = bounds.map(([low, high], i) => ({ name: `x${i}`, type: 'float', low, high }) as const)
  const problem: Problem = { space: { kind: 'search', parameters }, objectives: [{ name: 'f', direction: 'minimize' }] }
  const started = performance.now()
  const curves = Array.from({ length: seeds }, (_, seed) => {
    const run = { config: parseConfig(method.config, {}), problem, engine: 'wasm', memo: new Map() } as const
    let state = method.init(run, seed)
    let best = Number.POSITIVE_INFINITY
    return Array.from({ length: evaluations }, () => {
      const asked = method.step(run, state, [{ type: 'capacity', count: 1 }])
      const [query] = asked.queries
      const [point] = query.points
      const params = point.kind === 'params' ? point.params : {}
      const value = f(parameters.map((p) => params[p.name] as number))
      best = Math.min(best, value)
      const observation = { queryId: query.id, status: 'ok', values: [[value]] } as const
      state = method.step(run, asked.state, [{ type: 'observation', query, observation }]).state
      return best - optimum
    })
  })
  const seconds = (performance.now() - started) / 1000
  const marks = Array.from({ length: Math.floor(evaluations / 20) }, (_, i) => 20 * (i + 1))
  const at = (n: number, q: number) => curves.map((c) => c[n - 1]).sort((a, b) => a - b)[Math.floor(q * (seeds - 1))]
  const cells = marks.map((n) => `${n}: ${at(n, 0.5).toExponential(2)} (max ${at(n, 1).toExponential(1)})`)
  console.log(name.padEnd(12), cells.join('  '), `${((seconds / seeds / evaluations) * 1000).toFixed(1)} ms/trial`)
}
