/**
 * The TensorFlow.js that the user installed beside asktell. Its binary may be missing, of another platform, or crash the
 * process that loads it: each package is tried in a process of its own before this one loads it.
 */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import type * as TensorFlow from '@tensorflow/tfjs'
import { AsktellError } from '../../../core/errors.js'

export type { TensorFlow }

/** Optional peers, best first. */
const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']
/** Slow and without a binary. The others bring it along: it is taken only where none of them is installed. */
const PLAIN = '@tensorflow/tfjs'
const TRIAL_TIMEOUT = 60_000
const TRIAL = `const tf = require(process.argv[1])
tf.enableProdMode()
tf.ready().then(() => {
  const sum = tf.tensor1d([1, 2, 3]).square().sum().dataSync()[0]
  if (sum !== 14) throw new Error('1 + 4 + 9 came out as ' + sum)
  console.log(JSON.stringify({ backend: tf.getBackend(), version: tf.version_core }))
}).catch((error) => {
  console.error(String(error))
  process.exit(1)
})`

export type Loaded = { tf: typeof TensorFlow; about: string }

/**
 * Loads the first package that works. `from` is a module beside which packages are looked for.
 *
 * @throws AsktellError UNSUPPORTED that says what to install, or why what is installed does not run.
 */
export async function loadTensorFlow(from: string = import.meta.url): Promise<Loaded> {
  const require = createRequire(from)
  const broken: string[] = []
  for (const name of [...PACKAGES, PLAIN]) {
    const path = resolved(require, name)
    if (!path || (name === PLAIN && broken.length > 0)) continue
    try {
      const { backend, version } = await trial(path)
      const tf: typeof TensorFlow = require(path)
      // Without it, the plain package advises on each start to install another.
      tf.enableProdMode()
      await tf.ready()
      return { tf, about: [`${name} ${version} on its backend "${backend}", in float32`, ...broken].join('. ') }
    } catch (error) {
      broken.push(`${name} is installed and does not run: ${(error as Error).message}`)
    }
  }
  throw new AsktellError('UNSUPPORTED', [...broken, INSTALL].join('. '))
}

const INSTALL =
  'The tensorflow engine needs a TensorFlow.js of version 4 beside asktell: npm install @tensorflow/tfjs-node (CPU), ' +
  '@tensorflow/tfjs-node-gpu (CUDA), or @tensorflow/tfjs (no binary, slow)'

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name)
  } catch {
    return undefined
  }
}

function trial(path: string): Promise<{ backend: string; version: string }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['-e', TRIAL, path], { timeout: TRIAL_TIMEOUT }, (error, stdout, stderr) => {
      if (!error) return resolve(JSON.parse(stdout.trim().split('\n').at(-1) as string))
      const lines = stderr.split('\n').map((line) => line.trim())
      const cause = lines.find((line) => /^\w*Error: /.test(line)) ?? lines.findLast((line) => line !== '')
      const end = error.signal ? `it was ended by ${error.signal}` : `it ended with code ${error.code}`
      reject(new Error(cause ?? end))
    })
  })
}
