/** The groups and manifolds on which preconditioners are fitted, by name. */
import type { Fitting } from './fitting.js'
import { kronecker } from './kronecker.js'
import { bfgs, closedForm, euclidean, generalLinear, positive, triangular } from './matrices.js'
import { crossed, diagonal, lowRank } from './sparse.js'

export const fittings = {
  gl: generalLinear,
  triangular,
  spd: positive,
  diagonal,
  xmat: crossed,
  'low-rank': lowRank,
  kron: kronecker,
  'closed-form': closedForm,
  bfgs,
  euclidean,
} satisfies { [name: string]: Fitting }
export type FittingName = keyof typeof fittings
export const FITTINGS = Object.keys(fittings) as [FittingName, ...FittingName[]]
