import type { EndpointState } from "../../upstream/upstream.ts";
import type { ConnectionRow } from "../access-log.ts";
import type { AmbassadorStatus, ListenerStatus } from "../status.ts";
import { type Html, html } from "../../../frame/admin/html.ts";
import { badge, span } from "../../../frame/admin/page.ts";

export interface SectionParts {
  readonly status: AmbassadorStatus;
  /** The oldest of them. */
  readonly connections: readonly ConnectionRow[];
  readonly nowMs: number;
}

/** What the admin page shows of an ambassador: its listeners with their endpoints, and the connections. */
export function statusSections(parts: SectionParts): Html {
  const { status, nowMs } = parts;
  return html`${status.listeners.map((listener) => listenerSection(listener, nowMs))} ${connectionsSection(parts)}`;
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

function connectionsSection({ status, connections }: SectionParts): Html {
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

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power] ?? ""}`;
}
