/**
 * Wang, Li, Karimi, Li, "An Optimistic Acceleration of AMSGrad for Nonconvex Optimization", ACML 2021, algorithms 2 and 3
 * (the prediction by regularized minimal-polynomial extrapolation: Scieur, d'Aspremont, Bach 2016).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import type { Projector } from '../projection.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2, eps } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  predictor: field(
    z.enum(['last', 'extrapolate']).default('last'),
    'The prediction of the next gradient: the last one, or an extrapolation of the last `memory` gradients.',
    { source: 'section 3' },
  ),
  memory: field(z.int().min(2).max(8).default(5), 'Gradients that are extrapolated, r; so many slots.', {
    source: 'section 5',
  }),
}
type Config = PresetConfig<typeof fields>

const range = (n: number, from = 0) => Array.from({ length: n - from }, (_, i) => from + i)
const REGULARIZATION = 1e-8
const POWER = 12

/**
 * p = sum c_i h_{i-1} over the last r gradients, h_0 = g. The coefficients c sum to 1 and solve (M + 1e-8*I)*c ~ 1, where
 * M = U'U/|U'U| and the columns of U are the differences of consecutive gradients.
 */
function extrapolation(r: number): string[] {
  const h = (i: number) => (i === 0 ? 'g' : `h${i}`)
  const m = (i: number, j: number) => `m${Math.min(i, j)}_${Math.max(i, j)}`
  const sum = (term: (i: number) => string) => range(r).map(term).join(' + ')
  const lines = range(r).map((i) => `u${i} = ${h(i)} - ${h(i + 1)}`)
  for (const i of range(r)) for (const j of range(r, i)) lines.push(`${m(i, j)} = dot(u${i}, u${j}, all)`)

  // |U'U| by power iteration, from the diagonal; then M in place.
  lines.push(`top = ${sum((i) => m(i, i))}`, ...range(r).map((i) => `q${i} = ${m(i, i)}/top`))
  for (let k = 0; k < POWER; k++)
    lines.push(
      ...range(r).map((i) => `y${i} = ${sum((j) => `${m(i, j)}*q${j}`)}`),
      `top = sqrt(${sum((i) => `y${i}^2`)})`,
      ...range(r).map((i) => `q${i} = y${i}/top`),
    )
  for (const i of range(r))
    for (const j of range(r, i)) lines.push(`${m(i, j)} = ${m(i, j)}/top${i === j ? ` + ${REGULARIZATION}` : ''}`)

  // Symmetric elimination (M is positive definite), then back substitution.
  lines.push(...range(r).map((i) => `z${i} = 1`))
  for (const k of range(r))
    for (const i of range(r, k + 1)) {
      lines.push(`f${i} = ${m(k, i)}/${m(k, k)}`, `z${i} = z${i} - f${i}*z${k}`)
      for (const j of range(r, i)) lines.push(`${m(i, j)} = ${m(i, j)} - f${i}*${m(k, j)}`)
    }
  for (const i of range(r).reverse())
    lines.push(
      `z${i} = (z${i}${range(r, i + 1)
        .map((j) => ` - ${m(i, j)}*z${j}`)
        .join('')})/${m(i, i)}`,
    )
  return [
    ...lines,
    // Too few gradients yet, or gradients that do not change: the last one.
    `p = t > ${r} and isfinite(z0) ? (${sum((i) => `z${i}*${h(i)}`)})/(${sum((i) => `z${i}`)}) : g`,
    ...range(r + 1, 1)
      .reverse()
      .map((i) => `${h(i)} = ${h(i - 1)}`),
  ]
}

function rule({ beta1, beta2, eps, predictor, memory }: Config, _: unknown, project: Projector) {
  const tensor = { kind: 'tensor' as const }
  const extrapolate = predictor === 'extrapolate'
  return {
    text: [
      'w = t == 1 ? x : w',
      'v = beta2*v + (1 - beta2)*(g - p)^2',
      'vhat = max(vhat, v)',
      'root = sqrt(vhat)',
      'past = beta1*theta',
      'theta = past + (1 - beta1)*g',
      `w = w - lr*${ratio('theta', 'root', eps)}`,
      ...project('w'),
      ...(extrapolate ? extrapolation(memory) : ['p = g']),
      // The half step ahead takes the prediction in the place of the last gradient.
      `x = w - lr*${ratio('(past + (1 - beta1)*p)', 'root', eps)}`,
    ].join('\n'),
    slots: {
      ...{ w: tensor, theta: tensor, v: tensor, vhat: tensor, p: tensor },
      ...(extrapolate ? Object.fromEntries(range(memory + 1, 1).map((i) => [`h${i}`, tensor])) : {}),
    },
    scalars: () => ({ beta1, beta2, eps }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'opt-amsgrad',
  title: 'Optimistic AMSGrad',
  summary: 'AMSGrad that asks half a step ahead, along a prediction of the next gradient.',
  references: [
    {
      authors: 'J.-K. Wang, X. Li, B. Karimi, P. Li',
      title: 'An Optimistic Acceleration of AMSGrad for Nonconvex Optimization',
      year: 2019,
      url: 'https://arxiv.org/abs/1903.01435',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.05 }, maxEvaluations: 1000, target: 1e-4 }],
})
