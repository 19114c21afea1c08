/** Where the code of threads is. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { AsktellError } from './errors.js'

/** The built form of a module beside the caller, also when the caller runs from source. */
export function builtModule(url: URL): URL {
  const built = import.meta.url.endsWith('.ts') ? new URL(url.href.replace(/\/src\/(?!.*\/src\/)/, '/dist/src/')) : url
  const path = fileURLToPath(built)
  if (!existsSync(path))
    throw new AsktellError('INTERNAL', `a thread runs ${path}, which is missing: run "npm run build"`)
  return built
}
