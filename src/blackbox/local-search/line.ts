/**
 * The minimum along a line by values: R. P. Brent, "Algorithms for Minimization without Derivatives", 1973, chapter 5, as a
 * state that is asked for the next place and told the value there. Parabolas through the three best places, golden sections
 * where those do not help.
 */
export type Line = {
  /** The minimum lies between a and b; x is the best place, then w, then v. */
  a: number
  b: number
  x: number
  w: number
  v: number
  fx: number
  fw: number
  fv: number
  /** The last step and the one before. */
  d: number
  e: number
  /** The place that is asked. */
  u: number
  count: number
}

const GOLDEN = (3 - Math.sqrt(5)) / 2

/** A search from a to b, where the value at 0, between them, is known. */
export const startLine = (a: number, b: number, f: number): Line => {
  const [x, w, v] = [0, 0, 0]
  return { a, b, x, w, v, fx: f, fw: f, fv: f, d: 0, e: 0, u: 0, count: 0 }
}

/** The place to evaluate next, in `u` too; undefined when the best one is known to `tolerance`. */
export function nextPlace(line: Line, tolerance: number): number | undefined {
  const { a, b, x, w, v, fx, fw, fv } = line
  const middle = (a + b) / 2
  const close = tolerance * (Math.abs(x) + 0.01 * (b - a)) + Number.MIN_VALUE
  if (Math.abs(x - middle) <= 2 * close - (b - a) / 2) return undefined
  let step: number | undefined
  if (Math.abs(line.e) > close) {
    const r = (x - w) * (fx - fv)
    let q = (x - v) * (fx - fw)
    let p = (x - v) * q - (x - w) * r
    q = 2 * (q - r)
    if (q > 0) p = -p
    q = Math.abs(q)
    const inside = Math.abs(p) < Math.abs(0.5 * q * line.e) && p > q * (a - x) && p < q * (b - x)
    line.e = line.d
    if (inside) {
      step = p / q
      // The parabola has its minimum where the best place is.
      if (Math.abs(step) < close) return undefined
      const at = x + step
      if (at - a < 2 * close || b - at < 2 * close) step = x < middle ? close : -close
    }
  }
  if (step === undefined || !Number.isFinite(step)) {
    line.e = x < middle ? b - x : a - x
    step = GOLDEN * line.e
  }
  line.d = step
  // No nearer to the best place than makes a difference.
  line.u = x + (Math.abs(step) >= close ? step : step > 0 ? close : -close)
  line.count++
  return line.u
}

/** Takes the value at `u`. */
export function tellPlace(line: Line, f: number): void {
  const { u, x } = line
  if (f <= line.fx) {
    if (u < x) line.b = x
    else line.a = x
    ;[line.v, line.fv, line.w, line.fw, line.x, line.fx] = [line.w, line.fw, x, line.fx, u, f]
    return
  }
  if (u < x) line.a = u
  else line.b = u
  if (f <= line.fw || line.w === x) [line.v, line.fv, line.w, line.fw] = [line.w, line.fw, u, f]
  else if (f <= line.fv || line.v === x || line.v === line.w) [line.v, line.fv] = [u, f]
}
