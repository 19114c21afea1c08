/** Verbs of HTTP that a known path does not take itself (RFC 9110, sections 9.3.2, 9.3.7 and 15.5.6). */
import type { Request, Response } from 'express'
import { AsktellError } from '../../core/errors.js'

/** The verb whose route answers: HEAD is GET without a body. */
export const routedVerb = ({ method }: Request): string => (method === 'HEAD' ? 'GET' : method)

/** Says to OPTIONS which verbs a path takes; refuses others. */
export function otherVerb(verbs: readonly string[], req: Request, res: Response): void {
  const allow = [...verbs.flatMap((verb) => (verb === 'GET' ? ['GET', 'HEAD'] : [verb])), 'OPTIONS'].join(', ')
  res.set('allow', allow)
  if (req.method !== 'OPTIONS')
    throw new AsktellError('METHOD_NOT_ALLOWED', `${req.path} takes ${allow}, got ${req.method}`)
  res.status(204).end()
}
