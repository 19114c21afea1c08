/**
 * Strong growth of stochastic gradients, E|g(w)|^2 <= rho*|grad f(w)|^2: Vaswani, Bach, Schmidt, "Fast and Faster Convergence
 * of SGD for Over-Parameterized Models and an Accelerated Perceptron", AISTATS 2019.
 */
import type { Tensors } from '../../core/tensor.js'
import { inner } from '../flat.js'

/**
 * What rho has to be at least at a point: the mean square of gradients of batches over that of the full gradient. Infinite
 * where the latter is zero and not all of them are; NaN, which says nothing, where all are.
 */
export const strongGrowth = (batches: readonly Tensors[], full: Tensors): number =>
  batches.reduce((sum, g) => sum + inner(g, g), 0) / batches.length / inner(full, full)
