/**
 * Cart and pole: A. G. Barto, R. S. Sutton, C. W. Anderson, 1983. Push the cart left or right so that the pole stays up;
 * an episode ends when it has fallen, the cart has left its track, or after 200 steps, and pays 1 per step.
 *
 * The policy is a network of one tanh layer: z = V*tanh(W*s + b) + c are the logits of the two pushes. What `trpo` asks is
 * estimated by the trajectories of one batch.
 */
import { Rng, rngStream } from '../../src/core/rng.js'
import type { TensorSpec, Tensors } from '../../src/core/tensor.js'

const INPUTS = 4
const LIMIT = 200

export const policyTensors = (units: number): TensorSpec[] => [
  { name: 'W', shape: [units, INPUTS], dtype: 'f64' },
  { name: 'b', shape: [units], dtype: 'f64' },
  { name: 'V', shape: [2, units], dtype: 'f64' },
  { name: 'c', shape: [2], dtype: 'f64' },
]

export function initialPolicy(units: number, seed: number): Tensors {
  const rng = new Rng(rngStream(seed, 'policy'))
  const normal = (n: number, scale: number) => Float64Array.from({ length: n }, () => scale * rng.normal())
  return {
    W: normal(units * INPUTS, 1 / Math.sqrt(INPUTS)),
    b: new Float64Array(units),
    V: normal(2 * units, 0.1 / Math.sqrt(units)),
    c: new Float64Array(2),
  }
}

/** One step of the cart: position, speed, angle and its speed, by Euler's method with 0.02 s. */
function push([x, v, angle, spin]: readonly number[], right: boolean): number[] {
  const [gravity, pole, length, mass, force] = [9.8, 0.1, 0.5, 1.1, right ? 10 : -10]
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)]
  const drive = (force + pole * length * spin * spin * sin) / mass
  const turn = (gravity * sin - cos * drive) / (length * (4 / 3 - (pole * cos * cos) / mass))
  const pull = drive - (pole * length * turn * cos) / mass
  return [x + 0.02 * v, v + 0.02 * pull, angle + 0.02 * spin, spin + 0.02 * turn]
}
const isUp = ([x, , angle]: readonly number[]) => Math.abs(x) <= 2.4 && Math.abs(angle) <= (12 * Math.PI) / 180

function forward({ W, b, V, c }: Tensors, state: readonly number[]) {
  const hidden = Float64Array.from(b, (bias, i) => {
    let sum = bias
    for (let j = 0; j < INPUTS; j++) sum += W[i * INPUTS + j] * state[j]
    return Math.tanh(sum)
  })
  const logit = (k: number) => hidden.reduce((sum, h, i) => sum + V[k * hidden.length + i] * h, c[k])
  const right = 1 / (1 + Math.exp(logit(0) - logit(1)))
  return { hidden, probabilities: [1 - right, right] }
}

/** J'd per state: adds the derivatives of d.z by the parameters. */
function backward(
  { V }: Tensors,
  state: readonly number[],
  hidden: ArrayLike<number>,
  d: readonly number[],
  into: Tensors,
) {
  const n = hidden.length
  for (let k = 0; k < 2; k++) {
    into.c[k] += d[k]
    for (let i = 0; i < n; i++) into.V[k * n + i] += d[k] * hidden[i]
  }
  for (let i = 0; i < n; i++) {
    const slope = (1 - hidden[i] ** 2) * (V[i] * d[0] + V[n + i] * d[1])
    into.b[i] += slope
    for (let j = 0; j < INPUTS; j++) into.W[i * INPUTS + j] += slope * state[j]
  }
}

/** J*v: how the logits move along v. */
function along({ V }: Tensors, state: readonly number[], hidden: ArrayLike<number>, v: Tensors): number[] {
  const n = hidden.length
  const moved = Array.from(hidden, (h, i) => {
    let sum = v.b[i]
    for (let j = 0; j < INPUTS; j++) sum += v.W[i * INPUTS + j] * state[j]
    return (1 - h * h) * sum
  })
  return [0, 1].map((k) => moved.reduce((sum, m, i) => sum + V[k * n + i] * m + v.V[k * n + i] * hidden[i], v.c[k]))
}

