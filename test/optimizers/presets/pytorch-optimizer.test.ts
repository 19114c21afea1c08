/** The rules of the Python package pytorch_optimizer: which asktell has too, and that they follow the same trajectories. */
import { beforeAll, expect, test } from 'vitest'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { columns, elementsOf, type Problem, problems, spaceOf, vector } from '../../golden/problems.js'
import golden from '../../golden/pytorch-optimizer.json' with { type: 'json' }
import { Session } from '../session.js'

beforeAll(loadEngines)

const compared = [...new Set(golden.cases.map(({ optimizer }) => optimizer))]

/** Handed on from torch.optim: torch.test.ts and torch-training.test.ts. */
const OF_TORCH = ['Adam', 'AdamW', 'LBFGS', 'NAdam', 'RMSprop', 'SGD']

/** In asktell under the same name or a like one, and not to be compared. */
const OTHERWISE: Record<string, string> = {
  ASGD: 'adapts its rate to an estimate of the smoothness; `asgd` is the averaged SGD of torch.optim',
  DistributedMuon: 'Muon whose matrices are shared out among processes',
  FTRL: 'takes gradients, by McMahan et al. 2013; `ftrl-glm` takes features and labels, by Zhao et al. 2023',
  FriendlySAM: 'perturbs by what of the gradient is noise; `fsam` is the SAM of a Fisher mask',
  Kron: 'fits its preconditioner, that of the driver `psgd`, on random vectors of its own; see fitting.test.ts',
  LOMO: 'SGD inside the backward pass',
  SafeFP16Optimizer: 'scales the loss of another optimizer for half precision',
}

const ABSENT = `
  A2Grad APOLLO AccSGD AdaGC AdaGO AdaLOMO AdaMuon AdaNorm AdaPNM AdaShift AdaSmooth AdaTAM Adai Adalite AdamC AdamG
  AdamMini AdamP AdamS AggMo Aida Alice Amos Ano ApolloDQN AvaGrad BCOS BSAM CAME Conda DAdaptAdan DASH DeMo DualAdam
  EXAdam EmoFact EmoLynx EmoNavi FOCUS Fira FlashAdamW Fromage GSAM GaLore GrokFastAdamW Kate LaProp LoRARite LookSAM
  MADGRAD MSVAG Magma MuonClip Nero NorMuon OrthoGrad PAdam PID PNM QHAdam RACS ROSE Ranger21 SCION SCIONLight SGDP
  SGDSaI SM3 SPAM SPlus SRMM SaRA ScheduleFreeRAdam SimplifiedAdEMAMix SpectralSphere StableAdamW StableSPAM TAM TRAC
  VSGD WSAM`
  .trim()
  .split(/\s+/)

/**
 * What is set or posed otherwise than the package would have it, so that both compute the same. Beside these: eps of almost
 * 0 where it is added elsewhere, and weight decay that is coupled in one and decoupled in the other by default.
 */
const ADJUSTED: Record<string, string> = {
  ADOPT: 'a clip that counts steps as algorithm 2 does',
  AdaHessian: 'the diagonal of the Hessian, in place of an estimate from random vectors',
  Gravity: 'no initial velocity, which is random',
  LARS: 'vectors are columns, since the package scales matrices alone; algorithm 1 scales every layer',
  Lamb: 'no division by 1 - beta1^t, by `adam_debias`, and no decay: what is left of a step has the length of x in both',
  MARS: 'the gradient before the first is 0, as in AGI-Arena/MARS; in algorithm 1 it is the first',
  Muon: 'orthogonalized in double precision; in one case vectors are columns',
  PCGrad: 'two objectives, whose order is random and does not matter, and the mean of what is left of them',
  RAdam: 'steps by the momentum while the variance is not tractable, as in algorithm 2; the package waits',
  Ranger: 'RAdam, as above, with lookahead; not the gradients of matrices without their mean over rows',
  SWATS: 'one vector: algorithm 1 measures one rate; the package one of each tensor, and switches all by the last',
  ScalableShampoo:
    'no axes merged, which would leave a small matrix no axes; roots by decomposition, which adds no ridge',
  Shampoo:
    'vectors are columns: algorithm 1 is of matrices, and the package gives vectors a full matrix; no momentum, ' +
    'which it takes of gradients and of steps at once',
  SophiaH:
    'as AdaHessian; clipped to 0.01 before the rate, which is algorithm 3 of gamma 0.01 at a hundredth of the rate',
}

test('every optimizer of the package is compared, or has a reason not to be', () => {
  const all = [...compared, ...OF_TORCH, ...Object.keys(OTHERWISE), ...ABSENT]
  expect(all.sort()).toEqual(golden.optimizers)
  const ids = methods.map(({ id }) => id.replaceAll('-', ''))
  expect(ABSENT.filter((name) => ids.includes(name.toLowerCase()))).toEqual([])
  expect(Object.keys(ADJUSTED).filter((name) => !compared.includes(name))).toEqual([])
})

