/** Papers that several methods of this folder stand on. */
import type { Reference } from '../../core/method.js'

export const DAMPED: Reference = {
  authors: 'S. Hanzely, F. Abdukhakimov, M. Takac',
  title: 'Damped Newton Method with Near-Optimal Global O(k^{-3}) Convergence Rate',
  year: 2024,
  url: 'https://arxiv.org/abs/2405.18926',
}
export const CUBIC: Reference = {
  authors: 'S. Hanzely, D. Kamzolov, D. Pasechnyuk, A. Gasnikov, P. Richtarik, M. Takac',
  title: 'A Damped Newton Method Achieves Global O(1/k^2) and Local Quadratic Convergence Rate',
  year: 2022,
  url: 'https://arxiv.org/abs/2211.00140',
}
