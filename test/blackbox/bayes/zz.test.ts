import { it } from 'vitest'
import { method } from '../../../src/blackbox/bayes/go-ucb.js'
import { problem } from '../../problems/index.js'
import { Driver } from '../drive.js'
it('x', () => {
  const P = problem('sphere-5d')
  for (const c of [{}, { betaScale: 10 }, { hidden: 4 }, { hidden: 16 }]) for (const seed of [1, 2]) {
    const d = new Driver(method, P.problem, { nInitial: 40, ...c }, seed)
    const out: string[] = []
    for (let i = 0; i < 100; i++) { const [q] = d.ask(); d.step({ type: 'observation', query: q, observation: P.answer(q, () => ({})) }); if (i % 20 === 19) out.push(d.best().toFixed(2)) }
    console.log('ROW', JSON.stringify(c), seed, out.join(' '))
  }
})
