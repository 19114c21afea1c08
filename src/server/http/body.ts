import type { IncomingMessage } from 'node:http'
import { AsktellError } from '../../core/errors.js'

/** The whole body. Refuses one above the limit by its announced length, or as soon as it has grown past the limit. */
export async function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const encoding = req.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new AsktellError('UNSUPPORTED', `content-encoding ${encoding} is not read`)
  const tooLarge = (bytes: number) =>
    new AsktellError('MESSAGE_TOO_LARGE', `expected a body of at most ${maxBytes} bytes, got ${bytes} or more`)
  const announced = Number(req.headers['content-length'] ?? 0)
  if (announced > maxBytes) throw tooLarge(announced)
  const chunks: Buffer[] = []
  let length = 0
  // Kept open when refused: the refusal still has to go out.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(length)
    chunks.push(chunk)
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length)
}
