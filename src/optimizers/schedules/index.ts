import { family } from '../parts.js'
import { product, sequence } from './joined.js'
import { simple } from './simple.js'

export const schedules = family([...simple, sequence, product])
