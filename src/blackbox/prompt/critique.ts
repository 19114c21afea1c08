/** What apo says to a language model, and how it reads the replies. The roles are those of the paper, appendix A. */
import type { Problem } from '../../core/space.js'

/** An example that a prompt got wrong, and the answer it gave. */
export type Wrong = { example: number; output: string }
type Request =
  | { kind: 'critique'; prompt: string; errors: Wrong[] }
  | { kind: 'edit'; prompt: string; errors: Wrong[]; gradient: string }
  | { kind: 'paraphrase'; text: string }

/** Texts between balanced <START> and <END>. */
export const tagged = (reply: string): string[] =>
  [...reply.matchAll(/<START>((?:(?!<START>|<END>)[\s\S])*)<END>/g)].map(([, text]) => text.trim()).filter(Boolean)

/** What a completion asks. The prompt stands between <PROMPT> tags, so that it cannot be mistaken for the request. */
export function requestOf(
  { gradientsPerError, stepsPerGradient }: { gradientsPerError: number; stepsPerGradient: number },
  { task }: Problem,
  job: Request,
): string {
  if (job.kind === 'paraphrase')
    return `Write a variation of this prompt that keeps its meaning. Answer with the new prompt alone.\n\n<PROMPT>\n${job.text}\n</PROMPT>`
  const errors = job.errors.map(({ example, output }, i) => {
    const { input, expected } = task!.examples![example]
    return `Example ${i + 1}\nInput: ${input}\nExpected: ${expected}\nAnswer: ${output}`
  })
  const [what, request] =
    job.kind === 'critique'
      ? ['', `Give ${gradientsPerError} reasons why the prompt could have led to these errors.`]
      : [
          `The prompt has this problem: ${job.gradient}\n\n`,
          `Write ${stepsPerGradient} different improved prompts that solve it.`,
        ]
  return (
    `${task?.description ?? ''}\n\nA model was given this prompt:\n\n<PROMPT>\n${job.prompt}\n</PROMPT>\n\n` +
    `With it, these examples are answered wrongly:\n\n${errors.join('\n\n')}\n\n${what}${request} ` +
    'Put each between <START> and <END>.'
  ).trimStart()
}
