/** What one session may still spend on its model: every call is let through here, so that the caps of its budget hold. */
import type { Usage } from '../core/query.js'
import type { Sessions } from '../sessions/api.js'

export type Prices = { promptTokenPrice: number; completionTokenPrice: number }
type Amount = { calls: number; tokens: number; money: number }

/** A call that was let through: the most tokens that each of its choices may take, and what to call at its end. */
export type Permit = { maxTokens?: number; end(used: Required<Usage>): void }
export type Request = { choices: number; promptBytes: number; maxTokens?: number }

export class Spending {
  /** Used by calls, or held back for those in flight, while the session does not know of it. */
  private owed: Amount = { calls: 0, tokens: 0, money: 0 }
  private readonly inFlight = new Set<Promise<void>>()
  private turn: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly sessions: Sessions,
    private readonly id: string,
    private readonly prices: Prices,
  ) {}

  /** What is left of the session's budget; infinite where it has no cap. */
  left(): Promise<Amount> {
    return this.alone(async () => {
      const { budget, usage } = await this.sessions.get(this.id, { stateHash: false })
      const left = (cap: number | undefined, used: number) => (cap ? cap - used : Infinity)
      return {
        calls: left(budget?.maxCalls, usage.calls + this.owed.calls),
        tokens: left(budget?.maxTokens, usage.promptTokens + usage.completionTokens + this.owed.tokens),
        money: left(budget?.maxMoney, usage.money + this.owed.money),
      }
    })
  }

  /**
   * Lets a call through, or says by undefined that the budget is used up. A reply's size is known when it is there: a
   * call that might not fit waits until no other is in flight, so that caps on tokens and money are overrun by no more
   * than one reply.
   */
  async permit(request: Request): Promise<Permit | undefined> {
    for (;;) {
      const left = await this.left()
      const others = this.inFlight.size
      const permit = this.hold(request, left)
      if (permit || others === 0) return permit
      await Promise.race(this.inFlight)
    }
  }

  /** Tells the session what calls have used, by way of `tell`; what it takes is its own to count from then on. */
  settle(used: Required<Usage>, tell: () => Promise<void>): Promise<void> {
    return this.alone(async () => {
      await tell()
      this.owe(amount(used), -1)
    })
  }

  private hold({ choices, promptBytes, maxTokens = Infinity }: Request, left: Amount): Permit | undefined {
    if (left.calls < 1 || left.tokens <= 0 || left.money <= 0) return undefined
    const { promptTokenPrice, completionTokenPrice } = this.prices
    const affordable = completionTokenPrice > 0 ? left.money / completionTokenPrice : Infinity
    const each = Math.min(maxTokens, Math.max(1, Math.floor(Math.min(left.tokens, affordable) / choices)))
    // No more is known than that a token takes a byte or more.
    const completionTokens = each === Infinity ? 0 : choices * each
    const held = {
      calls: 1,
      tokens: promptBytes + completionTokens,
      money: promptBytes * promptTokenPrice + completionTokens * completionTokenPrice,
    }
    if (this.inFlight.size > 0 && (held.tokens > left.tokens || held.money > left.money)) return undefined
    this.owe(held, 1)
    let ended = () => {}
    const call = new Promise<void>((resolve) => {
      ended = resolve
    })
    this.inFlight.add(call)
    return {
      maxTokens: each === Infinity ? undefined : each,
      end: (used) => {
        this.owe(held, -1)
        this.owe(amount(used), 1)
        this.inFlight.delete(call)
        ended()
      },
    }
  }

  private owe({ calls, tokens, money }: Amount, sign: 1 | -1): void {
    this.owed.calls += sign * calls
    this.owed.tokens += sign * tokens
    this.owed.money += sign * money
  }

  /** One at a time: between the session's count and this one nothing may be counted twice or not at all. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work)
    this.turn = result.catch(() => {})
    return result
  }
}

const amount = ({ calls, promptTokens, completionTokens, money }: Required<Usage>): Amount => ({
  calls,
  tokens: promptTokens + completionTokens,
  money,
})
