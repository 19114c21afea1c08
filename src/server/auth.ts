/** Who may call what: one table for both transports. What is not in the table is denied. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { AsktellError, type Reason } from '../core/errors.js'

/** `open` needs no key, `read` any key, `write` a key that may write. */
export type Access = 'open' | 'read' | 'write'
export type ApiKey = { name: string; sha256: string; access: 'read' | 'write' }

/** By "package.Service/Method", the same for a gRPC call and its HTTP route, and by path for plain pages. */
export const POLICY: Readonly<Record<string, Access>> = {
  'asktell.v1.Asktell/CreateSession': 'write',
  'asktell.v1.Asktell/GetSession': 'read',
  'asktell.v1.Asktell/ListSessions': 'read',
  'asktell.v1.Asktell/UpdateSession': 'write',
  'asktell.v1.Asktell/DeleteSession': 'write',
  'asktell.v1.Asktell/Ask': 'write',
  'asktell.v1.Asktell/Tell': 'write',
  'asktell.v1.Asktell/Step': 'write',
  'asktell.v1.Asktell/Optimize': 'write',
  'asktell.v1.Asktell/ShareMemory': 'write',
  'asktell.v1.Asktell/Report': 'write',
  'asktell.v1.Asktell/GetEstimate': 'read',
  'asktell.v1.Asktell/ListTrials': 'read',
  'asktell.v1.Asktell/AnalyzeSession': 'read',
  'asktell.v1.Asktell/EditSpace': 'write',
  'asktell.v1.Asktell/CorrectTrial': 'write',
  'asktell.v1.Asktell/DeleteTrial': 'write',
  'asktell.v1.Asktell/ListAuditEntries': 'read',
  'asktell.v1.Asktell/Watch': 'read',
  'asktell.v1.Asktell/ForkSession': 'write',
  'asktell.v1.Asktell/ExportSession': 'read',
  'asktell.v1.Asktell/ImportSession': 'write',
  'asktell.v1.Asktell/ListMethods': 'read',
  'asktell.v1.Asktell/GetMethod': 'read',
  // Probes and the public description of the API carry no data of a session.
  'grpc.health.v1.Health/Check': 'open',
  'grpc.health.v1.Health/List': 'open',
  'grpc.health.v1.Health/Watch': 'open',
  'grpc.reflection.v1.ServerReflection/ServerReflectionInfo': 'open',
  'grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': 'open',
  'GET /': 'open',
  'GET /docs': 'open',
  'GET /healthz': 'open',
  'GET /openapi.json': 'open',
  'GET /readyz': 'open',
  'GET /version': 'open',
  'GET /metrics': 'read',
}

export type Credentials = { authorization?: string; apiKey?: string }

export class Authorizer {
  private readonly keys: readonly { name: string; hash: Buffer; access: 'read' | 'write' }[]

  /** Without keys everybody may do everything: for loopback, or behind something that authenticates. */
  constructor(
    keys: readonly ApiKey[],
    private readonly onRefusal: (reason: Reason) => void = () => {},
  ) {
    this.keys = keys.map(({ name, sha256, access }) => ({ name, hash: Buffer.from(sha256, 'hex'), access }))
  }

  /** The name of the caller; refuses with UNAUTHENTICATED or PERMISSION_DENIED. */
  check(what: string, { authorization, apiKey }: Credentials): string {
    const needed = Object.hasOwn(POLICY, what) ? POLICY[what] : undefined
    if (!needed) return this.refuse('PERMISSION_DENIED', `no policy allows ${what}`)
    if (needed === 'open' || this.keys.length === 0) return 'anonymous'
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? apiKey
    if (!token) return this.refuse('UNAUTHENTICATED', 'expected a key: "authorization: Bearer …" or "x-api-key: …"')
    const hash = createHash('sha256').update(token).digest()
    const key = this.keys.find((candidate) => timingSafeEqual(candidate.hash, hash))
    if (!key) return this.refuse('UNAUTHENTICATED', 'the key is not known')
    if (needed === 'write' && key.access === 'read')
      return this.refuse('PERMISSION_DENIED', `key "${key.name}" may only read`)
    return key.name
  }

  private refuse(reason: Reason, message: string): never {
    this.onRefusal(reason)
    throw new AsktellError(reason, message)
  }
}
