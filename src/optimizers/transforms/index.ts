import { family } from '../parts.js'
import { cautious } from './cautious.js'
import { clipNorm } from './clip-norm.js'
import { clipValue } from './clip-value.js'
import { gradientNoise } from './gradient-noise.js'
import { grams } from './grams.js'
import { keepZeros } from './keep-zeros.js'
import { lookahead } from './lookahead.js'
import { medianClip } from './median-clip.js'
import { plateau } from './plateau.js'
import { randomScaling } from './random-scaling.js'
import { vrgd } from './vrgd.js'
import { weightDecay } from './weight-decay.js'

export const transforms = family([
  clipNorm,
  clipValue,
  weightDecay,
  gradientNoise,
  randomScaling,
  grams,
  cautious,
  lookahead,
  vrgd,
  medianClip,
  plateau,
  keepZeros,
])
