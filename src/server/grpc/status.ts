/** gRPC statuses that say their reason, whoever sends them. */
import { status as Code, Metadata } from '@grpc/grpc-js'
import { AsktellError, ERRORS, type Reason } from '../../core/errors.js'
import { asError, statusDetails } from '../errors.js'

export const DETAILS = 'grpc-status-details-bin'

type Status = { code: Code; details: string; metadata?: Metadata | null }

export function toStatus(thrown: unknown): Status & { metadata: Metadata } {
  const error = asError(thrown)
  const metadata = new Metadata()
  metadata.set(DETAILS, Buffer.from(statusDetails(error)))
  return { code: ERRORS[error.reason].grpc, details: error.message, metadata }
}

/** Statuses that grpc-js makes by itself: limits, deadlines, encodings. */
const REASONS: { readonly [code: number]: Reason } = {
  [Code.RESOURCE_EXHAUSTED]: 'MESSAGE_TOO_LARGE',
  [Code.DEADLINE_EXCEEDED]: 'DEADLINE',
  [Code.UNIMPLEMENTED]: 'UNSUPPORTED',
  [Code.INTERNAL]: 'INTERNAL',
}

/** The same status with a reason in its details; as it is when it has one, is OK or is not of grpc-js. */
export function withReason(status: Status): Status {
  const reason = REASONS[status.code]
  if (!reason || (status.metadata?.get(DETAILS).length ?? 0) > 0) return status
  return toStatus(new AsktellError(reason, status.details))
}
