import { randomUUID } from 'node:crypto'

/** The caller's id when it is fit for a log line and a header, else a new one. */
export const requestId = (given: string | undefined): string =>
  given !== undefined && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
