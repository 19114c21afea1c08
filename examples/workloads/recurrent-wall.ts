/**
 * The error surface of one recurrent unit, whose gradients explode next to flat regions:
 * Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, figure 6.
 *
 * x_t = w*s(x_{t-1}) + b over 50 steps, s logistic, s(x_0) = 0.5; the error is (s(x_50) - 0.7)^2.
 */
const STEPS = 50
const TARGET = 0.7

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))

/** Error at (w, b) and its exact gradient, by forward recursion. */
export function recurrentWall(w: number, b: number): { error: number; gradient: [number, number] } {
  let s = 0.5
  // Derivatives of s by w and b.
  let sw = 0
  let sb = 0
  for (let t = 0; t < STEPS; t++) {
    const next = logistic(w * s + b)
    const slope = next * (1 - next)
    const dw = slope * (s + w * sw)
    const db = slope * (1 + w * sb)
    s = next
    sw = dw
    sb = db
  }
  const off = s - TARGET
  return { error: off * off, gradient: [2 * off * sw, 2 * off * sb] }
}
