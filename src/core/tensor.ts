/** Named tensors as the methods see them: flat float arrays with a manifest that gives their shapes. */
export const DTYPES = { f32: 4, f64: 8, bf16: 2, f16: 2 } as const
export type Dtype = keyof typeof DTYPES

/** One tensor of a manifest. `shape` [] is a scalar. `group` names a parameter group for per-group settings. */
export type TensorSpec = { name: string; shape: readonly number[]; dtype: Dtype; group?: string }

export type FloatArray = Float32Array | Float64Array
/** Values by tensor name, each of its spec's element count, row-major. */
export type Tensors = { readonly [name: string]: FloatArray }

/** Elements of a shape: 1 for a scalar. */
export const elements = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** Elements of all tensors of a manifest. */
export const totalElements = (specs: readonly TensorSpec[]): number =>
  specs.reduce((n, spec) => n + elements(spec.shape), 0)
