/**
 * A tree of attempts at a text: every node has directions in which it may be changed, and each direction is an arm of a
 * bandit. Node 0 is the root, which has no text; its directions are the themes of the seeds, so that seeds are arms too.
 */
import type { Rng } from '../../core/rng.js'

/** `visits` and `value` are those of the arm; `child` is the node that it led to, null while there is none. */
export type Direction = { text: string; visits: number; value: number; child: number | null }
export type Node = {
  text: string
  score: number
  feedback: string
  /** Where it came from: a direction of its parent. Null for the root. */
  origin: { node: number; direction: number } | null
  directions: Direction[]
}
/** A direction of a node that is to be attempted. */
export type Attempt = { node: number; direction: number }

const arm = (text: string): Direction => ({ text, visits: 0, value: 0, child: null })

export const plant = (themes: readonly string[]): Node[] => [
  { text: '', score: 0, feedback: '', origin: null, directions: themes.map(arm) },
]

export function scatter(node: Node, directions: readonly string[]): void {
  node.directions = directions.map(arm)
}

/** value + c*sqrt(ln(sum of visits)/visits) of each arm; infinite for one that was never tried. */
export function upperBounds(arms: readonly Pick<Direction, 'visits' | 'value'>[], c: number): number[] {
  const total = arms.reduce((sum, { visits }) => sum + visits, 0)
  return arms.map(({ visits, value }) => (visits === 0 ? Infinity : value + c * Math.sqrt(Math.log(total) / visits)))
}

/** From the root along the arms of the largest bounds, the earlier of equals, to the first that has led nowhere yet. */
export const bestAttempt = (nodes: readonly Node[], c: number): Attempt =>
  walk(nodes, ({ directions }) => {
    const bounds = upperBounds(directions, c)
    return bounds.indexOf(Math.max(...bounds))
  })

/** The same along random arms, whatever is known of them. */
export const randomAttempt = (nodes: readonly Node[], rng: Rng): Attempt =>
  walk(nodes, ({ directions }) => rng.integer(directions.length))

function walk(nodes: readonly Node[], choose: (node: Node) => number): Attempt {
  let node = 0
  for (;;) {
    const direction = choose(nodes[node])
    const { child } = nodes[node].directions[direction]
    if (child === null) return { node, direction }
    node = child
  }
}

/** The best score at a node or below. */
const bestBelow = (nodes: readonly Node[], node: number): number =>
  nodes[node].directions.reduce(
    (best, { child }) => (child === null ? best : Math.max(best, bestBelow(nodes, child))),
    nodes[node].score,
  )

/**
 * An attempt is over: it led to a new node, or to nothing. Every arm on its path gets a visit, and as a reward the best
 * score at or below the node that it leads to. Returns the number of the new node.
 */
export function record(
  nodes: Node[],
  { node, direction }: Attempt,
  found: Pick<Node, 'text' | 'score' | 'feedback'> | null,
): number | null {
  const child = found && nodes.push({ ...found, origin: { node, direction }, directions: [] }) - 1
  nodes[node].directions[direction].child = child
  for (let at: Node['origin'] = { node, direction }; at; at = nodes[at.node].origin) {
    const tried = nodes[at.node].directions[at.direction]
    const reward = tried.child === null ? 0 : bestBelow(nodes, tried.child)
    tried.visits++
    tried.value += (reward - tried.value) / tried.visits
  }
  return child
}
