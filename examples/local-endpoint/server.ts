/**
 * A server that speaks the OpenAI chat-completions protocol and answers from a script (script.ts): deterministic, free,
 * and without a language model. For trying out sessions with a resolver, and for tests.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer, type Message } from './script.js'

export const MODEL = 'local-script'
const MOST_BYTES = 4 << 20
const MOST_CHOICES = 128

export type LocalEndpoint = { baseUrl: string; close(): Promise<void> }

class BadRequest extends Error {}

const isMessage = (m: unknown): m is Message =>
  typeof m === 'object' &&
  m !== null &&
  typeof (m as Message).role === 'string' &&
  typeof (m as Message).content === 'string'

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) throw new BadRequest(`the body is larger than ${MOST_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    if (typeof body === 'object' && body !== null) return body
  } catch {}
  throw new BadRequest('the body is not a JSON object')
}

/** Tokens are words here: the script has no tokenizer. */
const tokens = (text: string) => text.split(/\s+/).filter(Boolean).length

function complete({ messages, n = 1, model = MODEL }: Record<string, unknown>) {
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage))
    throw new BadRequest('messages: expected a list of {role, content} with text content')
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > MOST_CHOICES)
    throw new BadRequest(`n: expected an integer from 1 to ${MOST_CHOICES}`)
  const replies = Array.from({ length: n }, (_, k) => answer(messages, k))
  const prompt = messages.reduce((sum, { content }) => sum + tokens(content), 0)
  const completion = replies.reduce((sum, reply) => sum + tokens(reply), 0)
  return {
    id: 'chatcmpl-script',
    object: 'chat.completion',
    created: 0,
    model,
    choices: replies.map((content, index) => ({
      index,
      message: { role: 'assistant', content },
      finish_reason: 'stop',
      logprobs: null,
    })),
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  }
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const refuse = (status: number, message: string) =>
    send(status, { error: { message, type: 'invalid_request_error', param: null, code: null } })
  try {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (request.method === 'POST' && pathname === '/v1/chat/completions') send(200, complete(await readJson(request)))
    else if (request.method === 'GET' && pathname === '/v1/models')
      send(200, { object: 'list', data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'asktell' }] })
    else refuse(404, `there is no ${request.method} ${pathname}`)
  } catch (error) {
    if (error instanceof BadRequest) refuse(400, error.message)
    else refuse(500, 'the script failed')
  }
}

/** Listens on loopback; port 0 picks a free one. */
export async function startLocalEndpoint(port = 0): Promise<LocalEndpoint> {
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
