/**
 * Two clouds of particles find a mixed Nash equilibrium of min over x, max over y of K(x, y):
 * Y. Lu, "Two-Scale Gradient Descent Ascent Dynamics Finds Mixed Nash Equilibria of Continuous Games: A Mean-Field
 * Perspective", ICML 2023 (arXiv:2212.08791), equations 1.6 and 1.7.
 *
 * With noise of temperature tau the clouds follow the game over probability measures with entropy,
 *   E(p, q) = int int K dp dq - tau H(p) + tau H(q), of which the equilibrium is unique: p ~ exp(-(K q)/tau).
 * A tensor of shape [n, d] holds n particles; its gradient at particle i is the mean over the other cloud, of the player's
 * own loss (K for x, -K for y).
 */
import { z } from 'zod'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { checkNames, stepsMethod } from './steps.js'

const config = z.strictObject({
  learningRate: field(z.number().positive().default(0.02), 'Step h; shorten it so that h eta is at most 0.1.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  eta: field(z.number().positive().default(5), 'Time scale of the maximizers: how much faster they move.', {
    source: 'ours; paper: some finite eta makes it converge',
    log: true,
  }),
  tau: field(z.number().min(0).default(0.3), 'Temperature; 0 is plain descent-ascent.', { source: 'ours', log: true }),
  anneal: field(
    z.enum(['none', 'log']).default('none'),
    'log: the temperature falls as tau/log(e + t), towards the game without entropy.',
    { source: 'paper, section 3' },
  ),
  torus: field(z.boolean().default(false), 'Coordinates are angles, kept in [0, 2 pi).', {
    source: 'paper, section 1',
  }),
  maximizers: field(z.array(z.string()).default(['y']), 'Names of the tensors of the max player.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = { x: Float64Array; key0: number; key1: number; clock: number; t: number }

const temperature = ({ tau, anneal }: Config, clock: number): number =>
  anneal === 'log' ? tau / Math.log(Math.E + clock) : tau

const TURN = 2 * Math.PI

/**
 * The Nikaido-Isoda gap of two clouds, 0 at an equilibrium of the game without entropy: how much the best answers on
 * grids gain.
 *
 * @param againstX K(x_i, y) row by row, for the particles x_i and the y of a grid
 * @param againstY K(x, y_j) row by row, for the x of a grid and the particles y_j
 */
export function nikaidoIsoda(againstX: readonly ArrayLike<number>[], againstY: readonly ArrayLike<number>[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const columns = Array.from({ length: againstX[0].length }, (_, j) => mean(againstX.map((row) => row[j])))
  return Math.max(...columns) - Math.min(...againstY.map((row) => mean(Array.from(row))))
}

export const method = stepsMethod<Config, State>({
  id: 'mean-field-gda',
  title: 'Mean-field gradient descent-ascent',
  summary: 'Mixed equilibria of smooth zero-sum games: two clouds of particles with noise, on two time scales.',
  references: [
    {
      authors: 'Y. Lu',
      title:
        'Two-Scale Gradient Descent Ascent Dynamics Finds Mixed Nash Equilibria of Continuous Games: A Mean-Field Perspective',
      year: 2022,
      url: 'https://arxiv.org/abs/2212.08791',
    },
  ],
  config,
  // Without a max player it is Langevin descent.
  recipes: [{ problem: 'quadratic', config: { tau: 1e-6, maximizers: [] }, maxEvaluations: 600, target: 1e-3 }],
  equations: () => [
    String.raw`x_i \leftarrow x_i - h\, \overline{\nabla_x K}(x_i) + \sqrt{2 h \tau_t}\, \xi_i`,
    String.raw`y_j \leftarrow y_j + h \eta\, \overline{\nabla_y K}(y_j) + \sqrt{2 h \eta \tau_t}\, \zeta_j`,
  ],
  check: ({ maximizers }, problem) => checkNames(maximizers, problem, 'config.maximizers'),
  init(_, flat, seed) {
    const { key0, key1 } = rngStream(seed, 'noise')
    return { x: flat.start(), key0, key1, clock: 0, t: 0 }
  },
  ask: (_, __, { x }) => ({ at: x, purpose: 'step' }),
  learn({ config }, flat, state, g) {
    const { learningRate, eta, torus, maximizers } = config
    // The noise of a step is a function of its number.
    const rng = new Rng({ key0: state.key0, key1: state.key1, counter: [0, 0, 0, state.t], used: 4 })
    const rates = new Float64Array(flat.dimension).fill(learningRate)
    for (const name of maximizers) rates.fill(learningRate * eta, ...flat.range(name)!)
    const tau = temperature(config, state.clock)
    state.x = flat.clamp(
      state.x.map((value, i) => {
        const noise = tau > 0 ? Math.sqrt(2 * rates[i] * tau) * rng.normal() : 0
        const moved = value - rates[i] * g[i] + noise
        return torus ? moved - TURN * Math.floor(moved / TURN) : moved
      }),
    )
    state.clock += learningRate
    state.t++
  },
  estimate: ({ config }, { x, clock, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { clock, temperature: temperature(config, clock) },
  }),
})
