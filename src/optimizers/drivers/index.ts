import { family } from '../parts.js'
import { accumulate } from './accumulate.js'
import { attributionPrior } from './attribution-prior.js'
import { batchSize } from './batch-size.js'
import { confidenceRanking } from './confidence-ranking.js'
import { continuation } from './continuation.js'
import { hutchinson, newton } from './curvature.js'
import { deepSupervision } from './deep-supervision.js'
import { diagonal } from './diagonal.js'
import { discover } from './discover.js'
import { examples } from './examples.js'
import { extragradient } from './extragradient.js'
import { fdGr } from './fd-gr.js'
import { fosi } from './fosi.js'
import { fsam } from './fsam.js'
import { gam } from './gam.js'
import { gradPenalty } from './grad-penalty.js'
import { kfac } from './kfac.js'
import { meco } from './meco.js'
import { objectives } from './objectives.js'
import { optex } from './optex.js'
import { previous } from './previous.js'
import { psgd } from './psgd.js'
import { sagd } from './sagd.js'
import { sam } from './sam.js'
import { shards } from './shards.js'
import { spectralDecoupling } from './spectral-decoupling.js'
import { step } from './step.js'
import { tsla } from './tsla.js'
import { xgrad } from './xgrad.js'

export const drivers = family([
  step,
  shards,
  accumulate,
  examples,
  batchSize,
  continuation,
  discover,
  meco,
  objectives,
  deepSupervision,
  sam,
  fsam,
  fdGr,
  gam,
  extragradient,
  sagd,
  optex,
  previous,
  xgrad,
  hutchinson,
  newton,
  diagonal,
  fosi,
  kfac,
  psgd,
  tsla,
  gradPenalty,
  spectralDecoupling,
  attributionPrior,
  confidenceRanking,
])
