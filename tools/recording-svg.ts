import type { Look, Span } from "./terminal-screen.ts";

/** What a terminal showed from a time on. */
export interface Frame {
  readonly atMs: number;
  readonly rows: readonly (readonly Span[])[];
}

/** A row that stood on the screen for a while. */
interface Shown {
  readonly row: number;
  readonly spans: readonly Span[];
  readonly fromMs: number;
  toMs: number;
}

const CHARACTER_WIDTH = 8.4;
const LINE_HEIGHT = 19;
const PADDING = 16;
const BAR_HEIGHT = 30;
/** How long the last frame stays before all begins again. */
const LAST_MS = 8_000;

const colours: Readonly<Record<number, string>> = {
  31: "#ff7b72",
  32: "#7ee787",
  33: "#e3b341",
  34: "#79c0ff",
  35: "#d2a8ff",
  36: "#56d4dd",
};

/** An SVG that plays the frames again and again; without animation, and for readers who want less motion, it shows the last. */
export function renderRecording(frames: readonly Frame[], { columns, title }: { columns: number; title: string }): string {
  const endMs = (frames.at(-1)?.atMs ?? 0) + LAST_MS;
  const shown = collect(frames, endMs);
  const height = BAR_HEIGHT + PADDING * 2 + LINE_HEIGHT * Math.max(0, ...shown.map(({ row }) => row + 1));
  const width = Math.ceil(columns * CHARACTER_WIDTH + PADDING * 2);
  const animations = shown.map(({ fromMs, toMs }, index) => animation(index, fromMs, toMs, endMs));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<title>${escape(title)}</title>
<style>
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre; }
.gone { opacity: 0; }
@media (prefers-reduced-motion: no-preference) {
.r { animation: ${(endMs / 1000).toFixed(2)}s step-end infinite; }
${animations.join("\n")}
}
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<rect width="${width}" height="${BAR_HEIGHT}" rx="8" fill="#21262d"/>
<rect y="${BAR_HEIGHT / 2}" width="${width}" height="${BAR_HEIGHT / 2}" fill="#21262d"/>
${["#ff7b72", "#e3b341", "#7ee787"].map((fill, index) => `<circle cx="${20 + index * 20}" cy="${BAR_HEIGHT / 2}" r="6" fill="${fill}"/>`).join("")}
${shown.map((row, index) => renderRow(row, index, endMs)).join("\n")}
</svg>
`;
}

/** Each row's stretches of time; what does not change is there once. */
function collect(frames: readonly Frame[], endMs: number): Shown[] {
  const shown: Shown[] = [];
  const open = new Map<number, { key: string; entry: Shown | undefined }>();
  for (const { atMs, rows } of frames) {
    for (let row = 0; row < Math.max(rows.length, open.size); row += 1) {
      const spans = rows[row] ?? [];
      const key = JSON.stringify(spans);
      const before = open.get(row);
      if (before?.key === key) continue;
      if (before?.entry !== undefined) before.entry.toMs = atMs;
      const entry = spans.length === 0 ? undefined : { row, spans, fromMs: atMs, toMs: endMs };
      if (entry !== undefined) shown.push(entry);
      open.set(row, { key, entry });
    }
  }
  return shown.filter(({ fromMs, toMs }) => toMs - fromMs > 1);
}

function animation(index: number, fromMs: number, toMs: number, endMs: number): string {
  const percent = (ms: number): string => `${((ms / endMs) * 100).toFixed(3)}%`;
  const before = fromMs <= 0 ? "" : "0% { opacity: 0 } ";
  const after = toMs >= endMs ? "" : ` ${percent(toMs)} { opacity: 0 }`;
  return `@keyframes k${index} { ${before}${percent(fromMs)} { opacity: 1 }${after} } #r${index} { animation-name: k${index} }`;
}

function renderRow({ row, spans, toMs }: Shown, index: number, endMs: number): string {
  const y = BAR_HEIGHT + PADDING + LINE_HEIGHT * row + 14;
  const texts = spans.map(
    ({ column, text, look }) =>
      `<tspan x="${(PADDING + column * CHARACTER_WIDTH).toFixed(1)}" textLength="${(text.length * CHARACTER_WIDTH).toFixed(1)}"${attributes(look)}>${escape(text)}</tspan>`,
  );
  return `<text id="r${index}" class="r${toMs >= endMs ? "" : " gone"}" y="${y}" xml:space="preserve">${texts.join("")}</text>`;
}

function attributes({ colour, bold, dim }: Look): string {
  return [
    colour === undefined ? "" : ` fill="${colours[colour] ?? "#e6edf3"}"`,
    bold ? ' font-weight="bold"' : "",
    dim ? ' fill-opacity="0.6"' : "",
  ].join("");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
