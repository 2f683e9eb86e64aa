import type { FrameStatus } from "./status.ts";
import { type Html, html } from "./html.ts";
import { style } from "./page-style.ts";

/** Seconds between two loads of the page; a link on it stops them, for whoever reads with a screen reader or a magnifier. */
const REFRESH_SECONDS = 5;

export interface PageParts {
  /** Of the companion. */
  readonly name: string;
  readonly status: FrameStatus;
  readonly isRefreshing: boolean;
  readonly nowMs: number;
  /** What it has to show of its own. */
  readonly sections: Html | undefined;
}

/** The page for people: one document without scripts or anything from elsewhere. */
export function page(parts: PageParts): string {
  const { status, isRefreshing } = parts;
  const title = `${parts.name.slice(0, 1).toUpperCase()}${parts.name.slice(1)}`;
  const word = status.isDraining ? "draining" : status.isReady ? "ready" : "not ready";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        ${isRefreshing ? html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}" />` : undefined}
        <title>${title}: ${word}</title>
        <style>
          ${{ html: style }}
        </style>
      </head>
      <body>
        <header>
          <h1>${title}</h1>
          ${badge(word, status.isReady && !status.isDraining ? "good" : "bad")}
          <p class="quiet">version ${status.version}, up for ${span(status.uptimeMs)}</p>
          <nav aria-label="More">
            <a href="${isRefreshing ? "/?refresh=off" : "/"}">${isRefreshing ? "Stop refreshing" : `Refresh every ${REFRESH_SECONDS} s`}</a>
            <a href="/metrics">Metrics</a>
            <a href="/status">JSON</a>
          </nav>
        </header>
        <main>${configuration(parts)} ${parts.sections}</main>
      </body>
    </html> `.html;
}

function configuration({ status, nowMs }: PageParts): Html {
  const { path, appliedAtMs, problem } = status.configuration;
  const { credentialProblems } = status;
  return html`<section aria-labelledby="configuration">
    <h2 id="configuration">Configuration</h2>
    <p>${path === undefined ? "From the environment" : html`From <code>${path}</code>`}, in use for ${span(nowMs - appliedAtMs)}.</p>
    ${
      problem === undefined
        ? undefined
        : html`<div class="alarm" role="alert">
            <p>The file as it is now was refused; the configuration from before stays in use.</p>
            <pre>${problem}</pre>
          </div>`
    }
    ${credentialProblems.map(({ path: file, reason }) => html`<p class="alarm" role="alert">Credential <code>${file}</code> ${reason}. The last good content stays in use, if there was one.</p>`)}
  </section> `;
}

/** A word that stands out. */
export function badge(word: string, kind: "good" | "bad" | "plain"): Html {
  return html`<span class="badge ${kind}">${word}</span>`;
}

/** A time for people: `3 min 12 s`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
