import { family } from '../parts.js'
import { adapter } from './adapter.js'
import { autosparse } from './autosparse.js'
import { landscapeMap } from './landscape-map.js'
import { onlineSubspace } from './online-subspace.js'
import { defineParametrization, type Parametrization } from './parametrization.js'

const none = defineParametrization({ id: 'none', summary: 'The rule moves the tensors of the space.', fields: {} })

export const parametrizations = family<Parametrization>([none, autosparse, adapter, landscapeMap, onlineSubspace])
