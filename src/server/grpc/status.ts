/** gRPC statuses as trailers: a code, a message, and google.rpc.Status with the reason. */
import { ERRORS } from '../../core/errors.js'
import { asError, statusDetails } from '../errors.js'

export type Status = { readonly [header: string]: string }

export const OK: Status = { 'grpc-status': '0' }

/** A status that a service written for grpc-js chose itself. */
export class ForeignStatus extends Error {
  readonly code: number

  constructor(status: unknown) {
    const { code, details, message } = status as { code?: number; details?: string; message?: string }
    super(details ?? message)
    this.code = code ?? ERRORS.INTERNAL.grpc
  }
}

export function statusOf(thrown: unknown): Status {
  if (thrown instanceof ForeignStatus)
    return { 'grpc-status': String(thrown.code), 'grpc-message': percentEncoded(thrown.message) }
  const error = asError(thrown)
  return {
    'grpc-status': String(ERRORS[error.reason].grpc),
    'grpc-message': percentEncoded(error.message),
    'grpc-status-details-bin': Buffer.from(statusDetails(error)).toString('base64'),
  }
}

/** gRPC over HTTP/2, "Status-Message": well-formed UTF-8, all but printable ASCII percent-encoded. */
const percentEncoded = (text: string): string =>
  text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]/gu, (c) => encodeURIComponent(c))
