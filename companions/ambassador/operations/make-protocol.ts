import type { ListenerConfig } from "../config/config.ts";
import type { MakeProtocol, Protocol } from "../protocols/protocol.ts";
import { httpProtocol } from "../protocols/http/http.ts";
import { mysqlProtocol } from "../protocols/mysql/mysql.ts";
import { redisProtocol } from "../protocols/redis/redis.ts";
import { postgresProtocol } from "../protocols/postgres/postgres.ts";
import { tcpProtocol } from "../protocols/tcp/tcp.ts";
import { tlsProtocol } from "../protocols/tls/tls.ts";

type Makers = { readonly [Name in ListenerConfig["protocol"]]: MakeProtocol<Extract<ListenerConfig, { protocol: Name }>> };

const makers: Makers = {
  http: httpProtocol,
  mysql: mysqlProtocol,
  redis: redisProtocol,
  postgres: postgresProtocol,
  tcp: tcpProtocol,
  tls: tlsProtocol,
};

/** The protocol of a listener. Throws CONFIG_INVALID for a configuration that it cannot serve. */
export function makeProtocol(listener: ListenerConfig, parts: Parameters<MakeProtocol<ListenerConfig>>[1]): Protocol {
  const make = makers[listener.protocol] as MakeProtocol<ListenerConfig>; // the table's type ties each name to its configuration
  return make(listener, parts);
}
