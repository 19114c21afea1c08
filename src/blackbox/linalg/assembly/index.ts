/** The exports of the module. linalg.ts is the only caller. */
export { gemm, RESERVED } from './gemm'
export { crossGradient, crossKernel, kernelRows, likelihoodGradient, squaredColumns, weightedRows } from './kernel'
export { mixtureSums } from './mixture'
export { cholesky, dot, inverse, solve, solveTransposed, solveTransposedVector, solveVector } from './triangular'
