/** Rules that between them use all of the language, with hyperparameters for a test run. */
import type { RuleSource } from '../../../src/optimizers/language/program.js'

export type TestRule = {
  source: RuleSource
  scalars: Record<string, number>
  /** Passes of the fused kernel. */
  passes: number
  /** For rules that need rank >= 2 everywhere. */
  matricesOnly?: boolean
}

type Kinds = { [slot: string]: RuleSource['slots'][string]['kind'] }
const rule = (
  passes: number,
  text: string,
  slots: Kinds,
  scalars: Record<string, number>,
  inputs?: string[],
): TestRule => ({
  passes,
  scalars,
  source: {
    text,
    slots: Object.fromEntries(Object.entries(slots).map(([name, kind]) => [name, { kind }])),
    hyperparameters: Object.keys(scalars),
    inputs,
  },
})

const ADAM = `m = beta1*m + (1 - beta1)*g
v = beta2*v + (1 - beta2)*g^2
x = x - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)`
const ADAM_SLOTS: Kinds = { m: 'tensor', v: 'tensor' }
const ADAM_SCALARS = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8 }

export const RULES: Record<string, TestRule> = {
  sgd: rule(1, 'x = x - lr*g', {}, { lr: 0.1 }),
  momentum: rule(1, 'b = mu*b + g\nx = x - lr*b', { b: 'tensor' }, { lr: 0.1, mu: 0.9 }),
  nesterov: rule(1, 'b = mu*b + g\nx = x - lr*(g + mu*b)', { b: 'tensor' }, { lr: 0.1, mu: 0.9 }),
  adam: rule(1, ADAM, ADAM_SLOTS, ADAM_SCALARS),
  adamw: rule(1, `x = x - lr*wd*x\n${ADAM}`, ADAM_SLOTS, { ...ADAM_SCALARS, wd: 0.1 }),
  amsgrad: rule(
    1,
    `m = beta1*m + (1 - beta1)*g
v = beta2*v + (1 - beta2)*g^2
w = max(w, v)
x = x - lr*m/(sqrt(w) + eps)`,
    { ...ADAM_SLOTS, w: 'tensor' },
    ADAM_SCALARS,
  ),
  adamax: rule(
    1,
    'm = beta1*m + (1 - beta1)*g\nu = max(beta2*u, abs(g) + eps)\nx = x - lr/(1 - beta1^t)*m/u',
    { m: 'tensor', u: 'tensor' },
    ADAM_SCALARS,
  ),
  lion: rule(
    1,
    'x = x - lr*(sign(beta1*m + (1 - beta1)*g) + wd*x)\nm = beta2*m + (1 - beta2)*g',
    { m: 'tensor' },
    { lr: 0.01, beta1: 0.9, beta2: 0.99, wd: 0.1 },
  ),
  clippedAdam: rule(
    2,
    `n = norm(g, all)\nh = g*min(1, c/(n + eps))\n${ADAM.replaceAll('g', 'h')}\nreport norm = n`,
    ADAM_SLOTS,
    { ...ADAM_SCALARS, c: 1 },
  ),
  clippedPerTensor: rule(2, 'x = x - lr*g*min(1, c/(norm(g) + eps))', {}, { lr: 0.1, c: 1, eps: 1e-12 }),
  lamb: rule(
    2,
    `m = beta1*m + (1 - beta1)*g
v = beta2*v + (1 - beta2)*g^2
u = m/(1 - beta1^t)/(sqrt(v/(1 - beta2^t)) + eps) + wd*x
w = norm(x)
n = norm(u)
x = x - lr*(w > 0 and n > 0 ? w/n : 1)*u`,
    ADAM_SLOTS,
    { ...ADAM_SCALARS, wd: 0.1 },
  ),
  cautious: rule(
    2,
    `m = beta1*m + (1 - beta1)*g
mask = m*g > 0
x = x - lr*m*mask/max(mean(mask), 0.001)`,
    { m: 'tensor' },
    { lr: 0.1, beta1: 0.9 },
  ),
  adafactor: rule(
    3,
    `u2 = g^2 + eps
r = beta2*r + (1 - beta2)*rowMean(u2)
c = beta2*c + (1 - beta2)*colMean(u2)
v = matrix ? v : beta2*v + (1 - beta2)*u2
u = matrix ? g/sqrt(r/mean(r)*c) : g/sqrt(v)
rms = sqrt(mean(u^2))
x = x - lr*u/max(1, rms)`,
    { r: 'row', c: 'column', v: 'tensor' },
    { lr: 0.01, beta2: 0.99, eps: 1e-10 },
  ),
  dog: rule(
    2,
    `x0 = t == 1 ? x : x0
r = max(r, norm(x - x0, all))
G = G + norm(g, all)^2
report distance = r
x = x - max(r, r0)/sqrt(G + eps)*g`,
    { x0: 'tensor', r: 'global', G: 'global' },
    { r0: 1e-3, eps: 1e-8 },
  ),
  prodigyLike: rule(
    2,
    `x0 = t == 1 ? x : x0
s = beta*s + lr*d*g
n = beta*n + lr*d*dot(g, x0 - x, all)
d = max(d, n/max(sum(abs(s), all), eps))
x = x - lr*max(d, d0)*g
report d = d`,
    { x0: 'tensor', s: 'tensor', n: 'global', d: 'global' },
    { beta: 0.9, lr: 0.1, d0: 1e-4, eps: 1e-12 },
  ),
  rprop: rule(
    1,
    `p = g*h
s = p > 0 ? min(s*1.2, high) : (p < 0 ? max(s*0.5, low) : max(s, low))
k = p < 0 ? 0 : g
x = x - sign(k)*s
h = k`,
    { s: 'tensor', h: 'tensor' },
    { low: 1e-6, high: 50 },
  ),
  selects: rule(
    1,
    `a = not (g > 0.5) and (x <= 0 or g != x)
b = select(a, floor(g), ceil(x)) + round(g*2)
c = clip(b, -3, 3)*isfinite(g) + (g >= x) - (g == x)
x = x + lr*(a ? tanh(c) : sin(c)*cos(x)) + lr*exp(-abs(c)) - lr*log(1 + abs(c)) + lr*abs(c)^1.7 + lr*c^3 + lr/(2 + c^-2)`,
    {},
    { lr: 0.1 },
  ),
  noise: rule(
    1,
    'x = x - lr*(g + sigma*normal()) + lr*uniform() - lr*rademacher()*exponential() + lr*normal()',
    {},
    { lr: 0.1, sigma: 0.5 },
  ),
  perTensorState: rule(
    2,
    `n = beta*n + (1 - beta)*norm(g)^2
count = count + size
x = x - lr*g/(sqrt(n) + eps)*sqrt(size/sizeAll)
report total = sum(n, all)
report largest = max(n, all)
report mean = mean(count, all)`,
    { n: 'scalar', count: 'scalar' },
    { lr: 0.1, beta: 0.9, eps: 1e-8 },
  ),
  oldValuesLate: rule(
    2,
    `old = x
a = norm(g, all)
x = x - lr*g
m = old + g
report moved = norm(x - old*a, all)
report m = max(m, all)
report least = min(m - old, all)`,
    { m: 'tensor' },
    { lr: 0.1 },
  ),
  overwrittenEarly: rule(
    2,
    `old = m
m = tanh(m + g)
n = norm(m, all)
x = x - lr*old/(1 + n) + lr*m
y = x + m
report gain = sum(old*m/(1 + n), all)`,
    { m: 'tensor' },
    { lr: 0.1 },
  ),
  swap: rule(
    2,
    `k = a
a = b + 1
b = k
p = rowMax(g)
c = norm(g, all)
q = s
s = r
r = q + norm(g)
x = x + a - b + lr*c + lr*r`,
    { a: 'tensor', b: 'tensor', r: 'scalar', s: 'scalar' },
    { lr: 0.01 },
  ),
  spills: rule(
    3,
    `u = tanh(g)/(1 + abs(x))
n = norm(u, all)
w = sqrt(abs(u))/(n + 1)
k = norm(w)
x = x - lr*u*w/(1 + k) + h*lr`,
    {},
    { lr: 0.1 },
    ['h'],
  ),
  rowsAndColumns: rule(
    3,
    `r = rowMean(abs(g)) + 0.1*r
c = colMax(g) - 0.1*c
k = rowSum(g)*max(r) + rowMax(x)
j = colSum(x^2)
y = matrix ? g*k/(1 + abs(c)) + j*norm(k) - mean(j) : g
x = x - lr*y/(1 + norm(y, all))
report rows = sum(r, all)`,
    { r: 'row', c: 'column' },
    { lr: 0.1 },
  ),
}
