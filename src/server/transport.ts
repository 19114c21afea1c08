/** A port that is open. */
export type Transport = {
  port: number
  /** Tells probes that nothing new should come. */
  drain(): void
  /** Waits for the calls in flight until `deadline` aborts, then cuts the rest. */
  close(deadline: AbortSignal): Promise<void>
}
