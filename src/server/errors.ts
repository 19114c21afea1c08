/** One error on both transports: google.rpc.Status details for gRPC, RFC 9457 problem+json for HTTP. */
import { create, toBinary } from '@bufbuild/protobuf'
import { anyPack, durationFromMs } from '@bufbuild/protobuf/wkt'
import { AsktellError, ERRORS } from '../core/errors.js'
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../core/gen/google/rpc/error_details_pb.js'
import { StatusSchema } from '../core/gen/google/rpc/status_pb.js'

export const DOMAIN = 'asktell'

/** What stops a server; the client connects again, to this one or another. */
export const draining = () => new AsktellError('UNAVAILABLE', 'draining, reconnect', { retryAfter: 1 })

/** Anything thrown, as the error that the caller gets. What was not foreseen tells no details. */
export function asError(thrown: unknown): AsktellError {
  if (thrown instanceof AsktellError) return thrown
  if (thrown instanceof Error && thrown.name === 'AbortError')
    return new AsktellError('CANCELLED', 'the caller went away', { cause: thrown })
  return new AsktellError('INTERNAL', 'the server failed; its log says more', { cause: thrown })
}

/** The same error with its paths changed; what is no AsktellError stays what it is. */
export function relocate(thrown: unknown, move: (path: string) => string): unknown {
  if (!(thrown instanceof AsktellError) || thrown.issues.length === 0) return thrown
  const issues = thrown.issues.map(({ path, message }) => ({ path: move(path), message }))
  const [{ path: before }] = thrown.issues
  const { reason, retryAfter, metadata } = thrown
  const message = thrown.message.startsWith(`${before}:`)
    ? issues[0].path + thrown.message.slice(before.length)
    : thrown.message
  return new AsktellError(reason, message, { issues, retryAfter, metadata, cause: thrown })
}

/** Below these, names are the caller's own. */
const FREE = /(^|\.)(config|params|labels|text|(gradients|products|quantities)\[\d+\])(\.|$)/

/** Fields by their names in the protocol: "observations[0].queryId" is "observations[0].query_id" there. */
export function protocolPath(path: string): string {
  const end = FREE.exec(path)?.index ?? path.length
  return path.slice(0, end).replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`) + path.slice(end)
}

/** google.rpc.Status as bytes: the reason, the fields and when to retry. */
export function statusDetails(error: AsktellError): Uint8Array {
  const details = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, { reason: error.reason, domain: DOMAIN, metadata: { ...error.metadata } }),
    ),
  ]
  if (error.issues.length > 0)
    details.push(
      anyPack(
        BadRequestSchema,
        create(BadRequestSchema, {
          fieldViolations: error.issues.map(({ path, message }) => ({ field: path, description: message })),
        }),
      ),
    )
  if (error.retryAfter !== undefined)
    details.push(
      anyPack(
        RetryInfoSchema,
        create(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(error.retryAfter * 1000)) }),
      ),
    )
  return toBinary(
    StatusSchema,
    create(StatusSchema, { code: ERRORS[error.reason].grpc, message: error.message, details }),
  )
}

export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: string
  request_id: string
  errors: readonly { path: string; message: string }[]
  metadata?: Readonly<Record<string, string>>
}

export function problem(error: AsktellError, requestId: string): Problem {
  const { http, title } = ERRORS[error.reason]
  return {
    type: `urn:asktell:error:${error.reason}`,
    title,
    status: http,
    detail: error.message,
    code: error.reason,
    request_id: requestId,
    errors: error.issues,
    ...(Object.keys(error.metadata).length > 0 && { metadata: error.metadata }),
  }
}
