/** Prints what device the package finds. */
import { findAdapter, openDevice, PACKAGE } from './package.js'

try {
  const found = await findAdapter()
  const device = await openDevice(found)
  device.destroy()
  console.log(found.about)
  process.exit(0)
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException
  const missing = code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND'
  console.error(missing ? `it needs the package: npm install ${PACKAGE}` : message.split('\n')[0])
  process.exit(1)
}
