/** Path templates of google.api.http: "/v1/{name=sessions/*}:ask", "/v1/{session.name=sessions/*}". */

export type Template = {
  /** The path's variables as field paths of the request, or undefined when the path is another's. */
  match(path: string): Record<string, string> | undefined
  /** As OpenAPI writes it, and the parameters in it: the wildcard of "sessions/*" becomes "{session}". */
  openapi: string
  parameters: readonly { name: string; field: string; prefix: string }[]
}

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

export function compile(template: string): Template {
  const fields: string[] = []
  const parameters: { name: string; field: string; prefix: string }[] = []
  let pattern = ''
  let openapi = ''
  let at = 0
  for (const variable of template.matchAll(/\{([\w.]+)(?:=([^}]*))?\}/g)) {
    const [whole, field, shape = '*'] = variable
    const literal = template.slice(at, variable.index)
    at = variable.index + whole.length
    fields.push(field)
    pattern += `${literally(literal)}(${shape.split('*').map(literally).join('[^/:]+')})`
    const prefix = shape.slice(0, shape.indexOf('*'))
    const name = prefix.split('/').at(-2)?.replace(/s$/, '') ?? field.split('.').at(-1) ?? field
    parameters.push({ name, field, prefix })
    openapi += literal + shape.replace('*', `{${name}}`)
  }
  const rest = template.slice(at)
  const regex = new RegExp(`^${pattern}${literally(rest)}$`)
  return {
    openapi: openapi + rest,
    parameters,
    match(path) {
      const found = regex.exec(path)
      return found ? Object.fromEntries(fields.map((field, i) => [field, found[i + 1]])) : undefined
    },
  }
}
