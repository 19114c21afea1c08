/** Projections onto the set that iterates are kept in, as rule text behind the rule. */
import type { Piece } from './compose.js'

export type Constraint = { low?: number; high?: number; ball?: number }

/** Iterations of Newton's method for the multiplier; it converges quadratically and from one side. */
const NEWTON = 12

/**
 * The ball of radius r about the origin in a diagonal metric w: the minimizer of sum w*(z - x)^2 over |z| <= r is
 * z = w*x/(w + lambda), with lambda >= 0 the root of |z| = r. Newton's method on 1/r - 1/|z| (Moré, Sorensen 1983,
 * section 3) starts left of the root at lambda = 0 and never passes it.
 */
function ballText(scaled: boolean): string {
  if (!scaled) return 'length = norm(x, all)\nx = x*select(length > radius, radius/length, 1)'
  const lines = [
    // Only ratios of weights matter; a weight of nothing is kept from dividing 0 by 0.
    'w = metric/max(metric, all) + 1e-12',
    'lambda = 0',
  ]
  for (let i = 0; i < NEWTON; i++)
    lines.push(
      'z = x*(w/(w + lambda))',
      'length = norm(z, all)',
      'slope = sum(z^2/(w + lambda), all)',
      'lambda = lambda + select(length > radius, (length - radius)/radius*length^2/slope, 0)',
    )
  lines.push('x = x*(w/(w + lambda))', 'length = norm(x, all)', 'x = x*select(length > radius, radius/length, 1)')
  return lines.join('\n')
}

/** Text that moves x back into the set, nearest in the metric that the rule assigned (`scaled`) or else in the Euclidean. */
export function projection({ low, high, ball }: Constraint, scaled: boolean): Piece[] {
  const pieces: Piece[] = []
  if (ball !== undefined) pieces.push({ text: ballText(scaled), scalars: () => ({ radius: ball }) })
  if (low !== undefined) pieces.push({ text: 'x = max(x, low)', scalars: () => ({ low }) })
  if (high !== undefined) pieces.push({ text: 'x = min(x, high)', scalars: () => ({ high }) })
  return pieces
}

/** Lines that move a tensor of a rule into the set, nearest in the Euclidean metric; no lines where there is none. */
export type Projector = (name: string) => string[]

export const projector =
  ({ low, high, ball }: Constraint): Projector =>
  (name) => [
    ...(ball === undefined ? [] : [`${name} = ${name}*min(1, ${ball}/max(norm(${name}, all), ${ball}))`]),
    ...(low === undefined ? [] : [`${name} = max(${name}, ${low})`]),
    ...(high === undefined ? [] : [`${name} = min(${name}, ${high})`]),
  ]
