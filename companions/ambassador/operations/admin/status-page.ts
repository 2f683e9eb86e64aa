import type { EndpointState } from "../../upstream/upstream.ts";
import type { ConnectionRow } from "../access-log.ts";
import type { AmbassadorStatus, ListenerStatus } from "../status.ts";
import { type Html, html } from "./html.ts";
import { style } from "./status-page-style.ts";

/** Seconds between two loads of the page; a link on it stops them, for whoever reads with a screen reader or a magnifier. */
const REFRESH_SECONDS = 5;

export interface PageParts {
  readonly status: AmbassadorStatus;
  /** The oldest of them. */
  readonly connections: readonly ConnectionRow[];
  readonly isRefreshing: boolean;
  readonly nowMs: number;
}

/** The page for people: one document without scripts or anything from elsewhere. */
export function statusPage(parts: PageParts): string {
  const { status, isRefreshing } = parts;
  const word = status.isDraining ? "draining" : status.isReady ? "ready" : "not ready";
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        ${isRefreshing ? html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}" />` : undefined}
        <title>Ambassador: ${word}</title>
        <style>
          ${{ html: style }}
        </style>
      </head>
      <body>
        <header>
          <h1>Ambassador</h1>
          ${badge(word, status.isReady && !status.isDraining ? "good" : "bad")}
          <p class="quiet">version ${status.version}, up for ${span(status.uptimeMs)}</p>
          <nav aria-label="More">
            <a href="${isRefreshing ? "/?refresh=off" : "/"}">${isRefreshing ? "Stop refreshing" : `Refresh every ${REFRESH_SECONDS} s`}</a>
            <a href="/metrics">Metrics</a>
            <a href="/status">JSON</a>
          </nav>
        </header>
        <main>
          ${configuration(parts)} ${status.listeners.map((listener) => listenerSection(listener, parts.nowMs))} ${connectionsSection(parts)}
        </main>
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

function listenerSection(listener: ListenerStatus, nowMs: number): Html {
  const { name, protocol, address, problem, connections, isInKernel, queued, endpoints } = listener;
  return html`<section aria-label="Listener ${name}">
    <h2>${name} ${badge(problem === undefined ? "ready" : "not ready", problem === undefined ? "good" : "bad")}</h2>
    <p>
      <span class="quiet">${protocol}${isInKernel ? ", in the kernel," : ""} on</span> <code>${address}</code>
      <span class="quiet">with</span> ${count(connections, "connection")}${queued > 0 ? `, ${queued} waiting` : ""}
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Endpoints of ${name}">
      <table>
        <thead>
          <tr>
            <th scope="col">Endpoint</th>
            <th scope="col">Health</th>
            <th scope="col">Role</th>
            <th scope="col" class="number">Connections</th>
            <th scope="col">Addresses</th>
            <th scope="col">Last failure</th>
          </tr>
        </thead>
        <tbody>
          ${endpoints.map((endpoint) => endpointRow(endpoint, nowMs))}
        </tbody>
      </table>
    </div>
  </section> `;
}

function endpointRow(state: EndpointState, nowMs: number): Html {
  const { endpoint, addresses, unresolved, health, role, ejectedUntilMs, connections, lastFailure } = state;
  const verdict =
    ejectedUntilMs === undefined
      ? badge(health, health === "healthy" ? "good" : health === "unhealthy" ? "bad" : "plain")
      : badge(`left out for ${span(ejectedUntilMs - nowMs)}`, "bad");
  const failure =
    lastFailure === undefined
      ? ""
      : html`<span class="quiet">${span(nowMs - lastFailure.atMs)} ago</span> ${lastFailure.code}<br />${lastFailure.message}`;
  return html`<tr>
    <th scope="row"><code>${endpoint}</code></th>
    <td>${verdict}</td>
    <td>${role}</td>
    <td class="number">${connections}</td>
    <td>${unresolved ?? addresses.map((address) => html`<code>${address}</code> `)}</td>
    <td>${failure}</td>
  </tr> `;
}

function connectionsSection({ status, connections }: PageParts): Html {
  const total = status.retiredConnections + status.listeners.reduce((sum, listener) => sum + listener.connections, 0);
  const shown = connections.length < total ? `The oldest ${connections.length} of ${total}. All: ` : "As JSON: ";
  const retired =
    status.retiredConnections === 0
      ? ""
      : ` ${count(status.retiredConnections, "connection")} of listeners that have changed or left since.`;
  const table = html`<div class="scroll" tabindex="0" role="region" aria-label="Connections">
    <table>
      <thead>
        <tr>
          <th scope="col" class="number">Id</th>
          <th scope="col">Listener</th>
          <th scope="col">Client</th>
          <th scope="col">Endpoint</th>
          <th scope="col">User</th>
          <th scope="col">Database</th>
          <th scope="col" class="number">From client</th>
          <th scope="col" class="number">To client</th>
          <th scope="col" class="number">Age</th>
        </tr>
      </thead>
      <tbody>
        ${connections.map(connectionRow)}
      </tbody>
    </table>
  </div>`;
  return html`<section aria-labelledby="connections">
    <h2 id="connections">Connections</h2>
    <p class="quiet">${total === 0 ? "None now." : html`${shown}<a href="/connections">/connections</a>.`}${retired}</p>
    ${connections.length === 0 ? undefined : table}
  </section> `;
}

function connectionRow(row: ConnectionRow): Html {
  return html`<tr>
    <td class="number">${row.connection}</td>
    <td>${row.listener}</td>
    <td><code>${row.client}</code></td>
    <td><code>${row.endpoint}</code></td>
    <td>${row.user}</td>
    <td>${row.database}</td>
    <td class="number">${size(row.fromClientBytes)}</td>
    <td class="number">${size(row.toClientBytes)}</td>
    <td class="number">${span(row.durationMs)}</td>
  </tr> `;
}

function badge(word: string, kind: "good" | "bad" | "plain"): Html {
  return html`<span class="badge ${kind}">${word}</span>`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power] ?? ""}`;
}
