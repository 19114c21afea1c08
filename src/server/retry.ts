/** When a request to a model endpoint is tried again. */
import OpenAI from 'openai'

/** Milliseconds of the first pause after a failure; doubled with each further one. */
export const PAUSE = 250
const LONGEST_PAUSE = 30_000
/** Further tries of a request that may go through later. Each is a call of its own to the budget. */
export const RETRIES = 2
/** Statuses of HTTP that may be gone at the next try. */
const PASSING = new Set([408, 409, 425, 429, 500, 502, 503, 504])

/** Resolves after so many milliseconds, or at once when the signal is aborted. */
export const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })

/** Whether the same request may go through later. */
export const passing = (error: unknown): boolean =>
  error instanceof OpenAI.APIConnectionError || (error instanceof OpenAI.APIError && PASSING.has(error.status ?? 0))

/** Milliseconds until the next try, where the endpoint says so. */
export const delay = (error: unknown): number | undefined => {
  const seconds =
    error instanceof OpenAI.APIError ? Number(error.headers?.get('retry-after') ?? Number.NaN) : Number.NaN
  return seconds >= 0 ? Math.min(LONGEST_PAUSE, 1000 * seconds) : undefined
}

export const backOff = (failures: number) => Math.min(LONGEST_PAUSE, PAUSE * 2 ** (failures - 1))
