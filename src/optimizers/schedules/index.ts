import { family } from '../parts.js'
import { batchLrScaling } from './batch-lr-scaling.js'
import { constant } from './constant.js'
import { cosine } from './cosine.js'
import { inverseSqrt } from './inverse-sqrt.js'
import { inverseTime } from './inverse-time.js'
import { linear } from './linear.js'
import { sgdr } from './sgdr.js'
import { stepDecay } from './step-decay.js'

export const schedules = family([constant, linear, cosine, sgdr, inverseSqrt, inverseTime, stepDecay, batchLrScaling])
