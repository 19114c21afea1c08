import OpenAI from 'openai'
import { afterAll, describe, expect, it } from 'vitest'
import { answer, follow, propose, SENTENCES } from '../../examples/local-endpoint/script.js'
import { MODEL, startLocalEndpoint } from '../../examples/local-endpoint/server.js'

const endpoint = await startLocalEndpoint()
afterAll(() => endpoint.close())
const client = new OpenAI({ baseURL: endpoint.baseUrl, apiKey: 'none', maxRetries: 0 })

const prompt = (texts: string[]) =>
  `Improve.\n\n${texts.map((text, i) => `text:\n${text}\nscore:\n${10 * i}`).join('\n\n')}\n\nWrite one new text.`

describe('the local endpoint', () => {
  it('speaks the protocol: models, choices, usage', async () => {
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([MODEL])
    const messages = [{ role: 'user' as const, content: prompt(['Use lower case.']) }]
    const reply = await client.chat.completions.create({ model: MODEL, messages, n: 5 })
    expect(reply.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4])
    for (const { message } of reply.choices) expect(message.content).toMatch(/^<INS>.*<\/INS>$/s)
    expect(reply.usage?.prompt_tokens).toBeGreaterThan(5)
    const again = await client.chat.completions.create({ model: MODEL, messages, n: 5 })
    expect(again).toEqual(reply)
  })

  it.each([
    ['no messages', { messages: [] }],
    ['a message without text', { messages: [{ role: 'user', content: null }] }],
    ['n of 0', { messages: [{ role: 'user', content: 'x' }], n: 0 }],
    ['n of a million', { messages: [{ role: 'user', content: 'x' }], n: 1_000_000 }],
  ])('refuses %s as the protocol does', async (_, body) => {
    const call = client.chat.completions.create({ model: MODEL, ...body } as never)
    await expect(call).rejects.toMatchObject({ status: 400 })
  })

  it('refuses what is not JSON, and paths that it does not have', async () => {
    const post = (path: string, body: string) => fetch(`${endpoint.baseUrl}${path}`, { method: 'POST', body })
    expect((await post('/chat/completions', '{')).status).toBe(400)
    expect((await post('/embeddings', '{}')).status).toBe(404)
  })
})

describe('the script', () => {
  it('follows the sentences that it knows, in the order in which they stand', () => {
    expect(follow('Remove punctuation. Please! Join the words with hyphens.', 'Hello, big World')).toBe(
      'Hello-big-World',
    )
    expect(follow('Remove accents. Use upper case.', 'déjà')).toBe('DEJA')
    expect(follow('Be kind.', 'as it is')).toBe('as it is')
    expect(
      answer(
        [
          { role: 'system', content: 'Use lower case.' },
          { role: 'user', content: 'ABC' },
        ],
        0,
      ),
    ).toBe('abc')
  })

  it('proposes texts of known sentences: others for other replies, and begins from nothing', () => {
    const known = Object.keys(SENTENCES)
    const texts = ['', known[0], `${known[0]} ${known[3]}`]
    const replies = Array.from({ length: 200 }, (_, k) => propose(prompt(texts), k))
    expect(new Set(replies).size).toBeGreaterThan(20)
    for (const reply of replies) expect(known.reduce((rest, s) => rest.replace(s, ''), reply).trim()).toBe('')
    const first = Array.from({ length: 200 }, (_, k) => propose(prompt(['']), k))
    expect(new Set(first)).toEqual(new Set(known))
  })

  it('says what it is to whoever asks something else', () => {
    expect(answer([{ role: 'user', content: 'Who are you?' }], 0)).toContain('not a language model')
  })
})
