/** The engine on TensorFlow.js, for machines where its binary is the fastest, or the only, thing that runs. */
import { AsktellError } from '../../../core/errors.js'
import type { Engine } from '../engine.js'
import { buildGraph } from '../graph.js'
import { TensorflowKernel } from './kernel.js'
import { type Loaded, loadTensorFlow } from './package.js'

let loading: Promise<Loaded> | undefined

function load(): Promise<Loaded> {
  if (!loading) {
    loading = loadTensorFlow()
    // What is missing may be installed while the process runs.
    loading.catch(() => (loading = undefined))
  }
  return loading
}

/** What the engine runs on. Throws AsktellError UNSUPPORTED when no TensorFlow.js is installed that runs here. */
export const probeTensorflow = async (): Promise<string> => (await load()).about

/** @throws AsktellError UNSUPPORTED when no TensorFlow.js is installed that runs here. */
export async function loadTensorflowEngine(): Promise<Engine> {
  const { tf } = await load()
  return {
    id: 'tensorflow',
    compile(program, manifest, precision, packing) {
      if (precision === 'f64') {
        const message =
          'the tensorflow engine computes in float32; choose precision f32 and tensors of another dtype than f64, or another engine'
        throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'config.precision', message }] })
      }
      return new TensorflowKernel(tf, buildGraph(program), program, manifest, packing)
    },
  }
}
