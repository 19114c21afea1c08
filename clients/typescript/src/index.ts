export {
  ANALYSIS_KINDS,
  type Analysis,
  type AnalysisKind,
  type AnalyzeOptions,
  type Chart,
  IMPORTANCE_METHODS,
  type ImportanceMethod,
} from './analysis.js'
export { Client, type CreateOptions } from './client.js'
export type { Lossy } from './encodings/index.js'
export { AsktellError, type Issue } from './errors.js'
export { type Encoding, ErrorFeedback, HeldCopy } from './lossy.js'
export { type MinimizeOptions, maximize, minimize, type Result, type RunningTrial, TrialPruned } from './minimize.js'
export type { Curvature, Observation, Point, Quantity, Query, Score, Status, StepResult, Terms, Want } from './query.js'
export { addMove, type Move } from './random/directions.js'
export { SeededIterate } from './seeded.js'
export type { AuditEntry, Budget, Estimate, Session, StepOptions, StreamOptions, Trial, WatchEvent } from './session.js'
export {
  type Constraint,
  categorical,
  float,
  int,
  items,
  ordinal,
  type Params,
  type ParamValue,
  permutation,
  type Scalar,
  type SearchSpace,
  search,
  tensors,
  text,
} from './space.js'
export type { FloatArray, Tensors } from './tensors.js'
export type { TransportOptions } from './transport.js'
