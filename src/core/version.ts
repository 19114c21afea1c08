/** The version of the package that this file is part of: as source, built, or in the bundle. */
import { readFileSync } from 'node:fs'

export const version: string = (() => {
  for (const up of ['../..', '../../..']) {
    try {
      const found = JSON.parse(readFileSync(new URL(`${up}/package.json`, import.meta.url), 'utf8'))
      if (found.name === 'asktell') return found.version
    } catch {}
  }
  return '0.0.0'
})()
