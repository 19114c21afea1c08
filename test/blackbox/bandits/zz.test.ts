import { it } from 'vitest'
import { method as linUcb } from '../../../src/blackbox/bandits/lin-ucb.js'
import { method as neuralGcb } from '../../../src/blackbox/bandits/neural-gcb.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { Driver } from '../drive.js'
const [K, D, T] = [4, 8, 600]
const unit = (rng: Rng) => { const v = Float64Array.from({ length: D }, () => rng.normal()); const n = Math.hypot(...v); return v.map((x) => x / n) }
function go(method: any, config: any, seed: number) {
  const rng = new Rng(rngStream(seed, 'environment')); const a = unit(rng)
  const driver = new Driver(method, { space: { kind: 'items', items: Array.from({ length: K }, (_, i) => ({ id: `a${i}` })) }, objectives: [{ name: 'r', direction: 'maximize' }] }, { features: 'told', ...config }, seed)
  const q4 = [0,0,0,0]; const pur: any = {}
  for (let t = 0; t < T; t++) {
    const [c] = driver.ask(); const x = c.points.map(() => unit(rng))
    const r = x.map((v) => 4 * v.reduce((s, xi, i) => s + xi * a[i], 0) ** 2)
    driver.step({ type: 'observation', query: c, observation: { queryId: c.id, status: 'ok', quantities: x.map((features) => ({ features })) } })
    const [q] = driver.ask(); const arm = Number((q.points[0] as any).item.slice(1))
    const st = `${q.purpose}${driver.estimate().metrics?.stage}`
    pur[st] = (pur[st] ?? 0) + 1
    q4[Math.floor(4 * t / T)] += Math.max(...r) - r[arm]
    driver.tell(q, r[arm] + 0.1 * rng.normal())
  }
  return [q4.map((v) => v.toFixed(0)).join(','), q4.reduce((a, b) => a + b, 0).toFixed(0), JSON.stringify(pur)]
}
it('x', () => {
  for (const seed of [0, 1, 2]) {
    console.log('ROW', seed, 'gcb', ...go(neuralGcb, { horizon: T }, seed))
    console.log('ROW', seed, 'sup1', ...go(neuralGcb, { horizon: T, lambda0: 1, algorithm: 'sup-nn-ucb' }, seed))
    console.log('ROW', seed, 'nucb', ...go(neuralGcb, { horizon: T, algorithm: 'neural-ucb' }, seed))
  }
})