const named = <T extends { described: string; problem: string }>(cases: readonly T[]) =>
  cases.map((each) => [each.described, each.problem, each] as const)

type Case = { method: string; config: object; problem: string; form?: string }

const FORMS: Record<string, (problem: Problem) => Problem> = { column: columns, vector, given: (problem) => problem }

/** A session that takes steps of a case, up to one of that number, and gives all elements of its point. */
function path({ method, config, problem, form = 'given' }: Case, engine: 'interpreter' | 'wasm' = 'interpreter') {
  const posed = FORMS[form](problems[problem])
  const { value, gradient, diagonal } = posed
  const session = new Session(
    methods.find(({ id }) => id === method)!,
    spaceOf(posed, engine === 'wasm' ? 'f32' : 'f64'),
    {
      config,
      engine,
      value,
      // With random signs, the estimate of a diagonal from products with a diagonal matrix is that diagonal.
      product(point, direction) {
        const curvature = Object.entries(diagonal(point))
        return Object.fromEntries(curvature.map(([name, c]) => [name, c.map((ci, i) => ci * direction[name][i])]))
      },
      // PCGrad: the second objective of the generator pulls towards -1.
      quantities: (point) => ({
        gradients: [...elementsOf(gradient(point)), ...elementsOf(point).map((value) => value + 1)],
      }),
    },
  )
  return {
    session,
    at: (t: number) => elementsOf(session.steps(t - session.state.t, gradient).state.x),
  }
}

function follows({ at }: ReturnType<typeof path>, trajectory: { [step: string]: number[] }, within: number) {
  for (const [t, point] of Object.entries(trajectory))
    for (const [i, x] of at(Number(t)).entries())
      expect(Math.abs(x - point[i]), `step ${t}, element ${i}`).toBeLessThan(within * Math.max(1, Math.abs(point[i])))
}

/** In double precision; 1e-10 where nothing is said. */
const WITHIN: Record<string, number> = {
  // The package adds 1e-15 to the second moment, which is felt where the first gradient of an element is as small as 1e-3.
  DiffGrad: 1e-9,
  // Here, inverse roots are found by Newton steps that end at a residual of 1e-6; there, by a decomposition.
  Shampoo: 1e-8,
  ScalableShampoo: 1e-6,
  // Eigenvectors of small eigenvalues turn with the rounding, and Adam divides by the little that gradients have along them.
  SOAP: 1e-7,
}
const SINGLE = 1e-4

test.each(named(golden.cases))('50 steps of %s on %s', (_, __, compare) => {
  const { optimizer, trajectory } = compare
  follows(path(compare), trajectory, WITHIN[optimizer] ?? 1e-10)
  follows(path(compare, 'wasm'), trajectory, SINGLE)
})

test.each(named(golden.cases.filter(({ method }) => method === 'swats')))(
  'the last of 50 steps of %s on %s are of SGD',
  (_, __, compare) => {
    const { session, at } = path(compare)
    at(50)
    expect(session.metrics.sgd).toBe(1)
  },
)

/**
 * Rules that the package changes, as text: with its lines the text follows the trajectory of the package, and with those of
 * the source that asktell follows the trajectory of asktell's method. Above, the same rules agree where the config of the
 * package undoes the change.
 */
type Departure = {
  optimizer: string
  method: string
  config: { learningRate: number; [field: string]: unknown }
  /** The rule around the lines that differ. */
  text: (lines: string) => string
  package: string
  source: string
  why: string
}
const MOMENTS = `m = 0.9*m + 0.1*g
  v = 0.999*v + 0.001*g^2`
