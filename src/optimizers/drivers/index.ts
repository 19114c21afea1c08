import { family } from '../parts.js'
import { extragradient } from './extragradient.js'
import { sam } from './sam.js'
import { step } from './step.js'

export const drivers = family([step, sam, extragradient])
