/**
 * Bytes of arrays that are read by somebody while their owner may go on: read as they lie, and copied only when the owner is
 * about to change them before the reader is done.
 */
export class Loan {
  private at = 0

  constructor(
    private bytes: Uint8Array,
    private readonly ended: (loan: Loan) => void,
  ) {}

  /** Fills `into` with the next bytes; how many those are, 0 after the last. */
  read(into: Uint8Array): number {
    const next = this.bytes.subarray(this.at, this.at + into.length)
    into.set(next)
    this.at += next.length
    if (this.at === this.bytes.length) this.end()
    return next.length
  }

  /** Nobody will read on. */
  end(): void {
    this.ended(this)
  }

  /** The owner is about to change the array. */
  settle(): void {
    this.bytes = this.bytes.slice(this.at)
    this.at = 0
  }
}

/** What an owner has lent. */
export class Loans {
  private readonly open = new Set<Loan>()

  lend(bytes: Uint8Array): Loan {
    const loan = new Loan(bytes, (ended) => this.open.delete(ended))
    this.open.add(loan)
    return loan
  }

  /** To be called ahead of every change. */
  settle(): void {
    for (const loan of this.open) loan.settle()
    this.open.clear()
  }
}
