/**
 * One table of errors for both transports: a stable reason, a gRPC status code and an HTTP status.
 * Nothing else in the code base names a status number.
 */
export const ERRORS = {
  INVALID_ARGUMENT: { grpc: 3, http: 400, title: 'A field of the request is not valid' },
  CONFIG_INVALID: { grpc: 3, http: 400, title: 'The configuration of the method is not valid' },
  SPACE_INVALID: { grpc: 3, http: 400, title: 'The space is not valid' },
  OBSERVATION_INVALID: { grpc: 3, http: 400, title: 'The observation does not fit its query' },
  RULE_INVALID: { grpc: 3, http: 400, title: 'The update rule is not valid' },
  METHOD_UNSUITABLE: { grpc: 3, http: 400, title: 'The method cannot handle this problem' },
  MALFORMED: { grpc: 3, http: 400, title: 'The message could not be parsed' },
  REQUEST_ID_REUSED: { grpc: 3, http: 422, title: 'The request id was used before with another body' },
  MESSAGE_TOO_LARGE: { grpc: 8, http: 413, title: 'The message is larger than the limit' },
  UNAUTHENTICATED: { grpc: 16, http: 401, title: 'Credentials are missing or not valid' },
  PERMISSION_DENIED: { grpc: 7, http: 403, title: 'The caller may not do this' },
  SESSION_NOT_FOUND: { grpc: 5, http: 404, title: 'There is no such session' },
  METHOD_NOT_FOUND: { grpc: 5, http: 404, title: 'There is no such method' },
  QUERY_NOT_FOUND: { grpc: 5, http: 404, title: 'The session never asked this query' },
  TRIAL_NOT_FOUND: { grpc: 5, http: 404, title: 'The session has no such trial' },
  ROUTE_NOT_FOUND: { grpc: 12, http: 404, title: 'There is no such call' },
  METHOD_NOT_ALLOWED: { grpc: 12, http: 405, title: 'The path does not take this verb' },
  SESSION_EXISTS: { grpc: 6, http: 409, title: 'A session of this name exists' },
  REQUEST_IN_FLIGHT: { grpc: 10, http: 409, title: 'A request with this id is still being worked on' },
  REVISION_MISMATCH: { grpc: 10, http: 412, title: 'The session has moved on' },
  QUERY_RESOLVED: { grpc: 9, http: 409, title: 'The query has been answered or closed' },
  SESSION_CLOSED: { grpc: 9, http: 409, title: 'The session takes no more observations' },
  SHARED_MEMORY_LOST: { grpc: 9, http: 409, title: 'The shared memory, or what it held, is gone: send it again' },
  NOT_MUTABLE: { grpc: 9, http: 409, title: 'The field cannot be changed' },
  UNSUPPORTED: { grpc: 12, http: 501, title: 'This is not offered' },
  QUOTA_EXCEEDED: { grpc: 8, http: 429, title: 'A quota is used up' },
  OVERLOADED: { grpc: 8, http: 429, title: 'Too much is waiting; try again shortly' },
  STORAGE_FULL: { grpc: 8, http: 507, title: 'The store has no room' },
  STORE_FAILED: { grpc: 14, http: 503, title: 'The store could not be written' },
  STORE_CORRUPT: { grpc: 15, http: 500, title: 'Stored data is damaged' },
  DEADLINE: { grpc: 4, http: 504, title: 'The deadline passed' },
  CANCELLED: { grpc: 1, http: 499, title: 'The caller went away' },
  UNAVAILABLE: { grpc: 14, http: 503, title: 'The server is stopping or not ready' },
  INTERNAL: { grpc: 13, http: 500, title: 'The server failed' },
} as const

export type Reason = keyof typeof ERRORS

/** What is wrong with one field: where it is, what was expected there and, where it helps, what was found. */
export type Issue = { path: string; message: string }

/** The one error type that crosses a boundary. `issues` locate it; `retryAfter` is in seconds. */
export class AsktellError extends Error {
  readonly issues: readonly Issue[]
  readonly retryAfter?: number
  readonly metadata: Readonly<Record<string, string>>

  constructor(
    readonly reason: Reason,
    message: string,
    more: { issues?: readonly Issue[]; retryAfter?: number; metadata?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause })
    this.name = 'AsktellError'
    this.issues = more.issues ?? []
    this.retryAfter = more.retryAfter
    this.metadata = more.metadata ?? {}
  }
}

/** Throws one error of the given reason that lists all issues; does nothing when there are none. */
export function refuse(reason: Reason, issues: readonly Issue[]): void {
  if (issues.length === 0) return
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  throw new AsktellError(reason, `${first.path}: ${first.message}${more}`, { issues })
}
