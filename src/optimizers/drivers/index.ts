import { family } from '../parts.js'
import { hutchinson, newton } from './curvature.js'
import { extragradient } from './extragradient.js'
import { previous } from './previous.js'
import { sam } from './sam.js'
import { step } from './step.js'

export const drivers = family([step, sam, extragradient, previous, hutchinson, newton])
