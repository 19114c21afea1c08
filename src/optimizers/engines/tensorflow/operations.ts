/** The functions of the language as operations of TensorFlow.js. Truth values are 0 and 1 in float32. */
import type { ElementFunction, Reduction } from '../../language/program.js'
import type { TensorFlow } from './package.js'

type Tf = typeof TensorFlow
type Tensor = TensorFlow.Tensor
type Operation = (tf: Tf, a: Tensor, b: Tensor, c: Tensor) => Tensor

const number = (truth: Tensor): Tensor => truth.cast('float32')
const truth = (tf: Tf, a: Tensor): Tensor => tf.notEqual(a, 0)

export const OPERATIONS: Readonly<Record<ElementFunction, Operation>> = {
  '+': (tf, a, b) => tf.add(a, b),
  '-': (tf, a, b) => tf.sub(a, b),
  '*': (tf, a, b) => tf.mul(a, b),
  '/': (tf, a, b) => tf.div(a, b),
  '^': (tf, a, b) => tf.pow(a, b),
  negate: (tf, a) => tf.neg(a),
  '<': (tf, a, b) => number(tf.less(a, b)),
  '<=': (tf, a, b) => number(tf.lessEqual(a, b)),
  '>': (tf, a, b) => number(tf.greater(a, b)),
  '>=': (tf, a, b) => number(tf.greaterEqual(a, b)),
  '==': (tf, a, b) => number(tf.equal(a, b)),
  '!=': (tf, a, b) => number(tf.notEqual(a, b)),
  and: (tf, a, b) => number(tf.logicalAnd(truth(tf, a), truth(tf, b))),
  or: (tf, a, b) => number(tf.logicalOr(truth(tf, a), truth(tf, b))),
  not: (tf, a) => number(tf.equal(a, 0)),
  select: (tf, a, b, c) => tf.where(truth(tf, a), b, c),
  abs: (tf, a) => tf.abs(a),
  // Its own sign of NaN is 0.
  sign: (tf, a) => tf.where(tf.equal(a, a), tf.sign(a), a),
  sqrt: (tf, a) => tf.sqrt(a),
  exp: (tf, a) => tf.exp(a),
  log: (tf, a) => tf.log(a),
  tanh: (tf, a) => tf.tanh(a),
  sin: (tf, a) => tf.sin(a),
  cos: (tf, a) => tf.cos(a),
  floor: (tf, a) => tf.floor(a),
  ceil: (tf, a) => tf.ceil(a),
  round: (tf, a) => tf.round(a),
  isfinite: (tf, a) => number(tf.isFinite(a)),
  min: (tf, a, b) => tf.minimum(a, b),
  max: (tf, a, b) => tf.maximum(a, b),
}

const numberOf = (tensor: Tensor): number => tensor.dataSync()[0]

/** Products of which no part has left the normal range of float32 add up to something between. */
const LEAST = 1e-24
const MOST = 1e37

/**
 * A sum of products; where float32 squares may have over- or underflowed, of values that a power of two moves away from
 * the ends. Binaries take denormals for zero, and a factor, unlike a quotient, leaves them that.
 */
function product(tf: Tf, a: Tensor, b: Tensor): number {
  const plain = numberOf(tf.sum(tf.mul(a, b)))
  if (Math.abs(plain) > LEAST && Math.abs(plain) < MOST) return plain
  const [p, q] = [a, b].map((tensor) => {
    const largest = numberOf(tf.max(tf.abs(tensor)))
    return largest < 2 ** -50 ? 2 ** 100 : largest > 2 ** 50 ? 2 ** -100 : 1
  })
  return numberOf(tf.sum(tf.mul(tf.mul(a, p), tf.mul(b, q)))) / p / q
}

/** What the elements of a block add to a reduction: of a norm the sum of squares, of a mean the sum. */
export const PARTS: Readonly<Record<Reduction, (tf: Tf, a: Tensor, b: Tensor) => number>> = {
  sum: (tf, a) => numberOf(tf.sum(a)),
  mean: (tf, a) => numberOf(tf.sum(a)),
  norm: (tf, a) => product(tf, a, a),
  dot: (tf, a, b) => product(tf, a, b),
  max: (tf, a) => numberOf(tf.max(a)),
  min: (tf, a) => numberOf(tf.min(a)),
}

/** Reductions over one axis, which stays with length 1. */
export const ALONG: Readonly<Partial<Record<Reduction, (tf: Tf, a: Tensor, axis: number) => Tensor>>> = {
  sum: (tf, a, axis) => tf.sum(a, axis, true),
  mean: (tf, a, axis) => tf.mean(a, axis, true),
  max: (tf, a, axis) => tf.max(a, axis, true),
}