const zeros = (like: Tensors): Tensors =>
  Object.fromEntries(Object.entries(like).map(([name, array]) => [name, new Float64Array(array.length)]))

export type Visit = { state: readonly number[]; action: 0 | 1; probability: number; advantage: number }
/** The visits of whole episodes, and the mean return of these. */
export type Trajectories = { visits: Visit[]; meanReturn: number }

/**
 * Episodes of a policy until there are `steps` visits or more. Advantages are discounted returns less their mean at the
 * same time in the episodes, and of standard deviation 1.
 */
export function play(policy: Tensors, seed: number, steps: number, discount = 0.99): Trajectories {
  const rng = new Rng(rngStream(seed, 'episodes'))
  const episodes: Visit[][] = []
  for (let count = 0; count < steps; count += episodes[episodes.length - 1].length) {
    let state = Array.from({ length: INPUTS }, () => 0.1 * (rng.uniform() - 0.5))
    const episode: Visit[] = []
    while (episode.length < LIMIT && isUp(state)) {
      const { probabilities } = forward(policy, state)
      const action = rng.uniform() < probabilities[1] ? 1 : 0
      episode.push({ state, action, probability: probabilities[action], advantage: 0 })
      state = push(state, action === 1)
    }
    let sum = 0
    for (const visit of episode.toReversed()) visit.advantage = sum = 1 + discount * sum
    episodes.push(episode)
  }
  for (let t = 0; t < LIMIT; t++) {
    const alive = episodes.flatMap((episode) => episode.slice(t, t + 1))
    const baseline = alive.reduce((sum, { advantage }) => sum + advantage / alive.length, 0)
    for (const visit of alive) visit.advantage -= baseline
  }
  const visits = episodes.flat()
  const deviation = Math.sqrt(visits.reduce((sum, { advantage }) => sum + advantage ** 2 / visits.length, 0))
  for (const visit of visits) visit.advantage /= deviation || 1
  return { visits, meanReturn: visits.length / episodes.length }
}

/** Mean of pi(a|s)/pi_old(a|s)*A, and mean KL(pi_old || pi), of the policy under which the visits were made. */
export function compare(old: Tensors, policy: Tensors, { visits }: Trajectories) {
  let [surrogate, kl] = [0, 0]
  for (const { state, action, probability, advantage } of visits) {
    const from = forward(old, state).probabilities
    const to = forward(policy, state).probabilities
    surrogate += ((to[action] / probability) * advantage) / visits.length
    kl += from.reduce((sum, p, a) => sum + p * Math.log(p / to[a]), 0) / visits.length
  }
  return { surrogate, kl }
}

/** The gradient of the surrogate at the policy that made the visits. */
export function surrogateGradient(policy: Tensors, { visits }: Trajectories): Tensors {
  const gradient = zeros(policy)
  for (const { state, action, advantage } of visits) {
    const { hidden, probabilities } = forward(policy, state)
    const d = probabilities.map((p, a) => ((Number(a === action) - p) * advantage) / visits.length)
    backward(policy, state, hidden, d, gradient)
  }
  return gradient
}

/** The Fisher matrix of the mean divergence times v: mean of J'(diag(p) - pp')J*v. */
export function fisherTimes(policy: Tensors, v: Tensors, { visits }: Trajectories): Tensors {
  const product = zeros(policy)
  for (const { state } of visits) {
    const { hidden, probabilities } = forward(policy, state)
    const u = along(policy, state, hidden, v)
    const mean = probabilities.reduce((sum, p, a) => sum + p * u[a], 0)
    const d = probabilities.map((p, a) => (p * (u[a] - mean)) / visits.length)
    backward(policy, state, hidden, d, product)
  }
  return product
}
