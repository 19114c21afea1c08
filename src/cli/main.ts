#!/usr/bin/env node
/** The `asktell` command. */
import { Command, CommanderError } from 'commander'
import { version } from '../core/version.js'

type Located = Error & { reason?: string; issues?: readonly { path: string; message: string }[] }

const program = new Command('asktell')
  .description('Optimization as a service: sessions ask, clients tell.')
  .version(version)
  .showHelpAfterError()
  .exitOverride()

// The modules of the server take half a second to load, and those of the client a fifth: none waits for the other's.
const [command] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'))
const serves = ['serve', 'config'].includes(command)
if (serves || [undefined, 'help'].includes(command)) (await import('./serve.js')).addServeCommands(program)
if (!serves) (await import('./sessions.js')).addSessionCommands(program)

// A reader such as `head` that has seen enough is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof CommanderError) process.exit(thrown.exitCode)
  const error = thrown as Located
  process.stderr.write(`asktell: ${error.reason ? `${error.reason}: ` : ''}${error.message}\n`)
  const { issues = [] } = error
  // One issue is the message already.
  for (const { path, message } of issues.length > 1 ? issues : []) process.stderr.write(`  ${path}: ${message}\n`)
  process.exit(error.reason ? 2 : 1)
}
