import { family } from '../parts.js'
import { batchSize } from './batch-size.js'
import { hutchinson, newton } from './curvature.js'
import { examples } from './examples.js'
import { extragradient } from './extragradient.js'
import { previous } from './previous.js'
import { sam } from './sam.js'
import { shards } from './shards.js'
import { step } from './step.js'

export const drivers = family([step, shards, examples, batchSize, sam, extragradient, previous, hutchinson, newton])