const DEPARTURES: Departure[] = [
  {
    optimizer: 'ADOPT',
    method: 'adopt',
    config: { learningRate: 0.02, beta2: 0.99 },
    text: (limit) => `${limit}
      m = t > 1 ? 0.9*m + 0.1*clip(g/max(sqrt(v), 1e-6), -limit, limit) : m
      x = x - lr*m
      v = t > 1 ? 0.99*v + 0.01*g^2 : g^2`,
    package: 'limit = t^0.25',
    source: 'limit = (t - 1)^0.25',
    why: 'Algorithm 2 counts from the first step that moves; the package from the gradient before.',
  },
  {
    optimizer: 'FAdam',
    method: 'fadam',
    config: { learningRate: 0.02, eps: 0.1 },
    text: (eps) => `b = 0.999*(1 - 0.999^(t - 1))/(1 - 0.999^t)
      F = b*F + (1 - b)*g^2
      ${eps}
      n = g/(sqrt(F) + eps)
      m = 0.9*m + 0.1*n/max(1, sqrt(mean(n^2)))
      r = x/(sqrt(F) + eps)
      x = x - lr*(m + 0.1*r/max(1, sqrt(mean(r^2))))`,
    package: 'eps = min(0.1, 0.01*sqrt(mean(g^2)))',
    source: 'eps = 0.1*min(1, sqrt(mean(g^2)))',
    why: 'Both scale eps with small gradients; asktell has no second eps that bounds it for large ones.',
  },
  {
    optimizer: 'Grams',
    method: 'grams',
    config: { learningRate: 0.02, eps: 0.1 },
    text: (root) => `${MOMENTS}
      ${root}
      x = x - lr*sign(g)*abs(m)/(1 - 0.9^t)/root`,
    package: 'root = sqrt(v/(1 - 0.999^t)) + 0.1',
    source: 'root = (sqrt(v) + 0.1)/sqrt(1 - 0.999^t)',
    why: 'asktell adds eps where the code of the authors does; the package where algorithm 1 does.',
  },
  {
    optimizer: 'LARS',
    method: 'lars',
    config: { learningRate: 1e-3, weightDecay: 0 },
    text: (local) => `${local}
      u = 0.9*u + local*g
      x = x - lr*u`,
    package: 'local = matrix ? 0.001*norm(x)/norm(g) : 1',
    source: 'local = 0.001*norm(x)/norm(g)',
    why: 'Algorithm 1 scales every layer; the package leaves vectors to SGD.',
  },
  {
    optimizer: 'Lamb',
    method: 'lamb',
    config: { learningRate: 2e-3, weightDecay: 0.1 },
    text: (lines) => `${MOMENTS}
      ${lines}
      x = x - rate*u`,
    package: `u = m/(sqrt(v) + 1e-6) + 0.1*x
      rate = lr/(1 - 0.9^t)*min(norm(x), 10)/(norm(u) + 1e-6)`,
    source: `u = (m/(1 - 0.9^t))/(sqrt(v/(1 - 0.999^t)) + 1e-6) + 0.1*x
      rate = lr*norm(x)/norm(u)`,
    why: 'Algorithm 2 corrects both moments for their start; the package that of gradients alone, bounds |x| and adds eps.',
  },
  {
    optimizer: 'MARS',
    method: 'mars',
    config: { learningRate: 0.02, eps: 0.1, start: 'zero' },
    text: (root) => `c = g + 0.025*0.95/(1 - 0.95)*(g - last)
      c = c/max(1, norm(c))
      last = g
      m = 0.95*m + 0.05*c
      v = 0.99*v + 0.01*c^2
      ${root}
      x = x - lr*(m/(1 - 0.95^t))/root`,
    package: 'root = (sqrt(v) + 0.1)/sqrt(1 - 0.99^t)',
    source: 'root = sqrt(v/(1 - 0.99^t)) + 0.1',
    why: 'AGI-Arena/MARS adds eps to the root of the corrected moment; algorithm 2 leaves it out.',
  },
  {
    optimizer: 'RAdam',
    method: 'radam',
    config: { learningRate: 0.02, beta2: 0.9 },
    text: (early) => `m = 0.9*m + 0.1*g
      v = 0.9*v + 0.1*g^2
      most = 2/(1 - 0.9) - 1
      rho = most - 2*t*0.9^t/(1 - 0.9^t)
      r = sqrt(max(0, (1 - 0.9^t)*(rho - 4)*(rho - 2)*most/((most - 4)*(most - 2)*rho)))
      ${early}
      x = x - lr/(1 - 0.9^t)*(rho >= 5 ? r*m/(sqrt(v) + 1e-8) : early)`,
    package: 'early = 0',
    source: 'early = m',
    why: 'Algorithm 2 steps by the momentum while the variance is not tractable; the package waits.',
  },
]

test('what the package changes is written out', () => {
  const changed = new Set(golden.departures.map(({ optimizer }) => optimizer))
  expect(DEPARTURES.map(({ optimizer }) => optimizer)).toEqual([...changed])
})

test.each(named(golden.departures))('%s departs from the source on %s', (_, problem, { optimizer, trajectory }) => {
  const departure = DEPARTURES.find((departure) => departure.optimizer === optimizer)!
  const { method, config, text } = departure
  const rule = (lines: string) => {
    const written = { learningRate: config.learningRate, text: text(lines), slots: 'inferred' }
    return path({ method: 'rule', config: written, problem })
  }
  follows(rule(departure.package), trajectory, 1e-10)
  const source = rule(departure.source)
  const expected = Object.keys(trajectory).map((t) => [t, source.at(Number(t))])
  follows(path({ method, config, problem }), Object.fromEntries(expected), 1e-10)
})
