/** Runs methods on the calling thread: no copies, for methods whose steps take well under a millisecond per megabyte. */
import { AsktellError } from '../../core/errors.js'
import { Loans } from '../../core/loan.js'
import type { AnyMethod, Run } from '../../core/method.js'
import type { Event } from '../../core/query.js'
import { decodeTree, encodeParts, Segments, type Tree } from '../../core/tree.js'
import { loadEngine } from '../../optimizers/engines/index.js'
import { type AnalysisTask, Analyst } from './analyst.js'
import type { Host, Hosts, Landing, Reaction, Setup } from './host.js'

/** What V8 says of arrays that are too large; other range errors are bugs. */
const OVERSIZE = /array.*(length|allocation)/i

export class InlineHosts implements Hosts {
  private readonly analyst = new Analyst()

  constructor(private readonly methods: ReadonlyMap<string, AnyMethod>) {}

  async open(setup: Setup): Promise<Host> {
    const method = this.methods.get(setup.method)
    if (!method) throw new AsktellError('METHOD_NOT_FOUND', `there is no method "${setup.method}"`)
    // Rules run on tensors. What engines need is large: it is loaded when the first of them is needed.
    if (setup.problem.space.kind === 'tensors') await loadEngine(setup.engine)
    try {
      return new InlineHost(method, setup)
    } catch (error) {
      if (!(error instanceof RangeError && OVERSIZE.test(error.message))) throw error
      const message = `${setup.method} needs more memory for this space than there is (${error.message})`
      throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'space', message }], cause: error })
    }
  }
  async analyze(task: Required<AnalysisTask>) {
    return this.analyst.analyze(task)!
  }
  async close() {}
}

class InlineHost implements Host {
  private run!: Run<unknown>
  private current!: Tree
  private readonly loans = new Loans()
  private landing?: Landing

  constructor(
    private readonly method: AnyMethod,
    setup: Setup,
  ) {
    this.restart(setup)
  }
  restart({ config, problem, engine, seed, earlier, state, stateVersion = this.method.stateVersion }: Setup): void {
    this.run = { config, problem, engine, earlier, memo: new Map() }
    if (!state) this.current = this.method.init(this.run, seed)
    else if (stateVersion === this.method.stateVersion) this.current = decodeTree(state)
    else this.current = this.method.migrate!(stateVersion, decodeTree(state))
  }
  step(events: readonly Event[]): Reaction {
    this.loans.settle()
    const { state, ...reaction } = this.method.step(this.run, this.current, events)
    this.current = state
    return reaction
  }
  reconfigure(config: unknown, changed: readonly string[]) {
    // What was derived from the old config is forgotten, as after a restart.
    this.run = { ...this.run, config, memo: new Map() }
    return this.step([{ type: 'reconfigure', changed }])
  }
  estimate() {
    return this.method.estimate(this.run, this.current)
  }
  view(name: string) {
    if (!this.method.view) throw new AsktellError('UNSUPPORTED', `${this.method.id} has no tensors to view`)
    return this.method.view(this.run, this.current, name)
  }
  land(queryId: string): Landing | undefined {
    const tensors = this.landing ? undefined : this.method.landing?.(this.run, this.current, queryId)
    if (!tensors) return undefined
    const landing: Landing = {
      tensors,
      end: () => {
        if (this.landing === landing) this.landing = undefined
      },
    }
    this.landing = landing
    return landing
  }
  lend(bytes: Uint8Array) {
    return this.loans.lend(bytes)
  }
  state() {
    return new Segments(encodeParts(this.current))
  }
  close() {}
}
