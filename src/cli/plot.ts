/** Charts as files, drawn by Vega without a browser. */
import { writeFileSync } from 'node:fs'
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { Chart } from '../../clients/typescript/src/index.js'

/** One SVG below the other, or a page of them. */
export async function plot(charts: readonly Chart[], file: string): Promise<void> {
  const drawn = await Promise.all(charts.map(svgOf))
  writeFileSync(file, file.endsWith('.svg') ? stacked(drawn) : page(drawn))
}

const svgOf = async ({ spec }: Chart): Promise<string> =>
  new View(parse(compile(spec as unknown as TopLevelSpec).spec), { renderer: 'none' }).toSVG()

function stacked(drawn: readonly string[]): string {
  const size = (svg: string, side: string) => Number(new RegExp(` ${side}="([\\d.]+)"`).exec(svg)?.[1] ?? 0)
  let y = 0
  const placed = drawn.map((svg) => {
    const at = svg.replace('<svg ', `<svg y="${y}" `)
    y += size(svg, 'height')
    return at
  })
  const width = Math.max(0, ...drawn.map((svg) => size(svg, 'width')))
  const namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
  const paper = '<rect width="100%" height="100%" fill="white"/>'
  return `<svg ${namespaces} width="${width}" height="${y}">${paper}${placed.join('')}</svg>\n`
}

const page = (drawn: readonly string[]): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>asktell</title><style>body { font-family: sans-serif } figure { margin: 2em }</style></head>
<body>
${drawn.map((svg) => `<figure>${svg}</figure>`).join('\n')}
</body>
</html>
`
