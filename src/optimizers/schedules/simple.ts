/** All schedules but those that are made of others. */
import { batchLrScaling } from './batch-lr-scaling.js'
import { constant } from './constant.js'
import { cosine } from './cosine.js'
import { cyclic, oneCycle } from './cyclic.js'
import { exponential } from './exponential.js'
import { inverseSqrt } from './inverse-sqrt.js'
import { inverseTime } from './inverse-time.js'
import { linear } from './linear.js'
import { multistep } from './multistep.js'
import { piecewise } from './piecewise.js'
import { polynomial } from './polynomial.js'
import { sgdr } from './sgdr.js'
import { stepDecay } from './step-decay.js'

export const simple = [
  constant,
  linear,
  polynomial,
  cosine,
  sgdr,
  cyclic,
  oneCycle,
  exponential,
  stepDecay,
  multistep,
  piecewise,
  inverseSqrt,
  inverseTime,
  batchLrScaling,
]
