/**
 * What the local endpoint says. It is a script and no language model: it knows a fixed list of sentences, can follow
 * them, and can put them together in new ways. Every reply is a function of the request's text and the reply's number.
 */
export type Message = { role: string; content: string }

const words = (text: string) => text.split(/\s+/).filter(Boolean)

/** The sentences that the script knows, each with what it does to a text when told so. */
export const SENTENCES: Readonly<Record<string, (text: string) => string>> = {
  'Use lower case.': (text) => text.toLowerCase(),
  'Use upper case.': (text) => text.toUpperCase(),
  'Remove accents.': (text) => text.normalize('NFD').replace(/\p{M}/gu, ''),
  'Remove punctuation.': (text) => text.replace(/[^\p{L}\p{N}\p{M}\s]/gu, ''),
  'Remove digits.': (text) => text.replace(/\p{N}/gu, ''),
  'Write "and" for "&".': (text) => text.replaceAll('&', 'and'),
  'Join the words with hyphens.': (text) => words(text).join('-'),
  'Join the words with underscores.': (text) => words(text).join('_'),
  'Sort the words.': (text) => words(text).sort().join(' '),
  'Reverse the order of the words.': (text) => words(text).reverse().join(' '),
  'Keep the first word.': (text) => words(text)[0] ?? '',
  'Leave out "the", "a" and "an".': (text) =>
    words(text)
      .filter((word) => !/^(the|an?)$/i.test(word))
      .join(' '),
}
const KNOWN = Object.keys(SENTENCES)

/** The known sentences of an instruction, in the order in which they stand there. */
const sentencesOf = (instruction: string): string[] =>
  KNOWN.filter((sentence) => instruction.includes(sentence)).sort(
    (a, b) => instruction.indexOf(a) - instruction.indexOf(b),
  )

/** Does to a text what an instruction says, sentence by sentence. What it does not know it leaves. */
export const follow = (instruction: string, text: string): string =>
  sentencesOf(instruction).reduce((result, sentence) => SENTENCES[sentence](result), text)

/** Numbers from 0 to n - 1 that look random and depend on a text alone (FNV-1a, then xorshift). */
function numbers(text: string): (n: number) => number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return (n) => {
    h ^= h << 13
    h ^= h >>> 17
    h ^= h << 5
    return (h >>> 0) % n
  }
}

/**
 * A new text after a list of texts with scores, the best one last: one of the better half, with a sentence added at some
 * place, left out, replaced, or moved.
 */
export function propose(prompt: string, reply: number): string {
  const listed = [...prompt.matchAll(/^text:\n([\s\S]*?)\nscore:$/gm)].map((match) => match[1])
  const next = numbers(`${reply} ${prompt}`)
  // The first few numbers after seeding are close for close texts.
  for (let i = 0; i < 8; i++) next(2)
  const half = listed.slice(Math.floor(listed.length / 2))
  const base = next(2) === 0 ? listed.at(-1) : half[next(half.length)]
  const sentences = sentencesOf(base ?? '')
  const others = KNOWN.filter((sentence) => !sentences.includes(sentence))
  const edit = sentences.length === 0 ? 0 : next(4)
  const at = next(sentences.length + (edit === 0 ? 1 : 0) || 1)
  const fresh = others.length > 0 ? [others[next(others.length)]] : []
  if (edit === 0) sentences.splice(at, 0, ...fresh)
  else if (edit === 1) sentences.splice(at, 1)
  else if (edit === 2) sentences.splice(at, 1, ...fresh)
  else sentences.splice(next(sentences.length), 0, ...sentences.splice(at, 1))
  return sentences.join(' ')
}

/** Reply number `reply` to a conversation. */
export function answer(messages: readonly Message[], reply: number): string {
  const text = messages.map(({ content }) => content).join('\n')
  if (/^text:\n[\s\S]*?\nscore:$/m.test(text)) return `<INS>${propose(text, reply)}</INS>`
  const system = messages.find(({ role }) => role === 'system')
  const user = messages.findLast(({ role }) => role === 'user')
  if (system && user) return follow(system.content, user.content)
  return 'This is a script, not a language model. It continues lists of texts with scores, or follows a system message.'
}
