import { fromBinary } from '@bufbuild/protobuf'
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './gen/google/rpc/error_details_pb.js'
import { StatusSchema } from './gen/google/rpc/status_pb.js'

/** What is wrong with one field of the request. */
export type Issue = { path: string; message: string }

/** A refusal by the server, or a failed connection. `reason` is stable: branch on it, never on the text. */
export class AsktellError extends Error {
  constructor(
    readonly reason: string,
    message: string,
    readonly code: number,
    readonly issues: readonly Issue[] = [],
    /** Seconds to wait before the next try, where the server said so. */
    readonly retryAfter?: number,
  ) {
    super(message)
    this.name = 'AsktellError'
  }
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && 'details' in error

/** The typed form of what grpc-js throws; other errors pass through. */
export function toError(error: unknown): unknown {
  if (!isServiceError(error)) return error
  const metadata = error.metadata instanceof Metadata ? error.metadata : new Metadata()
  const [details] = metadata.get('grpc-status-details-bin')
  let reason: string = status[error.code] ?? 'UNKNOWN'
  let issues: Issue[] = []
  let retryAfter: number | undefined
  if (details instanceof Uint8Array) {
    for (const { typeUrl, value } of fromBinary(StatusSchema, details).details) {
      if (typeUrl.endsWith('google.rpc.ErrorInfo')) reason = fromBinary(ErrorInfoSchema, value).reason
      if (typeUrl.endsWith('google.rpc.BadRequest'))
        issues = fromBinary(BadRequestSchema, value).fieldViolations.map(({ field, description }) => ({
          path: field,
          message: description,
        }))
      if (typeUrl.endsWith('google.rpc.RetryInfo')) {
        const delay = fromBinary(RetryInfoSchema, value).retryDelay
        if (delay) retryAfter = Number(delay.seconds) + delay.nanos / 1e9
      }
    }
  }
  return new AsktellError(reason, error.details, error.code, issues, retryAfter)
}

/** Whether the same request, with the same request id, may simply be sent again. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof AsktellError && error.code === status.UNAVAILABLE
